"""No position is without a stop for long."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.tests.lying_venue import CANCELLED, FILLED, OPEN
from core.inspector.tests.rig import DECISIONS, close, decision
from core.inspector.tests.test_lifecycles import DUST, STOP, tell
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
