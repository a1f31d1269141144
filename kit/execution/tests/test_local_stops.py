"""Orders that the venue does not have wait here, and are sent once."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.request_budget import Priority
from kit.execution.contract import Accepted
from kit.execution.orders import states
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.worlds import SPOT, Prices, World, run

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
STOP = orders_pb2.ORDER_TYPE_STOP
STOP_LIMIT = orders_pb2.ORDER_TYPE_STOP_LIMIT
PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT
TRAILING = orders_pb2.ORDER_TYPE_TRAILING_STOP


async def holding(kind, side, **more):
    found = World(3, nasty=False)
    found.instruments["BTCUSDT"] = SPOT
    found.prices = Prices()
    found.start()
    await found.ready()
    content = limit_order(type=kind, side=side, price="", **more)
    if kind == STOP_LIMIT:
        content.price = "100"
    entry = await found.account.pilot.place(content, "r", 0, held=True)
    assert (entry.state, entry.message().held_here) == (states.OPEN, True)
    assert not found.venue.sends
    return found, entry


@pytest.mark.parametrize(
    ("kind", "side", "keeps", "wakes"),
    [
        (STOP, SELL, ["95", "90.5"], "90"),
        (STOP, BUY, ["80", "89.5"], "90"),
        (STOP_LIMIT, SELL, ["95", "90.5"], "89"),
        (PROFIT, SELL, ["80", "89.5"], "90"),
        (PROFIT, BUY, ["95", "90.5"], "90"),
    ],
)
def test_it_is_sent_when_its_price_is_reached(kind, side, keeps, wakes):
    async def scenario():
        found, entry = await holding(kind, side, stop_price="90")
        found.prices.say(*keeps)
        await found.let_pass(5)
        assert not found.venue.sends
        found.prices.say(wakes, wakes, "1", "1000")
        await found.let_pass(5)
        found.prices.say(wakes)
        await found.let_pass(5)
        assert found.venue.sends == {entry.key: 1}
        sent = found.venue.by_client_id[entry.key].now
        is_limit = kind == STOP_LIMIT
        assert sent.type == (orders_pb2.ORDER_TYPE_LIMIT if is_limit else 1)
        assert sent.price == (Decimal(100) if is_limit else None)
        assert entry.message().held_here is False
        assert entry.message().content.type == kind

    run(scenario())


def test_triggered_stop_and_reduction_have_priority_over_new_orders():
    async def scenario():
        found, _ = await holding(STOP, SELL, stop_price="90")
        found.prices.say("90")
        await found.let_pass(5)
        await found.account.pilot.place(limit_order(reduce_only=True), "reduces", 0)
        await found.account.pilot.place(limit_order(), "new", 0)
        assert found.venue.priorities == [Priority.PROTECT, Priority.PROTECT, Priority.NEW]

    run(scenario())


@pytest.mark.parametrize(
    ("side", "keeps", "wakes"),
    [(SELL, ["100", "120", "111"], "110"), (BUY, ["100", "80", "89"], "90")],
)
def test_a_trailing_stop_follows_the_best_price(side, keeps, wakes):
    async def scenario():
        found, entry = await holding(TRAILING, side, trailing_offset="10")
        found.prices.say(*keeps)
        await found.let_pass(5)
        assert not found.venue.sends
        found.crash()
        found.start()
        await found.ready()
        found.prices.say(keeps[-1])
        await found.let_pass(2)
        assert not found.venue.sends
        found.prices.say(wakes)
        await found.let_pass(2)
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


def test_it_waits_until_the_account_is_ready_and_is_not_forgotten():
    async def scenario():
        found, entry = await holding(STOP, SELL, stop_price="90")
        found.account._stand(2, "not now")
        found.account.state = 3
        found.prices.say("89")
        await found.let_pass(3)
        assert not found.venue.sends
        found.crash()
        found.start()
        await found.ready()
        await found.let_pass(3)
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


def test_a_full_disk_does_not_lose_it():
    async def scenario():
        found, entry = await holding(STOP, SELL, stop_price="90")
        found.disk.error = OSError(28, "No space left on device")
        found.prices.say("89")
        await found.let_pass(5)
        assert not found.venue.sends
        assert entry.held
        found.disk.error = None
        await found.let_pass(5)
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


@pytest.mark.parametrize("step", range(1, 40, 2))
def test_it_may_die_while_it_is_sent(step):
    async def scenario():
        found, entry = await holding(STOP, SELL, stop_price="90")
        found.life.dies_at = found.life.steps + step
        found.prices.say("89")
        await found.let_pass(5)
        found.crash()
        found.start()
        await found.ready()
        found.prices.say("89")
        entry = found.account.ledger.index.orders[entry.key]
        await found.until(lambda: entry.state in (states.OPEN, states.REJECTED) and not entry.held)
        arrived = entry.key in found.venue.by_client_id
        assert entry.state == (states.OPEN if arrived else states.REJECTED)
        assert found.venue.sends[entry.key] <= 1

    run(scenario())


def test_what_is_cancelled_or_over_is_not_sent():
    async def scenario():
        found, entry = await holding(STOP, SELL, stop_price="90")
        await found.account.pilot.cancel(entry)
        assert entry.state == states.CANCELLED
        later = limit_order(
            type=STOP,
            side=SELL,
            price="",
            stop_price="90",
            time_in_force=orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME,
            expire_time_ns=found.clock.time_ns() + 10 * NANOSECONDS_PER_SECOND,
        )
        over = await found.account.pilot.place(later, "s", 0, held=True)
        await found.let_pass(12)
        assert over.state == states.EXPIRED
        found.prices.say("80")
        await found.let_pass(3)
        found.crash()
        found.start()
        await found.ready()
        found.prices.say("80")
        await found.let_pass(3)
        assert not found.venue.sends
        assert not found.account.ledger.index.open

    run(scenario())


def test_cancel_all_takes_those_that_are_held_too():
    async def scenario():
        found, held = await holding(STOP, SELL, stop_price="90")
        other = await found.account.pilot.place(limit_order(), "s", 0)
        both = await found.account.pilot.cancel_all()
        assert both == [held, other]
        assert {entry.state for entry in both} == {states.CANCELLED}

    run(scenario())


@pytest.mark.parametrize("is_compacted", [False, True])
def test_what_is_written_of_it_while_it_leaves_does_not_bring_it_back(is_compacted):
    async def scenario():
        found, entry = await holding(STOP, SELL, stop_price="90")
        account, disk = found.account, found.disk
        entry.is_triggered = True
        kept = []

        async def take(wish):
            await found.let_pass(1)
            kept.append(disk.content[: disk.synced])
            return Accepted(found.venue.arrive(wish).now.venue_order_id)

        account.desk.answers = [take]
        leaving = asyncio.ensure_future(account.pilot.release(entry))
        while not entry.is_leaving:
            await asyncio.sleep(0)
        if is_compacted:
            account.journal._compact_at = 0
        else:
            account.ledger.changed(entry)
            await account.commit()
        await leaving
        found.crash()
        # Of what was said after it was sent nothing was synced.
        disk.content = kept[0]
        found.start()
        await found.ready()
        entry = found.account.ledger.index.orders[entry.key]
        found.prices.say("80")
        await found.let_pass(60)
        assert not entry.held
        assert found.venue.sends == {entry.key: 1}

    run(scenario())
