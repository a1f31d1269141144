"""A flip closes a position and then opens the other side, in one lifecycle."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2, signals_pb2

from core.inspector.submissions import TAKEN
from core.inspector.tests.lying_venue import FILLED, OPEN, UNKNOWN
from core.inspector.tests.rig import DECISIONS, EXECUTIONS, SPOT, close, decision, mode
from core.inspector.tests.test_lifecycles import HALTED, prefix, tell
from core.inspector.tests.test_position_updates import flattened
from tests.support.waiting import eventually, until

FLIP = signals_pb2.POSITION_ACTION_FLIP
SELL = types_pb2.SIDE_SELL
ALLOW, BLOCK = risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_BLOCK
STEPS_MAX = 200
TERMS = {"stop_price": "61000", "target_price": "58000"}


@pytest.fixture(autouse=True)
def perpetual(rig):
    """A derivative: on spot nobody can be short."""
    instrument = types_pb2.Instrument()
    instrument.CopyFrom(SPOT)
    instrument.kind = types_pb2.INSTRUMENT_KIND_PERPETUAL
    instrument.contract_kind = types_pb2.CONTRACT_KIND_LINEAR
    instrument.size_unit = types_pb2.SIZE_UNIT_BASE
    instrument.settlement_asset = "USDT"
    rig.instruments["binance", "BTCUSDT"] = instrument


def flip(number, side=SELL, **fields):
    return decision(number, FLIP, side=side, **TERMS, **fields)


def held(rig):
    """What the fills leave, without fees."""
    sizes = [(one.side, Decimal(one.size)) for one in rig.venue.all_fills]
    return sum(-size if side == SELL else size for side, size in sizes)


async def until_verdicts(rig, count):
    async def are_given():
        return len(await rig.verdicts()) == count

    await eventually(are_given)
    return await rig.verdicts()


async def begin_flip(rig, event=None):
    """Flip a position, of which the closing order has no outcome yet."""
    rig.venue.closing_state = UNKNOWN
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await rig.put(DECISIONS, event or flip(2))
    await until(lambda: any("UNKNOWN" in text for text in process.closer.problems.values()))
    return process


def end_closing(rig):
    rig.venue.closing_state = FILLED
    rig.venue.end_unknown(is_filled=True)


async def test_other_side_is_opened_with_its_stop_once_the_position_is_closed(rig):
    event = flip(2)
    await begin_flip(rig, event)
    assert len(rig.venue.made) == 4
    end_closing(rig)
    outcomes = await rig.until_outcomes(3)
    assert {one.outcome for one in outcomes} == {TAKEN}
    # One lifecycle: its first order closes, the others open.
    assert rig.venue.made[3:] == [f"{prefix(event)}-{number}" for number in (1, 2, 3, 4)]
    assert held(rig) == Decimal("-0.01")
    (position,) = await rig.open_positions()
    assert position.position_id == event.lifecycle_id
    opened = [one for one in rig.venue.orders.values() if one.state == OPEN]
    assert [one.content.stop_price for one in opened] == ["61000", "58000"]
    assert [one.content.side for one in opened] == [types_pb2.SIDE_BUY] * 2
    given = await rig.verdicts()
    assert [one.is_reduction for one in given] == [False, True, True, False]
    details = [one.checks[1].detail for one in given if not one.orders]
    assert details == ["it is closed first; then the other side has a verdict of its own"]


async def test_flip_whose_closing_lasts_longer_than_its_signal_only_closes_and_says_so(rig):
    process = await begin_flip(rig, flip(2, expires_time_ns=rig.clock.time_ns() + 10**10))
    await process.closer._clock.sleep(11)
    end_closing(rig)
    await rig.until_flat()
    *_, given = await until_verdicts(rig, 4)
    assert given.verdict == BLOCK
    (check,) = [one for one in given.checks if one.name == "expiry"]
    assert int(check.observed) >= int(check.limit)
    assert len(rig.venue.made) == 4
    assert held(rig) == 0


async def test_mode_keeps_the_other_side_from_being_opened(rig):
    process = await begin_flip(rig)
    await process.changes.set(mode(HALTED), "lena")
    end_closing(rig)
    await rig.until_flat()
    *_, given = await until_verdicts(rig, 4)
    assert given.verdict == risk_pb2.VERDICT_STAND_DOWN
    assert held(rig) == 0


async def test_flip_to_the_side_that_is_held_only_closes(rig):
    await begin_flip(rig, flip(2, types_pb2.SIDE_BUY))
    end_closing(rig)
    await rig.until_flat()
    *_, given = await until_verdicts(rig, 4)
    assert (given.verdict, given.checks[-1].name) == (BLOCK, "flip_side")
    assert held(rig) == 0


async def test_newest_of_flip_and_close_says_whether_the_other_side_is_opened(rig):
    await begin_flip(rig)
    await rig.put(DECISIONS, flip(3), close(4))
    given = await until_verdicts(rig, 5)
    details = [one.checks[1].detail for one in given if not one.orders][1:]
    assert details == [
        "it is being closed already",
        "it was to be flipped: it is closed, and the other side is not opened",
    ]
    await rig.put(DECISIONS, flip(5))
    await until_verdicts(rig, 6)
    end_closing(rig)
    await rig.until_outcomes(3)
    (position,) = await rig.open_positions()
    assert position.position_id == flip(5).lifecycle_id
    assert held(rig) == Decimal("-0.01")


async def test_flip_that_comes_while_the_last_step_of_a_close_runs_opens_the_other_side(rig):
    await begin_flip(rig, close(2))
    find = rig.venue.find

    async def find_after_the_flip(*arguments):
        # The closer has read the position before.
        if len(await rig.verdicts()) == 3:
            await rig.put(DECISIONS, flip(3))
            await until_verdicts(rig, 4)
            end_closing(rig)
        return await find(*arguments)

    rig.venue.find = find_after_the_flip
    await rig.until_outcomes(3)
    (position,) = await rig.open_positions()
    assert position.position_id == flip(3).lifecycle_id
    assert held(rig) == Decimal("-0.01")


@pytest.mark.parametrize("by", ["close", "mode", "person"])
async def test_what_closes_a_position_that_is_being_flipped_opens_nothing(rig, by):
    process = await begin_flip(rig)
    if by == "close":
        await rig.put(DECISIONS, close(3))
        await until_verdicts(rig, 4)
    elif by == "mode":
        closing = mode(risk_pb2.TRADING_MODE_CLOSING_ALL)
        await process.changes.set(closing, "lena")
        await process.changes.set(mode(risk_pb2.TRADING_MODE_ACTIVE), "lena")
    else:
        await tell(rig)
        await rig.put(EXECUTIONS, flattened(1, ("ema_cross", "-0.01")))
        await until(lambda: process.closer.problems)

        async def is_told():
            return any(one.size == "0" for one in await rig.payloads("position_changed"))

        await eventually(is_told)
    rig.venue.closing_state = FILLED
    rig.venue.end_unknown(is_filled=by != "person")
    await rig.until_flat()
    assert len(rig.venue.made) == 4


async def test_flip_without_a_position_opens_one(rig):
    await rig.start()
    await rig.put(DECISIONS, flip(1))
    await rig.until_outcomes(1)
    assert held(rig) == Decimal("-0.01")


@pytest.mark.parametrize("phase", range(2))
async def test_killed_at_any_step_a_flip_closes_once_and_opens_once(rig, phase):
    for at in range(1 + phase, STEPS_MAX, 9):
        rig.venue.made.clear()
        first = at * 10
        opened, flipped, closed = decision(first), flip(first + 1), close(first + 2)
        await rig.kill()
        await rig.start()
        before = len(await rig.outcomes())
        await rig.put(DECISIONS, opened)
        await rig.until_outcomes(before + 1)
        await rig.kill()
        process = await rig.start(at=at)
        await rig.put(DECISIONS, flipped)
        was_killed = process.points.reached.is_set

        async def is_over():
            return was_killed() or len(await rig.outcomes()) == before + 3  # noqa: B023

        await eventually(is_over)
        await rig.kill()
        await rig.start()
        await rig.until_outcomes(before + 3)
        # What has opened it, what closed it, and what has opened the other side.
        names = [f"{prefix(opened)}-{number}" for number in (1, 2, 3)]
        names += [f"{prefix(flipped)}-{number}" for number in (1, 2, 3, 4)]
        assert rig.venue.made == names, (at, process.points.steps)
        assert held(rig) == Decimal("-0.01")
        await rig.put(DECISIONS, closed)
        await rig.until_flat()
        assert held(rig) == 0
        if not was_killed():
            break
    assert at > 1
