"""Orders on paper in a mesh that plays a capture: they meet its book, and survive kill -9."""

from decimal import Decimal

import pytest
from google.protobuf.json_format import MessageToDict
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2

from tests.integration.mesh import VENUE, replaying
from tests.integration.orders import OrderCaller, buy, limit, refused

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ACCOUNT = "paper"
FEE = Decimal("0.001")


@pytest.fixture(scope="module")
def mesh(long_capture):
    """Plays as slowly as it was recorded."""
    with replaying(long_capture, "1") as mesh:
        mesh.wait_until_running()
        caller = OrderCaller(mesh, ACCOUNT)
        mesh.wait_until(caller.is_ready, "the account on paper is ready")
        mesh.wait_until(lambda: caller.best_bid() > 0, "there is a book")
        yield mesh


@pytest.fixture
def caller(mesh):
    """A client."""
    return OrderCaller(mesh, ACCOUNT)


def on_paper(make, *given, **fields):
    return make(*given, account=ACCOUNT, **fields)


def truth(caller):
    """The state of the account at the paper venue."""
    fills = caller.call("ListFills", trade_flow_pb2.ListFillsRequest(**caller.here)).fills
    opened = caller.open()
    return (
        caller.balances(),
        [(fill.fill_id, fill.price, fill.size, fill.fee.amount) for fill in fills],
        {name: (order.state, order.filled_size) for name, order in opened.items()},
    )


def test_the_account_is_a_paper_account_with_the_balances_of_the_settings(caller):
    accounts = caller.call("ListAccounts", accounts_pb2.ListAccountsRequest(venue=VENUE)).accounts
    assert [(one.account, one.paper) for one in accounts] == [(ACCOUNT, True)]
    assert caller.balances()["USDT"] == 100_000


def test_an_order_fills_at_the_displayed_prices(mesh, caller):
    before = caller.balances()
    order = caller.place(on_paper(buy, "0.5"))
    assert order.state == orders_pb2.ORDER_STATE_FILLED, MessageToDict(order)
    fills = caller.fills(order.client_order_id)
    assert sum(Decimal(fill.size) for fill in fills) == Decimal("0.5")
    paid = sum(Decimal(fill.price) * Decimal(fill.size) for fill in fills)
    fees = sum(Decimal(fill.fee.amount) for fill in fills)
    assert 0 <= Decimal("0.5") * FEE - fees < Decimal("1e-7")

    def moved():
        after = caller.balances()
        return after["BTC"] - before["BTC"], after["USDT"] - before["USDT"]

    mesh.wait_until(lambda: moved() == (Decimal("0.5") - fees, -paid), "the balances are right")


def test_resting_orders_are_filled_by_trades_of_the_capture(mesh, caller):
    bid = caller.best_bid()
    buys = on_paper(limit, "0.001", str(bid), post_only=True)
    sells = on_paper(limit, "0.001", str(bid + 1), post_only=True, side=types_pb2.SIDE_SELL)
    orders = [caller.place(content) for content in (buys, sells)]
    names = [order.client_order_id for order in orders]
    # Wherever the market goes, it comes to one of them.
    mesh.wait_until(lambda: any(caller.fills(name) for name in names), "one is filled")
    fills = [fill for name in names for fill in caller.fills(name)]
    assert {fill.liquidity for fill in fills} == {orders_pb2.LIQUIDITY_MAKER}
    assert {fill.price for fill in fills} <= {str(bid), str(bid + 1)}
    for name in names:
        caller.cancel(name)


def test_a_post_only_order_does_not_take(caller):
    price = caller.best_bid() + 50
    order = caller.place(on_paper(limit, "0.001", str(price), post_only=True))
    assert order.reject_reason == orders_pb2.REJECT_REASON_WOULD_TAKE


def test_kill_9_neither_loses_nor_invents_fills(mesh, caller):
    resting = caller.place(caller.resting("0.01"))
    assert resting.state == orders_pb2.ORDER_STATE_OPEN
    cancelled = caller.place(caller.resting("0.02"))
    caller.cancel(cancelled.client_order_id)
    before = truth(caller)
    mesh.kill(VENUE)
    mesh.wait_until(caller.is_ready, "the account is ready again")
    assert truth(caller) == before
    assert caller.order(cancelled.client_order_id).state == orders_pb2.ORDER_STATE_CANCELLED
    assert caller.cancel(resting.client_order_id).state == orders_pb2.ORDER_STATE_CANCELLED
    again = caller.place(caller.order(resting.client_order_id).content, resting.request_id)
    assert again.client_order_id == resting.client_order_id


def test_a_real_account_does_not_exist(caller):
    reason, _ = refused(lambda: OrderCaller(caller.mesh).balances())
    assert reason == "UNKNOWN_ACCOUNT"
