"""Orders in a mesh: placed through the gateway, held by the exchange, exact across kill -9."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import (
    batches_pb2,
    orders_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base.access.local_tokens import command_token
from kit.base.access.roles import Role
from tests.integration.mesh import ROOT, SYMBOL, VENUE, new_folder, running, shown_channel
from tests.integration.orders import (
    HEADER,
    HERE,
    TICK,
    OrderCaller,
    at_exchange,
    buy,
    limit,
    refused,
)
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

OPEN, CANCELLED, FILLED = (
    orders_pb2.ORDER_STATE_OPEN,
    orders_pb2.ORDER_STATE_CANCELLED,
    orders_pb2.ORDER_STATE_FILLED,
)
FINAL = frozenset({FILLED, CANCELLED, orders_pb2.ORDER_STATE_REJECTED})
AT_ONCE = 12


@pytest.fixture(scope="module")
def mesh():
    """A mesh whose account takes orders."""
    with new_folder() as data, running(data, *SIMULATE) as mesh:
        mesh.wait_until_running()
        mesh.wait_until(OrderCaller(mesh).takes_requests, "the account is ready")
        mesh.wait_until(lambda: OrderCaller(mesh).best_bid() > 0, "there is a book")
        yield mesh


@pytest.fixture
def caller(mesh):
    """A client."""
    return OrderCaller(mesh)


def test_an_order_rests_at_the_exchange_until_it_is_cancelled(mesh, caller):
    order = caller.place(caller.resting())
    assert order.state == OPEN, order
    (there,) = at_exchange(mesh)[order.client_order_id]
    assert (there["status"], Decimal(there["price"])) == ("NEW", Decimal(order.content.price))
    assert order.client_order_id in caller.open()
    assert caller.cancel(order.client_order_id).state == CANCELLED
    assert order.client_order_id not in caller.open()
    (there,) = at_exchange(mesh)[order.client_order_id]
    assert there["status"] == "CANCELED"


def test_balances_after_a_purchase_are_exact(mesh, caller):
    before = caller.balances()
    order = caller.place(buy("0.02"))
    mesh.wait_until(lambda: caller.order(order.client_order_id).state == FILLED, "it is filled")

    def moved():
        after = caller.balances()
        return after["BTC"] - before["BTC"], after["USDT"] - before["USDT"]

    def filled():
        return sum(Decimal(fill.size) for fill in caller.fills(order.client_order_id))

    # The answer to the order may say FILLED before the account stream reports its fills.
    mesh.wait_until(lambda: filled() == Decimal("0.02"), "its fills are known")
    fills = caller.fills(order.client_order_id)
    paid = sum(Decimal(fill.price) * Decimal(fill.size) for fill in fills)
    fees = sum(Decimal(fill.fee.amount) for fill in fills)
    assert {fill.fee.asset for fill in fills} == {"BTC"}
    mesh.wait_until(lambda: moved() == (Decimal("0.02") - fees, -paid), "the balances are right")


def test_a_repeated_request_returns_the_same_order(mesh, caller):
    content = caller.resting()
    approved = caller.approved(content, "twice")
    with ThreadPoolExecutor(4) as pool:
        orders = list(pool.map(lambda _: caller.send(approved), range(4)))
    (name,) = {order.client_order_id for order in orders}
    assert len(at_exchange(mesh)[name]) == 1
    other = limit("0.03", content.price)
    reason, metadata = refused(lambda: caller.place(other, "twice"))
    assert (reason, metadata["request_id"]) == ("REQUEST_ID_REUSED", "twice")
    caller.cancel(name)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (limit("0", "50000"), "size"),
        (limit("-1", "50000"), "size"),
        (limit("1e-30", "50000"), "size"),
        (limit("0.01", "50000.001"), "price"),
        (limit("0.01", ""), "price"),
        (buy("0.01", price="5"), "price"),
    ],
)
def test_an_invalid_order_is_rejected_before_it_is_sent(mesh, caller, content, field):
    sent_before = sum(map(len, at_exchange(mesh).values()))
    reason, metadata = refused(lambda: caller.place(content))
    assert (reason, metadata["field"]) == ("INVALID_ORDER", field)
    assert sum(map(len, at_exchange(mesh).values())) == sent_before


def test_an_approval_of_another_order_is_rejected(caller):
    approved = caller.approved(caller.resting())
    approved.content.size = "5"
    reason, metadata = refused(lambda: caller.send(approved))
    assert (reason, metadata["why"]) == ("APPROVAL_REFUSED", "signature")
    approved.ClearField("signature")
    assert refused(lambda: caller.send(approved))[1]["why"] == "missing"


def bracket(caller, stop, group_id):
    """A market buy order with a far limit sell order and a stop."""
    far = str((caller.best_bid() * 3 / 2).quantize(TICK))
    contents = [
        buy("0.02"),
        limit("0.02", far),
        stop,
    ]
    for content in contents:
        is_entry = content is contents[0]
        content.side = types_pb2.SIDE_BUY if is_entry else types_pb2.SIDE_SELL
        role = orders_pb2.GROUP_ROLE_ENTRY if is_entry else orders_pb2.GROUP_ROLE_EXIT
        content.group.CopyFrom(orders_pb2.OrderGroup(group_id=group_id, role=role, count=3))
    approved = [caller.approved(one, f"{group_id}-{place}") for place, one in enumerate(contents)]
    request = batches_pb2.PlaceOrderGroupRequest(venue=VENUE, approved=approved)
    return [one.client_order_id for one in caller.call("PlaceOrderGroup", request).orders]


def test_one_exit_of_a_bracket_is_at_the_exchange_and_one_closes_it(mesh, caller):
    deep = str((caller.best_bid() / 2).quantize(TICK))
    deep_stop = buy("0.02", type=orders_pb2.ORDER_TYPE_STOP, stop_price=deep)
    entry, profit, stop = bracket(caller, deep_stop, "waits")
    mesh.wait_until(lambda: caller.order(profit).venue_order_id, "the limit order is out")
    (there,) = at_exchange(mesh)[profit]
    bought = caller.order(entry)
    assert bought.state == FILLED
    fees = sum(Decimal(fee.amount) for fee in bought.fees if fee.asset == "BTC")
    assert fees > 0
    assert Decimal("0.02") - fees - Decimal("0.00001") < Decimal(there["origQty"])
    assert Decimal(there["origQty"]) <= Decimal("0.02") - fees
    assert there["status"] == "NEW"
    assert caller.order(stop).held_here
    assert stop not in at_exchange(mesh)
    assert caller.order(stop).content.size == caller.order(profit).content.size
    caller.cancel_all()
    mesh.wait_until(lambda: caller.order(stop).state == CANCELLED, "the group has ended")
    # A stop that follows a tick behind the market is reached by the next trade at a lower price.
    trailing = orders_pb2.ORDER_TYPE_TRAILING_STOP
    close_stop = buy("0.02", type=trailing, trailing_offset=str(TICK))
    entry, profit, stop = bracket(caller, close_stop, "closes")
    mesh.wait_until(lambda: caller.order(stop).state == FILLED, "the stop has closed it")
    mesh.wait_until(lambda: caller.order(profit).state == CANCELLED, "the other is taken back")
    closed = caller.order(stop)
    assert Decimal(closed.filled_size) == Decimal(closed.content.size) < Decimal("0.02")
    assert not Decimal(caller.order(profit).filled_size)
    assert all(len(orders) == 1 for orders in at_exchange(mesh).values())


def test_scripts_place_orders_over_rest(mesh, caller):
    content = MessageToDict(caller.resting(), preserving_proto_field_name=True)
    body = {"content": content, "request_id": "by-rest", "operation": "OPERATION_PLACE"}
    status, answer = mesh.post("/v1/inspector/orders", body)
    assert status == 200, answer
    (order,) = answer["submitted"]["orders"]
    assert order["state"] == "ORDER_STATE_OPEN"
    path, name = f"/v1/venues/{VENUE}/orders", order["client_order_id"]
    status, listed = mesh.get(f"{path}?account={HERE['account']}")
    assert name in {order["client_order_id"] for order in listed["orders"]}
    status, answer = mesh.post(f"{path}/{name}:cancel", {"account": HERE["account"]})
    assert (status, answer["order"]["state"]) == (200, "ORDER_STATE_CANCELLED")


def test_an_order_with_a_misspelt_field_is_refused_over_rest(mesh, caller):
    orders = f"/v1/venues/{VENUE}/orders?account={HERE['account']}"
    before = mesh.get(orders)
    content = MessageToDict(caller.resting(), preserving_proto_field_name=True)
    content["reduceonly"] = True
    body = {"content": content, "request_id": "misspelt", "operation": "OPERATION_PLACE"}
    for path, sent in (("orders", body), ("orders:batch", {"requests": [body]})):
        status, answer = mesh.post(f"/v1/inspector/{path}", sent)
        assert (status, answer["details"][0]["reason"]) == (400, "BAD_REQUEST")
        assert '"reduceonly"' in answer["message"]
    assert mesh.get(orders) == before


def test_an_operator_cancels_a_stop_over_rest_and_a_trader_needs_an_approval(mesh, caller):
    deep = str((caller.best_bid() / 2).quantize(TICK))
    terms = {"type": orders_pb2.ORDER_TYPE_STOP, "side": types_pb2.SIDE_SELL, "stop_price": deep}
    names = [caller.place(buy("0.001", **terms)).client_order_id for _ in range(2)]
    token = command_token(mesh.data, mesh.state()["mesh_id"], {Role.TRADER})
    with shown_channel(mesh.gateway, token) as channel:
        trader = trade_flow_pb2_grpc.TradeFlowStub(channel)
        one = trade_flow_pb2.CancelOrderRequest(client_order_id=names[0], **HERE)
        with pytest.raises(grpc.RpcError, match="or a caller with the role operator"):
            trader.CancelOrder(one)
        entries = trade_flow_pb2.CancelAllOrdersRequest(**HERE)
        left = {order.client_order_id for order in trader.CancelAllOrders(entries).left_open}
        assert left >= set(names)
    path, account = f"/v1/venues/{VENUE}/orders", {"account": HERE["account"]}
    status, answer = mesh.post(f"{path}/{names[0]}:cancel", account)
    assert (status, answer["order"]["state"]) == (200, "ORDER_STATE_CANCELLED")
    assert answer["order"]["cancel_requested_by"].endswith(", role operator")
    status, answer = mesh.post(f"{path}:cancelAll", {**account, "include_protective": True})
    assert status == 200, answer
    assert "left_open" not in answer or not answer["left_open"]
    assert caller.order(names[1]).state == CANCELLED


def test_scripts_place_groups_over_rest(mesh, caller):
    entry = caller.resting()
    profit = limit(entry.size, str((caller.best_bid() * 2).quantize(TICK)))
    profit.side = types_pb2.SIDE_SELL
    bodies = []
    for content, role in ((entry, "GROUP_ROLE_ENTRY"), (profit, "GROUP_ROLE_EXIT")):
        body = MessageToDict(content, preserving_proto_field_name=True)
        bodies.append(body | {"group": {"group_id": "by-rest", "role": role, "count": 2}})
    request = {"request_id": "a-group", "operation": "OPERATION_PLACE"}
    request |= {"content": bodies[0], "others": bodies[1:]}
    # A member of a group that is placed alone is refused by itself.
    wrong = {**request, "request_id": "no-group", "others": []}
    body = {"requests": [request, wrong]}
    status, answer = mesh.post("/v1/inspector/orders:batch", body)
    assert status == 200, answer
    placed, refused = answer["results"]
    opening, closing = placed["response"]["submitted"]["orders"]
    assert refused["error"]["reason"] == "ERROR_REASON_INVALID_ORDER"
    assert closing["held_here"]
    path = f"/v1/venues/{VENUE}/orders"
    mesh.post(f"{path}/{opening['client_order_id']}:cancel", {"account": HERE["account"]})
    name = closing["client_order_id"]
    mesh.wait_until(lambda: caller.order(name).state == CANCELLED, "there is nothing to close")


def test_executions_are_consecutive(caller):
    request = trade_flow_pb2.StreamExecutionsRequest(**HERE)
    stream = caller.flow.StreamExecutions(request, metadata=HEADER, timeout=60)
    first = next(stream)
    assert first.WhichOneof("event") == "snapshot"
    order = caller.place(caller.resting())
    caller.cancel(order.client_order_id)
    states, sequence = [], first.cursor.sequence
    for event in stream:
        assert event.cursor.sequence == sequence + 1
        sequence += 1
        if event.order.client_order_id == order.client_order_id:
            states.append(event.order.state)
            if event.order.state == CANCELLED:
                break
    stream.cancel()
    assert OPEN in states
    assert states == sorted(states)


def ordered(mesh, *words):
    """Run ``./venuemesh order``. Returns its output."""
    command = [sys.executable, "-m", "ops.cli", "order", *words, "--data", str(mesh.data)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_places_amends_and_cancels(mesh, caller):
    price = caller.resting().price
    assert "open" in ordered(mesh, "place", VENUE, SYMBOL, "buy", "0.01", "--price", price)
    (name,) = caller.open()
    assert name in ordered(mesh, "list", VENUE)
    assert "open" in ordered(mesh, "amend", VENUE, name, "--size", "0.005")
    assert caller.open()[name].content.size == "0.005"
    assert name in ordered(mesh, "show", VENUE, name)
    assert "cancelled" in ordered(mesh, "cancel", VENUE, name)
    assert "ready" in ordered(mesh, "accounts", VENUE)


def test_the_command_line_flattens_a_symbol(mesh, caller):
    bitcoin = caller.place(caller.resting())
    ordered(mesh, "place", VENUE, "DOGEUSDT", "sell", "100", "--price", "9")
    assert "is flat" in ordered(mesh, "flatten", VENUE, "DOGEUSDT", "--yes")
    assert caller.balances().get("DOGE", 0) == 0
    assert {one.content.symbol for one in caller.open().values()} == {SYMBOL}
    caller.cancel(bitcoin.client_order_id)


def test_kill_9_while_orders_are_placed_sends_none_twice_and_loses_none(mesh, caller):
    contents = [caller.resting(f"0.0{number}") for number in range(1, 10)]
    requests = [caller.approved(one, f"crash-{place}") for place, one in enumerate(contents * 3)]

    def send(approved):
        try:
            return caller.send(approved)
        except grpc.RpcError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        sending = [pool.submit(send, approved) for approved in requests]
        mesh.wait_until(lambda: sum(one.done() for one in sending) >= 5, "some are placed")
        mesh.kill("binance")
        answers = [one.result() for one in sending]
    answered = {order.client_order_id for order in answers if isinstance(order, orders_pb2.Order)}
    assert answered
    mesh.wait_until(caller.is_ready, "the account is ready again")
    mesh.wait_until(lambda: caller.best_bid() > 0, "there is a book")
    there = at_exchange(mesh)
    assert all(len(orders) == 1 for orders in there.values())
    assert answered <= there.keys()
    still_open = {name for name, (one,) in there.items() if one["status"] == "NEW"}
    mesh.wait_until(lambda: caller.open().keys() == still_open, "both know the same open orders")
    assert {order.state for order in caller.open().values()} == {OPEN}
    # The same requests again: what was there stays one order, what was lost on its way stays lost,
    # and what was never written down is placed now.
    again = [caller.place(approved.content, approved.request_id) for approved in requests]
    lost = [order for order in again if order.state != OPEN]
    assert {order.reject_reason for order in lost} <= {orders_pb2.REJECT_REASON_NEVER_ARRIVED}
    there = at_exchange(mesh)
    assert all(len(orders) == 1 for orders in there.values())
    assert not {order.client_order_id for order in lost} & there.keys()
    cancelled = caller.cancel_all().orders
    assert len(cancelled) == len(requests) - len(lost)
    mesh.wait_until(lambda: not caller.open(), "nothing is open")
    statuses = {one["status"] for (one,) in at_exchange(mesh).values()}
    assert statuses <= {"CANCELED", "FILLED"}
