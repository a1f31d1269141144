"""Stops that the venue does not support are held here, and sent once when triggered."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.request_budget import Priority
from kit.execution.contract import RequestAccepted
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import order_message
from kit.execution.orders.request_reader import read_request
from kit.execution.prices.reference_prices import TimedPrice
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import SPOT, Prices, World, run, verified
from kit.execution.tests.test_exit_retry import attempt, said

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
STOP = orders_pb2.ORDER_TYPE_STOP
STOP_LIMIT = orders_pb2.ORDER_TYPE_STOP_LIMIT
PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT
TRAILING = orders_pb2.ORDER_TYPE_TRAILING_STOP


async def holding(kind, side, settings=None, **more):
    found = World(3, settings, unreliable=False)
    found.instruments["BTCUSDT"] = SPOT
    found.prices = Prices()
    found.start()
    await found.ready()
    content = limit_order(type=kind, side=side, price="", **more)
    if kind == STOP_LIMIT:
        content.price = "100"
    order = await found.account.submitter.submit(verified(content, "r"), held_here=True)
    assert (order.state, order_message(order).held_here) == (order_states.OPEN, True)
    assert not found.venue.sends
    return found, order


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
def test_local_stop_is_sent_when_its_price_is_reached(kind, side, keeps, wakes):
    async def scenario():
        found, order = await holding(kind, side, stop_price="90")
        found.prices.trade(*keeps)
        await found.let_pass(5)
        assert not found.venue.sends
        found.prices.trade(wakes, wakes, "1", "1000")
        await found.let_pass(5)
        found.prices.trade(wakes)
        await found.let_pass(5)
        assert found.venue.sends == {order.key: 1}
        sent = found.venue.by_client_id[order.key].now
        is_limit = kind == STOP_LIMIT
        assert sent.type == (orders_pb2.ORDER_TYPE_LIMIT if is_limit else 1)
        assert sent.price == (Decimal(100) if is_limit else None)
        assert order_message(order).held_here is False
        assert order_message(order).content.type == kind

    run(scenario())


def test_triggered_stop_and_reduction_have_priority_over_new_orders():
    async def scenario():
        found, _ = await holding(STOP, SELL, stop_price="90")
        found.prices.trade("90")
        await found.let_pass(5)
        await found.account.submitter.submit(verified(limit_order(reduce_only=True), "reduces"))
        await found.account.submitter.submit(verified(limit_order(), "new"))
        assert found.venue.priorities == [Priority.PROTECT, Priority.PROTECT, Priority.NEW]

    run(scenario())


@pytest.mark.parametrize(
    ("more", "is_protective"),
    [
        ({}, False),
        ({"reduce_only": True}, True),
        ({"type": TRAILING, "trailing_offset": "1"}, True),
        ({"type": STOP_LIMIT, "stop_price": "1"}, True),
        ({"group": orders_pb2.OrderGroup(role=orders_pb2.GROUP_ROLE_EXIT)}, True),
        ({"group": orders_pb2.OrderGroup(role=orders_pb2.GROUP_ROLE_ENTRY)}, False),
    ],
)
def test_protective_order_has_priority(more, is_protective):
    content = limit_order(**more)
    order = Order("k", read_request(content, "k"), content, 0)
    order.is_triggered = order.was_held_here = True
    assert order.is_protective == is_protective


@pytest.mark.parametrize(
    ("side", "keeps", "wakes"),
    [(SELL, ["100", "120", "111"], "110"), (BUY, ["100", "80", "89"], "90")],
)
def test_trailing_stop_follows_the_best_price(side, keeps, wakes):
    async def scenario():
        found, order = await holding(TRAILING, side, trailing_offset="10")
        found.prices.trade(*keeps)
        await found.let_pass(5)
        assert not found.venue.sends
        assert order_message(order).trigger_price == wakes
        found.crash()
        found.start()
        await found.ready()
        order = found.account.state.index.open[order.key]
        assert order_message(order).trigger_price == wakes
        found.prices.trade(keeps[-1])
        await found.let_pass(2)
        assert not found.venue.sends
        found.prices.trade(wakes)
        await found.let_pass(2)
        assert found.venue.sends == {order.key: 1}
        assert order_message(order).trigger_price == ""

    run(scenario())


@pytest.mark.parametrize("is_disk_full", [False, True])
def test_triggered_stop_waits_until_the_account_is_ready(is_disk_full):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.account.session.set_readiness(2, "not now")
        found.account.readiness.state = 3
        if is_disk_full:
            found.disk.error = OSError(28, "No space left on device")
        found.prices.trade("89")
        await found.let_pass(0.5)
        found.disk.error = None
        await found.let_pass(2.5)
        assert not found.venue.sends
        found.lose_power()
        found.start()
        await found.ready()
        await found.let_pass(3)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


def test_stop_is_sent_while_the_one_before_has_no_answer():
    async def scenario():
        found, first = await holding(STOP, SELL, stop_price="90")
        content = limit_order(type=STOP, side=SELL, price="", stop_price="80")
        second = await found.account.submitter.submit(verified(content, "s"), held_here=True)
        answered = asyncio.Event()

        async def slow(request):
            await answered.wait()
            return RequestAccepted("1")

        found.venue.client.verdicts.append(slow)
        found.prices.trade("89")
        await found.let_pass(1)
        assert found.account.submitter.is_placing(first)
        found.prices.trade("79")
        await found.let_pass(1)
        assert found.venue.sends == {first.key: 1, second.key: 1}
        assert found.account.submitter.is_placing(first)

    run(scenario())


def test_triggered_stop_is_sent_after_a_full_disk():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.disk.error = OSError(28, "No space left on device")
        found.prices.trade("89")
        await found.let_pass(5)
        assert not found.venue.sends
        assert order.held_here
        found.disk.error = None
        await found.let_pass(5)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


@pytest.mark.parametrize("step", range(1, 40, 2))
def test_crash_while_a_stop_is_sent_is_recovered(step):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.process.dies_at = found.process.steps + step
        found.prices.trade("89")
        await found.let_pass(5)
        found.crash()
        found.start()
        await found.ready()
        found.prices.trade("89")
        order = found.account.state.index.orders[order.key]
        await found.until(
            lambda: (
                order.state in (order_states.OPEN, order_states.REJECTED) and not order.held_here
            )
        )
        arrived = order.key in found.venue.by_client_id
        assert order.state == (order_states.OPEN if arrived else order_states.REJECTED)
        assert found.venue.sends[order.key] <= 1
        # What never arrived is sent as another order.
        await found.until(lambda: found.venue.by_client_id)
        await found.let_pass(60)
        (live,) = found.venue.by_client_id
        assert live == (order.key if arrived else attempt(found, "r", 2).key)
        assert not said(found)

    run(scenario())


def test_cancelled_or_expired_stop_is_not_sent():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        await found.account.submitter.cancel(order)
        assert order.state == order_states.CANCELLED
        later = limit_order(
            type=STOP,
            side=SELL,
            price="",
            stop_price="90",
            time_in_force=orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME,
            expire_time_ns=found.clock.time_ns() + 10 * NANOSECONDS_PER_SECOND,
        )
        over = await found.account.submitter.submit(verified(later, "s"), held_here=True)
        await found.let_pass(12)
        assert over.state == order_states.EXPIRED
        found.prices.trade("80")
        await found.let_pass(3)
        found.crash()
        found.start()
        await found.ready()
        found.prices.trade("80")
        await found.let_pass(3)
        assert not found.venue.sends
        assert not found.account.state.index.open

    run(scenario())


def test_cancel_all_includes_local_stops():
    async def scenario():
        found, held = await holding(STOP, SELL, stop_price="90")
        other = await found.account.submitter.submit(verified(limit_order(), "s"))
        both = await found.account.submitter.cancel_all()
        assert both == [held, other]
        assert {order.state for order in both} == {order_states.CANCELLED}

    run(scenario())


@pytest.mark.parametrize("is_compacted", [False, True])
def test_update_written_while_a_stop_is_sent_does_not_hold_it_again(is_compacted):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        account, disk = found.account, found.disk
        order.is_triggered = True
        kept = []

        async def take(request):
            await found.let_pass(1)
            kept.append(disk.content[: disk.synced])
            return RequestAccepted(found.venue.arrive(request).now.venue_order_id)

        account.client.verdicts = [take]
        leaving = asyncio.ensure_future(account.submitter.release(order))
        while not order.is_sending:
            await asyncio.sleep(0)
        if is_compacted:
            account.journal._bytes._compact_at = 0
        else:
            account.state.record_change(order)
            await account.journal.commit()
        await leaving
        found.crash()
        # Of what was said after it was sent nothing was synced.
        disk.content = kept[0]
        found.start()
        await found.ready()
        order = found.account.state.index.orders[order.key]
        found.prices.trade("80")
        await found.let_pass(60)
        assert not order.held_here
        assert found.venue.sends == {order.key: 1}

    run(scenario())


def test_stop_without_live_data_raises_an_alarm_and_keeps_working():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        account = found.account
        await found.let_pass(2)
        assert (account.message().detail, account.local_stops.stale) == ("", {})
        found.prices.problem = "BTCUSDT is silent"
        await found.let_pass(2)
        assert "BTCUSDT is silent" in account.message().detail
        details = [one.account.detail for one in account.executions._events]
        assert any("BTCUSDT is silent" in one for one in details)
        assert account.local_stops.stale.keys() == {"BTCUSDT"}
        found.prices.trade("90")
        await found.let_pass(2)
        assert found.venue.sends == {order.key: 1}
        assert account.message().detail == ""

    run(scenario())


def test_trade_from_before_a_stop_was_placed_does_not_trigger_it():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        await found.let_pass(20)
        found.prices.trade("89", age_ns=60 * NANOSECONDS_PER_SECOND)
        await found.let_pass(2)
        assert not found.venue.sends
        found.prices.trade("89", age_ns=10 * NANOSECONDS_PER_SECOND)
        await found.let_pass(2)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


async def stale_stop(price, age_s=0, **settings):
    """A stop that sells at 90 whose trades are not live, once another price of its symbol is
    known."""
    found, order = await holding(STOP, SELL, stop_price="90", settings=OrdersSettings(**settings))
    await found.let_pass(10)
    found.prices.problem = "BTCUSDT is silent"
    made_ns = found.clock.time_ns() - age_s * NANOSECONDS_PER_SECOND
    found.prices.found_elsewhere = TimedPrice(Decimal(price), made_ns)
    await found.let_pass(10)
    return found, order


@pytest.mark.parametrize("source", ["mark", "venue_last"])
def test_stop_without_live_trades_goes_out_on_another_price(source):
    async def scenario():
        found, order = await stale_stop("89", stale_stop_price=source)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


@pytest.mark.parametrize(
    ("price", "age_s", "source"),
    [("91", 0, "venue_last"), ("89", 60, "venue_last"), ("89", 0, "none")],
)
def test_stop_without_live_trades_waits(price, age_s, source):
    """Its price is not reached, or was reached before it was placed, or nothing else is asked."""

    async def scenario():
        found, _ = await stale_stop(price, age_s, stale_stop_price=source)
        assert not found.venue.sends
        detail = found.account.message().detail
        assert "BTCUSDT is silent" in detail
        assert ("by REST triggers them, now" in detail) == (source != "none")

    run(scenario())


def test_stop_without_any_price_says_so():
    async def scenario():
        found, _ = await stale_stop("91")
        found.prices.found_elsewhere = None
        await found.let_pass(5)
        assert "is not known either" in found.account.message().detail
        found.prices.problem = ""
        await found.let_pass(5)
        assert found.account.message().detail == ""

    run(scenario())
