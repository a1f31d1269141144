"""A stop that trails moves towards the market only, and the position is never without one."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.inspector.v1 import risk_reports_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.protection import PROTECTED
from core.inspector.tests.rig import DECISIONS, decision
from core.inspector.tests.test_lifecycles import REDUCE, STOP, tell
from core.inspector.tests.test_risk_reports import reports
from core.inspector.tests.test_stop_monitor import alarms, end_exits
from kit.base.errors import NotSupported
from tests.support.waiting import eventually, until

TRAILING = orders_pb2.ORDER_TYPE_TRAILING_STOP
TAKE_PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT
OPEN = orders_pb2.ORDER_STATE_OPEN
LONG = {"trailing_offset": "500"}
SHORT = {
    "side": types_pb2.SIDE_SELL,
    "stop_price": "61000",
    "target_price": "58000",
    "trailing_offset": "500",
}


async def open_trailing(rig, **fields):
    """A position whose stop trails. Returns the process."""
    process = await rig.start()
    await rig.put(DECISIONS, decision(1, **(fields or LONG)))
    await rig.until_outcomes(1)
    await until(lambda: process.unprotected.protected)
    return process


def open_exit(rig, kind):
    (found,) = [
        one for one in rig.venue.orders.values() if (one.content.type, one.state) == (kind, OPEN)
    ]
    return found


def trails_to(rig, price):
    """The venue's process has seen a better price."""
    open_exit(rig, TRAILING).trigger_price = price


def stop_price(rig):
    return open_exit(rig, STOP).content.stop_price


async def until_trailed(rig, price):
    async def is_stored():
        return [one.trailed_price for one in await rig.open_positions()] == [price]

    await eventually(is_stored)


async def test_entry_has_a_stop_and_a_second_one_that_trails(rig):
    await open_trailing(rig)
    (verdict,) = await rig.verdicts()
    contents = [one.content for one in verdict.orders]
    assert [one.type for one in contents[1:]] == [STOP, TAKE_PROFIT, TRAILING]
    assert (contents[3].trailing_offset, contents[3].stop_price) == ("500", "")
    assert {one.group.count for one in contents} == {4}


@pytest.mark.parametrize(
    ("fields", "prices", "last"),
    [(LONG, ["59600", "60200", "60000"], "60200"), (SHORT, ["60400", "59800", "60000"], "59800")],
)
async def test_stop_follows_the_best_price_and_never_moves_back(rig, fields, prices, last):
    await open_trailing(rig, **fields)
    for price in prices[:2]:
        trails_to(rig, price)
        await until_trailed(rig, price)
        assert stop_price(rig) == price
    trails_to(rig, prices[2])
    await rig.process.unprotected._clock.sleep(10)
    assert stop_price(rig) == last
    # It was amended where it is: no order was cancelled, and none was added.
    assert len(rig.venue.made) == 4
    assert await alarms(rig) == []


async def test_small_moves_of_the_price_send_nothing(rig):
    await open_trailing(rig)
    trails_to(rig, "59049")
    await rig.process.unprotected._clock.sleep(10)
    assert rig.venue.amendments == []
    trails_to(rig, "59050")
    await until_trailed(rig, "59050")


async def test_stop_that_the_venue_cannot_amend_stays_and_the_price_is_stored(rig):
    await open_trailing(rig)
    rig.venue.always["amend"] = NotSupported.reason
    for price in ("59600", "60200"):
        trails_to(rig, price)
        await until_trailed(rig, price)
    assert stop_price(rig) == "59000"
    assert rig.venue.calls.count("amend") == 1
    assert (open_exit(rig, TRAILING).state, await alarms(rig)) == (OPEN, [])


@pytest.mark.parametrize("fault", ["lost", "unanswered"])
async def test_amendment_without_an_answer_raises_no_alarm_and_is_made_once(rig, fault):
    await open_trailing(rig)
    rig.venue.faults.append(fault)
    trails_to(rig, "60200")
    await until(lambda: stop_price(rig) == "60200")
    await rig.process.unprotected._clock.sleep(10)
    assert len(rig.venue.amendments) == 1
    assert await alarms(rig) == []


