"""No position is without a stop for long."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2

from core.inspector.tests.lying_venue import CANCELLED, FILLED, OPEN
from core.inspector.tests.rig import DECISIONS, close, decision
from core.inspector.tests.test_lifecycles import DUST, STOP, tell
from core.inspector.tests.test_manual_orders import LENA, amend
from kit.base.clock import NANOSECONDS_PER_SECOND
from tests.support.waiting import eventually, until

TAKE_PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT


def end_exits(rig, kind=None):
    """Somebody cancels them, or those of a type."""
    for order in rig.venue.orders.values():
        if order.state == OPEN and kind in (None, order.content.type):
            rig.venue._set(order, CANCELLED)


def working(rig):
    return [one.content.stop_price for one in rig.venue.orders.values() if one.state == OPEN]


async def test_position_that_lost_its_exits_gets_new_ones_once_and_is_closed_then(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    end_exits(rig)
    await until(lambda: process.unprotected.found)
    await until(lambda: working(rig) == ["59000", "62000"])
    sizes = {Decimal(one.content.size) for one in rig.venue.orders.values() if one.state == OPEN}
    assert sizes == {rig.venue.held()}
    await until(lambda: not process.unprotected.found)
    end_exits(rig)
    await rig.until_flat()
    assert 0 <= rig.venue.held() < DUST


async def test_stop_that_has_triggered_and_waits_to_be_sent_is_an_alarm_and_the_position_is_closed(
    rig,
):
    """The venue rejects its order again and again."""
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await until(lambda: process.unprotected.protected)
    for order in rig.venue.orders.values():
        if order.content.type == STOP:
            order.held_here = order.is_triggered = True
    await until(lambda: process.unprotected.found)
    await rig.until_flat()
    # There were no new exits before the order that has closed it.
    assert len(rig.venue.made) == 4
    changed = [one.protection_changed for one in await rig.events()]
    problems = [one.problem for one in changed if one.problem]
    assert problems == ["its stop has triggered, and is not filled"]


async def test_position_that_lost_only_its_stop_gets_both_exits_again(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    end_exits(rig, STOP)
    await until(lambda: len(rig.venue.made) == 5)
    assert working(rig) == ["59000", "62000"]


async def test_position_that_lost_only_its_take_profit_is_left_alone(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    # Those that have replaced the first ones too.
    end_exits(rig)
    await until(lambda: working(rig) == ["59000", "62000"])
    end_exits(rig, TAKE_PROFIT)
    await process.unprotected._clock.sleep(30)
    assert working(rig) == ["59000"]
    assert not process.unprotected.found


async def test_position_is_not_without_a_stop_while_fills_of_its_take_profit_are_missing(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    for order in rig.venue.orders.values():
        if order.content.type == TAKE_PROFIT:
            order.filled_size = order.content.size
            rig.venue._set(order, FILLED)
    end_exits(rig, STOP)
    await tell(rig)
    await process.unprotected._clock.sleep(30)
    (position,) = await rig.open_positions()
    assert not position.is_closing


async def test_exits_that_a_venue_rejects_at_once_leave_no_position(rig):
    make = rig.venue._make

    def rejecting(approved):
        order = make(approved)
        if order.content.stop_price:
            rig.venue._set(order, orders_pb2.ORDER_STATE_REJECTED)
        return order

    rig.venue._make = rejecting
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await rig.until_flat()
    assert 0 <= rig.venue.held() < DUST


async def test_stop_is_the_last_order_to_be_cancelled(rig):
    """While the end of the take-profit is not known, the stop works."""
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    rig.venue.always["cancel"] = "lost"
    await rig.put(DECISIONS, close(2))
    await until(lambda: process.closer.problems)
    cancelled = []
    cancel = rig.venue._cancel

    def recorded(approved):
        order = cancel(approved)
        cancelled.append(order.content.type)
        return order

    rig.venue._cancel = recorded
    del rig.venue.always["cancel"]
    await rig.until_flat()
    assert cancelled[:2] == [TAKE_PROFIT, STOP]


async def test_killed_between_the_stop_and_the_closing_order_it_closes_soon_after_its_start(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    # The exits are cancelled, and the closing order does not leave.
    rig.venue.always["place"] = "lost"
    await rig.put(DECISIONS, close(2))

    async def is_approved():
        return len(await rig.verdicts()) == 3

    await eventually(is_approved)
    assert working(rig) == []
    await rig.kill()
    rig.venue.always.clear()
    began_ns = rig.clock.time_ns()
    await rig.start()
    await until(lambda: len(rig.venue.made) == 4)
    assert rig.clock.time_ns() - began_ns <= 10 * NANOSECONDS_PER_SECOND
    await rig.until_flat()
    assert list(rig.venue.orders.values())[-1].state == FILLED


async def alarms(rig):
    return [(one.problem, one.is_certain) for one in await rig.payloads("protection_changed")]


async def until_alarms(rig, count):
    async def are_there():
        return len(await alarms(rig)) >= count

    await eventually(are_there)
    return await alarms(rig)


async def open_protected(rig):
    """A position that the monitor has seen with its stop."""
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await until(lambda: process.unprotected.protected)
    return process


def stop_of(rig):
    (found,) = [
        one for one in rig.venue.orders.values() if (one.content.type, one.state) == (STOP, OPEN)
    ]
    return found


async def test_alarm_begins_before_anything_is_stored_of_the_end_and_ends_with_the_new_stop(rig):
    process = await open_protected(rig)
    times = []
    process.unprotected.when_protected = times.append
    end_exits(rig)
    assert await until_alarms(rig, 2) == [("it has no stop", True), ("", False)]
    (begun, over) = await rig.payloads("protection_changed")
    assert (begun.strategy, begun.venue, begun.account) == ("ema_cross", "binance", "paper")
    assert begun.symbol == over.symbol == "BTCUSDT"
    assert Decimal(begun.size) == Decimal(over.size) > 0
    assert len(times) == 1
    assert times[0] > 1


async def test_alarm_of_a_position_that_is_closed_ends_with_it(rig):
    process = await open_protected(rig)
    rig.venue.always["place"] = "lost"
    end_exits(rig)
    await until_alarms(rig, 1)
    rig.venue.always.clear()
    await rig.put(DECISIONS, close(2))
    await rig.until_flat()
    assert await until_alarms(rig, 2) == [("it has no stop", True), ("", False)]
    await until(lambda: not process.unprotected._times)


async def test_stop_for_a_part_of_the_position_is_none(rig):
    await open_protected(rig)
    stop_of(rig).content.size = "0.005"
    found = await until_alarms(rig, 2)
    assert found[0] == (f"its stop is for 0.005 of {rig.venue.held()}", True)
    assert stop_of(rig).content.size == str(rig.venue.held())


async def test_fills_that_no_event_has_reported_need_a_stop_too(rig):
    """Of an entry that goes on being filled."""
    process = await open_protected(rig)
    entry = next(iter(rig.venue.orders.values()))
    entry.state = orders_pb2.ORDER_STATE_PARTLY_FILLED
    rig.venue._fill(entry, Decimal("0.01"))
    rig.venue.all_fills.pop()
    async with rig.database.transaction() as connection:
        await connection.execute("UPDATE inspector_orders SET state = 5 WHERE role = 1")
    found = await until_alarms(rig, 1)
    assert found[0] == ("its stop is for 0.01 of 0.01998", True)
    assert process.unprotected.found


async def test_stop_at_another_price_than_approved_is_replaced(rig):
    await open_protected(rig)
    stop_of(rig).content.stop_price = "50000"
    found = await until_alarms(rig, 2)
    assert found == [("its stop triggers at 50000, not at 59000", True), ("", False)]
    assert working(rig) == ["59000", "62000"]


async def test_stop_that_a_person_has_amended_is_the_stop(rig):
    process = await open_protected(rig)
    stop = stop_of(rig)
    content = orders_pb2.OrderContent()
    content.CopyFrom(stop.content)
    content.stop_price = "59500"
    await process.manual.submit(amend(stop, content=content), LENA)
    end_exits(rig)
    await until_alarms(rig, 2)
    assert working(rig) == ["59500", "62000"]


async def test_no_answer_is_no_missing_stop_and_an_alarm_when_it_lasts(rig):
    process = await open_protected(rig)
    rig.venue.is_silent = True
    (found,) = await until_alarms(rig, 1)
    assert found == ("not known: silent", False)
    await process.unprotected._clock.sleep(30)
    assert working(rig) == ["59000", "62000"]
    assert len(rig.venue.made) == 3
    assert not process.unprotected.found
    rig.venue.is_silent = False
    assert (await until_alarms(rig, 2))[1] == ("", False)


async def test_account_that_is_not_compared_with_the_venue_proves_no_stop(rig):
    await open_protected(rig)
    rig.venue.account_state = accounts_pb2.ACCOUNT_STATE_DISCONNECTED
    ((problem, is_certain),) = await until_alarms(rig, 1)
    assert "binance/paper is not ready" in problem
    assert not is_certain


async def test_protection_is_verified_at_once_after_a_restart(rig):
    await open_protected(rig)
    await rig.kill()
    end_exits(rig)
    process = await rig.start()
    look, found = process.unprotected.look, []

    async def noted(account, watched):
        await look(account, watched)
        found.append(bool(process.unprotected.found))

    process.unprotected.look = noted
    await until(lambda: found)
    assert found[0], "the first look finds it"
    await until(lambda: working(rig) == ["59000", "62000"])


async def test_restart_tells_no_alarm_twice_and_remembers_the_new_exits(rig):
    await open_protected(rig)
    end_exits(rig)
    await until_alarms(rig, 2)
    end_exits(rig)
    await until_alarms(rig, 3)
    await rig.kill()
    await rig.start()
    await rig.until_flat()
    assert [problem for problem, _ in await until_alarms(rig, 4)] == ["it has no stop", ""] * 2
    assert len(rig.venue.made) == 3 + 2 + 1
