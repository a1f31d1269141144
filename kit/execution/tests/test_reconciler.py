"""Journal and venue are compared, and each difference is published."""

import asyncio
import os
import sys
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import AccountNotReady, VenueUnavailable
from kit.execution.account_configuration import ClockOffset
from kit.execution.contract import (
    Fee,
    OutcomeUnknown,
    StreamInterrupted,
    VenueBalance,
    VenuePosition,
)
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import (
    SETTINGS,
    LoopClock,
    run,
    started,
    verified,
    world,
)

LONG = bool(os.environ.get("VENUEMESH_CRASH_RUNS"))


def events_of(found, name):
    events = found.account.executions._events
    return [getattr(event, name) for event in events if event.WhichOneof("event") == name]


def differences(found):
    names = differences_pb2.DifferenceKind
    found = events_of(found, "difference")
    return [names.Name(one.kind).removeprefix("DIFFERENCE_KIND_") for one in found]


def test_interrupted_stream_is_reconciled_before_new_orders():
    async def scenario():
        found = await started()
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        other = await found.account.submitter.submit(verified(limit_order(), "s"))
        found.venue.publishes = False
        found.venue.fill(found.venue.by_client_id[entry.key], Decimal(2))
        found.venue.end(found.venue.by_client_id[other.key], order_states.CANCELLED)
        external = replace(found.venue.by_client_id[other.key].now, state=order_states.OPEN)
        external = replace(external, venue_order_id="77", client_order_id="")
        found.venue.orders["77"] = replace_truth(found, external)
        found.venue.publishes = True
        found.account.client.events.put_nowait(StreamInterrupted("cut"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert found.account.readiness.detail == "cut"
        with pytest.raises(AccountNotReady):
            found.account.check_ready()
        await found.ready()
        assert differences(found) == ["EXTERNAL_ORDER", "MISSED_FILL", "LOST_CANCEL"]
        assert (entry.state, other.state) == (order_states.FILLED, order_states.CANCELLED)
        (open_order,) = found.account.state.index.open.values()
        assert (open_order.external, open_order.venue_order_id) == (True, "77")

    run(scenario())


@pytest.mark.parametrize("restarts", [False, True])
def test_self_trade_explains_balances_with_both_fills(restarts):
    async def scenario():
        found = await started()
        found.venue.balances = [balance("BTC", "10"), balance("USDT", "1000")]
        found.account.session.compare()
        await found.let_pass(1)
        submit = found.account.submitter.submit
        bought = await submit(verified(limit_order(), "r"))
        sold = await submit(verified(limit_order(side=types_pb2.SIDE_SELL), "s"))
        for order in (bought, sold):
            found.venue._ids = 41
            found.venue.fill(found.venue.by_client_id[order.key], Decimal(2))
        await found.until(lambda: len(found.account.state.index.fills) == 2, 5)
        found.venue.balances = [balance("BTC", "10"), balance("USDT", "999.576")]
        await found.let_pass(0.1)
        if restarts:
            found.process.die()
            found.disk.crash(found.random, power=False)
            found.start()
            await found.ready()
        found.account.session.compare()
        await found.let_pass(2)
        assert found.account.balances_and_positions.balances["USDT"].total == Decimal("999.576")
        assert differences(found).count("BALANCE") == (0 if restarts else 2)
        assert {one.fill_id for one in found.account.state.index.fills.values()} == {"42"}

    run(scenario())


def balance(asset, total):
    return VenueBalance(asset, Decimal(total), Decimal(total))


def replace_truth(found, order):
    truth = next(iter(found.venue.orders.values()))
    return type(truth)(order, 0, [(0, order)])


def test_unexplained_balance_is_published():
    async def scenario():
        found = world()
        found.venue.balances = [VenueBalance("USDT", Decimal(1000), Decimal(1000))]
        found.start()
        await found.ready()
        assert differences(found) == []
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.venue.fill(found.venue.by_client_id[entry.key], Decimal(1))
        (fill,) = [fill for _, fill in found.venue.fills]
        cost = fill.price * fill.size + fill.fees[0].amount
        found.venue.balances = [
            VenueBalance("USDT", 1000 - cost, 1000 - cost),
            VenueBalance("BTC", Decimal(1), Decimal(1)),
        ]
        await found.let_pass(SETTINGS.reconcile_interval_s + 1)
        assert differences(found) == []
        found.venue.balances[0] = VenueBalance("USDT", Decimal(5), Decimal(5))
        await found.let_pass(SETTINGS.reconcile_interval_s + 1)
        assert differences(found) == ["BALANCE"]
        found.crash()
        found.start()
        await found.ready()
        assert differences(found) == []

    run(scenario())


def test_unexplained_position_is_published():
    async def scenario():
        found = world(capabilities=replace(CAPABILITIES, has_positions=True))
        found.venue.positions = [VenuePosition("BTCUSDT", Decimal(2))]
        found.start()
        await found.ready()
        assert differences(found) == []
        found.venue.positions = [VenuePosition("BTCUSDT", Decimal(5))]
        await found.let_pass(SETTINGS.reconcile_interval_s + 1)
        assert differences(found) == ["POSITION"]
        (one,) = events_of(found, "difference")
        assert (one.symbol, one.expected, one.found) == ("BTCUSDT", "2", "5")

    run(scenario())


def test_fee_that_differs_from_the_streams_is_published():
    async def scenario():
        found = await started()
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.venue.fill(found.venue.by_client_id[entry.key], Decimal(1))
        await found.let_pass(1)
        ((at, fill),) = found.venue.fills
        found.venue.fills = [(at, replace(fill, fees=(Fee("USDT", Decimal(7)),)))]
        await found.let_pass(SETTINGS.reconcile_interval_s + 1)
        assert differences(found) == ["FEE"]
        assert entry.fees == {"USDT": Decimal(7)}

    run(scenario())


def test_order_that_was_unknown_is_published_as_resolved():
    async def scenario():
        found = await started()
        found.venue.publishes = False

        async def no_answer(request):
            found.venue.arrive(request)
            return OutcomeUnknown("no answer")

        found.account.client.verdicts = [no_answer]
        found.account.client.failures = 100
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert entry.state == order_states.UNKNOWN
        found.crash()
        found.venue.publishes = True
        found.start()
        await found.ready()
        entry = found.account.order(entry.key)
        assert (entry.state, differences(found)) == (order_states.OPEN, ["RESOLVED"])

    run(scenario())


def test_fills_that_the_venue_lists_no_longer_are_reported_once():
    async def scenario():
        found = await started()
        found.crash()
        await found.let_pass(100 * 3600)
        found.start()
        await found.ready()
        await found.let_pass(SETTINGS.reconcile_interval_s + 1)
        assert differences(found) == ["FILLS_NOT_LISTED"]
        (event,) = events_of(found, "difference")
        assert "from 2023-11-14T22:1" in event.detail
        found.crash()
        found.start()
        await found.ready()
        assert differences(found) == []

    run(scenario())


def test_unanswered_query_fails_the_comparison():
    async def find(key):
        raise VenueUnavailable("no answer", detail="no answer")

    async def scenario():
        found = await started()
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.venue.publishes = False
        found.venue.end(found.venue.by_client_id[order.key], order_states.CANCELLED)
        found.account.client.find = find
        with pytest.raises(VenueUnavailable, match="no answer"):
            await found.account.reconciler.run(is_first=False)
        del found.account.client.find
        await found.account.reconciler.run(is_first=False)
        assert order.state == order_states.CANCELLED

    run(scenario())


def test_clock_that_is_ahead_hides_no_fill():
    async def scenario():
        found = await started()
        hour_ns = 3600 * NANOSECONDS_PER_SECOND
        found.venue.clock, found.clock.jumped_ns = LoopClock(), hour_ns
        found.venue.clock_offset = ClockOffset(-hour_ns, uncertainty_ns=0)
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        await found.let_pass(2 * SETTINGS.reconcile_interval_s)
        found.venue.publishes = False
        found.venue.fill(found.venue.by_client_id[order.key], order.size)
        await found.let_pass(2 * SETTINGS.reconcile_interval_s)
        assert [one.size for one in order.fills.values()] == [order.size]

    run(scenario())


def test_the_work_of_reconciling_grows_in_proportion_to_the_orders():
    few = 5_000 if LONG else 500
    assert calls_to_reconcile(2 * few) < 2.2 * calls_to_reconcile(few)


def calls_to_reconcile(many):
    """How many Python functions are called to reconcile so many orders, of which half ended."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    async def scenario():
        found = await started()
        truths = [found.venue.arrive(ExternalRequest(number)) for number in range(many)]
        await found.let_pass(70)
        await found.ready()
        assert len(found.account.state.index.open) == many
        found.venue.publishes = False
        for truth in truths[::2]:
            found.venue.end(truth, order_states.CANCELLED)
        for truth in truths[1::4]:
            found.venue.fill(truth, Decimal(1))
        sys.setprofile(count)
        try:
            await found.account.reconciler.run(is_first=False)
        finally:
            sys.setprofile(None)
        assert len(found.account.state.index.open) == many // 2

    run(scenario())
    return calls


class ExternalRequest:
    """An order that another program places."""

    def __init__(self, number):
        self.client_order_id = f"{number:032x}"
        self.symbol = "BTCUSDT"
        self.side = 1
        self.type = orders_pb2.ORDER_TYPE_LIMIT
        self.size, self.price, self.stop_price = Decimal(2), Decimal(100), None