async def test_new_exits_begin_where_the_stop_has_trailed_to(rig):
    await open_trailing(rig)
    trails_to(rig, "60200")
    await until_trailed(rig, "60200")
    await rig.kill()
    end_exits(rig)
    await rig.start()
    await until(lambda: len(rig.venue.made) == 4 + 3)
    assert stop_price(rig) == "60200"
    assert open_exit(rig, TRAILING).content.trailing_offset == "500"


async def test_stop_that_somebody_has_moved_away_from_the_market_is_replaced(rig):
    await open_trailing(rig)
    open_exit(rig, STOP).content.stop_price = "58000"
    await until(lambda: len(rig.venue.made) == 4 + 3)
    assert stop_price(rig) == "59000"
    assert (await alarms(rig))[0] == ("its stop triggers at 58000, not at 59000", True)


async def test_part_that_is_left_has_exits_of_its_size_from_the_price_that_was_reached(rig):
    await open_trailing(rig)
    trails_to(rig, "60200")
    await until_trailed(rig, "60200")
    await rig.put(DECISIONS, decision(2, REDUCE, reduce_fraction="0.5"))
    await until(lambda: len(rig.venue.made) == 4 + 1 + 3)
    held = rig.venue.held()
    assert 0 < held < Decimal("0.006")
    assert stop_price(rig) == "60200"
    for kind in (STOP, TRAILING, TAKE_PROFIT):
        assert Decimal(open_exit(rig, kind).content.size) == held


async def test_trailing_stop_that_triggers_ends_the_position(rig):
    await open_trailing(rig)
    rig.venue.trigger(TRAILING)
    await tell(rig)
    await rig.until_flat()
    assert len(rig.venue.made) == 4


async def test_each_move_of_the_stop_is_an_event_of_its_chain_with_its_approval(rig):
    await open_trailing(rig)
    for price in ("59600", "60200"):
        trails_to(rig, price)
        await until_trailed(rig, price)
    moves = [one for one in await rig.events() if one.HasField("stop_trailed")]
    prices = [(one.stop_trailed.before, one.stop_trailed.after) for one in moves]
    assert prices == [("59000", "59600"), ("59600", "60200")]
    (position,) = await rig.open_positions()
    assert {one.lifecycle_id for one in moves} == {position.position_id}
    approved = [one.stop_trailed.amendment for one in moves]
    await until(lambda: rig.venue.amendments == [one.request_id for one in approved])
    assert {one.target_client_order_id for one in approved} == {
        open_exit(rig, STOP).client_order_id
    }


async def test_stop_that_stays_at_the_venue_has_an_event_without_an_amendment(rig):
    await open_trailing(rig)
    rig.venue.always["amend"] = NotSupported.reason
    for price in ("59600", "60200"):
        trails_to(rig, price)
        await until_trailed(rig, price)
    first, second = await rig.payloads("stop_trailed")
    assert first.HasField("amendment")
    assert not second.HasField("amendment")
    assert second.after == "60200"


async def test_report_shows_how_far_the_stop_has_trailed(rig):
    process = await open_trailing(rig)
    trails_to(rig, "60200")
    await until_trailed(rig, "60200")
    asked = risk_reports_pb2.ListProtectionsRequest()
    (found,) = (await reports(rig, process).ListProtections(asked, None)).protections
    assert (found.trailing_offset, found.trailed_price, found.state) == ("500", "60200", PROTECTED)
    assert [(one.is_stop, one.is_trailing) for one in found.exits].count((False, True)) == 1


async def test_look_that_began_before_the_last_move_moves_nothing(rig):
    process, found = await open_trailing(rig), []
    look = process.unprotected.when_reported
    process.unprotected.when_reported = lambda *seen: (found.append(seen), look(*seen))
    for price in ("59600", "60200"):
        trails_to(rig, price)
        await until_trailed(rig, price)
    await until(lambda: "60200" in [one.content.stop_price for one in found[-1][2]])
    (before, *_), (_, *orders) = found[0], found[-1]
    look(before, *orders)
    looks = len(found)
    await until(lambda: len(found) > looks + 1)
    trails_to(rig, "60800")
    await until_trailed(rig, "60800")
    trailed = [one.after for one in await rig.payloads("stop_trailed")]
    assert trailed == ["59600", "60200", "60800"]
