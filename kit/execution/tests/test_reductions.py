"""Only what the confirmed position leaves open is a reduction, whatever an order is labelled."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import ApprovalRejected, InvalidOrder
from kit.execution.checks.reductions import ALARM_S, Reductions
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.journal.records import Amendment, AmendmentOutcome
from kit.execution.orders import order_states
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_index import OrderIndex
from kit.execution.orders.request_reader import read_request
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import SPOT, LoopClock, run

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
MARKET, STOP = orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_STOP
SWAP = types_pb2.Instrument(
    symbol="SWAP", kind=types_pb2.INSTRUMENT_KIND_PERPETUAL, base="BTC", quote="USDT"
)
OTHER_SPOT = types_pb2.Instrument(
    symbol="BTCUSDC", kind=types_pb2.INSTRUMENT_KIND_SPOT, base="BTC", quote="USDC"
)
INSTRUMENTS = {one.symbol: one for one in (SPOT, SWAP, OTHER_SPOT)}


class Journal:
    """A journal that keeps nothing."""

    def append(self, record):
        pass


class HeldAccount:
    """An account that holds ``size`` of a swap, and of the base asset."""

    def __init__(self, size):
        self.index = OrderIndex()
        self.positions = BalancesAndPositions(LoopClock(), Journal(), INSTRUMENTS.get)
        self.positions.positions["SWAP"] = VenuePosition("SWAP", Decimal(size))
        self.positions.balances["BTC"] = VenueBalance("BTC", Decimal(size), Decimal(0))
        self.published = []
        self.reductions = Reductions(
            self.index,
            self.positions,
            INSTRUMENTS.get,
            LoopClock(),
            lambda: self.published.append(self.reductions.problem),
        )

    def add(self, content, state=order_states.OPEN, **more):
        key = f"o{len(self.index.orders)}"
        order = Order(key, read_request(content, key), content, 0, state=state, **more)
        self.index.add(order)
        return order


def exit_order(size="1", side=SELL, symbol="SWAP", **more):
    return limit_order(
        **{"side": side, "symbol": symbol, "size": size, "reduce_only": True, **more}
    )


@pytest.mark.parametrize(
    ("held", "content", "is_reduction"),
    [
        ("2", exit_order("2"), True),
        ("2", exit_order("2.001"), False),
        ("2", exit_order("1", BUY), False),
        ("2", exit_order("1", reduce_only=False), False),
        ("-2", exit_order("2", BUY), True),
        ("-2", exit_order("2", SELL), False),
        ("0", exit_order("1"), False),
        ("2", exit_order("2", symbol="OTHER"), False),
        ("2", exit_order("2", symbol="BTCUSDT", reduce_only=False), True),
        ("2", exit_order("2.001", symbol="BTCUSDT", reduce_only=False), False),
        ("2", exit_order("1", BUY, symbol="BTCUSDT", reduce_only=False), False),
    ],
)
def test_reduction_is_covered_by_what_is_held(held, content, is_reduction):
    assert HeldAccount(held).reductions.is_reduction(content) == is_reduction


def test_size_that_is_none_is_an_invalid_order():
    with pytest.raises(InvalidOrder):
        HeldAccount("1").reductions.is_reduction(exit_order("1e0"))


@pytest.mark.parametrize(
    ("content", "more", "closable"),
    [
        (exit_order(), {}, "2"),
        (exit_order(), {"state": order_states.UNKNOWN}, "2"),
        (exit_order(), {"state": order_states.INTENDED}, "2"),
        (exit_order(), {"reported_filled_size": Decimal("0.25")}, "2.25"),
        (exit_order(reduce_only=False), {}, "3"),
        (exit_order(side=BUY), {}, "3"),
        (exit_order(symbol="OTHER"), {}, "3"),
        (exit_order("5"), {}, "0"),
        (exit_order(type=STOP, stop_price="90", price=""), {}, "3"),
        (exit_order(type=STOP, stop_price="90", price=""), {"held_here": True}, "3"),
        (
            exit_order(type=STOP, stop_price="90", price=""),
            {"held_here": True, "is_sending": True, "is_triggered": True},
            "2",
        ),
        (exit_order(type=STOP, stop_price="90", price=""), {"is_triggered": True}, "2"),
        (
            exit_order(
                reduce_only=False,
                group=orders_pb2.OrderGroup(group_id="g", role=orders_pb2.GROUP_ROLE_EXIT, count=2),
            ),
            {},
            "2",
        ),
    ],
)
def test_pending_exits_are_subtracted_and_waiting_ones_are_not(content, more, closable):
    at = HeldAccount("3")
    at.add(content, **more)
    assert at.reductions.closable("SWAP") == Decimal(closable)
    assert at.reductions.is_reduction(exit_order(closable)) if closable != "0" else True
    assert not at.reductions.is_reduction(exit_order(str(Decimal(closable) + 1)))


@pytest.mark.parametrize(("size", "closable"), [("4", 1), ("1", 3)])
def test_exit_that_is_amended_counts_as_large_as_it_may_be(size, closable):
    account = HeldAccount("5")
    order = account.add(limit_order("2", symbol="SWAP", side=SELL, reduce_only=True))
    pending = Amendment(order.key, "a", b"", Decimal(size), None, AmendmentOutcome.PENDING, "")
    account.index.add_amendment(pending)
    assert account.reductions.closable("SWAP") == closable


def test_short_position_is_closed_by_buying():
    at = HeldAccount("-3")
    at.add(exit_order(side=BUY))
    assert at.reductions.closable("SWAP") == Decimal(-2)


def test_spot_sells_of_all_symbols_of_the_asset_count():
    at = HeldAccount("3")
    at.add(exit_order("1", symbol="BTCUSDT", reduce_only=False))
    at.add(exit_order("0.5", symbol="BTCUSDC", reduce_only=False))
    assert at.reductions.closable("BTCUSDT") == Decimal("1.5")


def test_break_glass_error_names_what_closes_the_rest():
    at = HeldAccount("2")
    order = at.add(exit_order("1.5"))
    with pytest.raises(ApprovalRejected, match=f"0.5 can be closed.*{order.key}") as caught:
        at.reductions.check(exit_order("1"))
    assert caught.value.metadata["why"] == "reduce_only"
    at.reductions.check(exit_order("0.5"))


@pytest.mark.parametrize(
    ("content", "state", "is_in_flight"),
    [
        (exit_order(), order_states.OPEN, False),
        (exit_order(), order_states.SENT, True),
        (exit_order(), order_states.UNKNOWN, True),
        (exit_order(type=MARKET, price=""), order_states.PARTLY_FILLED, True),
        (
            exit_order(time_in_force=orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL),
            order_states.ACKNOWLEDGED,
            True,
        ),
        (exit_order(type=STOP, stop_price="90", price=""), order_states.SENT, False),
    ],
)
def test_exit_is_in_flight_until_its_outcome_is_known(content, state, is_in_flight):
    at = HeldAccount("3")
    order = at.add(content, state=state)
    assert at.reductions.in_flight("SWAP") is (order if is_in_flight else None)


def test_next_reduction_waits_for_the_outcome_and_raises_an_alarm():
    async def scenario():
        at = HeldAccount("3")
        first = at.add(exit_order(), state=order_states.UNKNOWN)
        waiting = asyncio.create_task(at.reductions.wait_for_turn("SWAP"))
        while not at.published:
            await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() >= ALARM_S
        assert not waiting.done()
        assert first.key in at.reductions.problem
        assert "UNKNOWN" in at.published[0]
        first.state = order_states.CANCELLED
        at.index.open.pop(first.key)
        at.reductions.order_changed()
        await asyncio.wait_for(waiting, 0.5)
        assert at.reductions.problem == ""
        assert at.published[-1] == ""

    run(scenario())
