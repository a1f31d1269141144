"""Venues whose ids tell less, and what their candles tell."""

from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.repair.v1 import repair_pb2

from core.repair.holes import DONE, FILLED, INCOMPLETE, UNAVAILABLE
from core.repair.tests.rig import (
    BEGIN_NS,
    SKIPPING,
    SYMBOL,
    UNNUMBERED,
    VENUE,
    gap,
    rig_of,
    trade,
    trades,
)
from kit.base.clock import NANOSECONDS_PER_SECOND

PARTIAL = types_pb2.FILL_OUTCOME_PARTIAL
GONE = types_pb2.FILL_OUTCOME_UNAVAILABLE
HISTORY = trades(*range(1, 601))


@pytest.fixture
def rig(valkey_url, postgres_url):
    return partial(rig_of, valkey_url, postgres_url)


def without(*numbers: int):
    return [one for one in HISTORY if one.number not in numbers]


async def test_sums_of_several_trades_are_not_counted_twice(rig):
    # The feed reported 101 to 103 as one trade under the last id; 104 to 106 were missed.
    history = [trade(one, offset_s=103) if one in (101, 102, 103) else trade(one)
               for one in range(90, 130)]  # fmt: skip
    alike = [one._replace(price=history[13].price, side=1) for one in history[11:14]]
    history[11:14] = alike
    recorded = [one for one in history if one.number not in range(101, 107)]
    summed = alike[2]._replace(size=sum(one.size for one in alike))
    async with rig(history, SKIPPING) as made:
        await made.recorded([*recorded, summed])
        await made.gap(gap(103, 107, last_id_before=103, first_id_after=107))
        # A restart tells no ids: only the sum shows what belongs to it.
        restart = gap(100, 103, symbol="", last_time_ns=0, first_time_ns=0,
                      detected_time_ns=BEGIN_NS + 102 * NANOSECONDS_PER_SECOND)  # fmt: skip
        await made.gap(restart, 2)
        async with made.running():
            job = await made.mended()
        assert (job.state, job.hole_count) == (DONE, 2)
        assert made.published == ["104", "105", "106"]


LETTERS = trades(*(f"{number}x" for number in range(1, 301)))


async def test_without_numbers_equal_trades_prove_a_repair(rig):
    async with rig(LETTERS, UNNUMBERED) as made:
        await made.recorded([*LETTERS[:100], *LETTERS[110:]])
        await made.gap(gap(100, 111))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.trade_count) == (DONE, 10)
        assert await made.ids() == [one.trade_id for one in LETTERS]
        (hole,) = await made.holes()
        assert "equal trades stand on both sides" in hole.detail


async def test_where_the_venue_keeps_its_newest_trades_only_the_gap_stays(rig):
    async with rig(LETTERS, UNNUMBERED) as made:
        made.venue.newest_only = 60
        await made.recorded([*LETTERS[:100], *LETTERS[110:235], *LETTERS[245:]])
        await made.gap(gap(100, 111), 1)
        await made.gap(gap(235, 246), 2)
        async with made.running():
            job = await made.mended()
        assert (job.state, job.hole_count, job.unavailable_count) == (INCOMPLETE, 2, 2)
        newest, oldest = await made.holes()
        assert "the venue tells only trades 241x to 300x" in oldest.detail
        assert {newest.state, oldest.state} == {UNAVAILABLE}
        # Of the newer gap the end was had, up to the trade that joins.
        assert made.published == ["241x", "242x", "243x", "244x", "245x"]
        assert newest.span.end_time_ns == trade("241x").time_ns
        assert [fill.outcome for fill in made.fills] == [PARTIAL, GONE, GONE]


async def test_a_minute_that_is_less_than_the_venues_candle_is_a_hole(rig):
    async with rig(LETTERS, UNNUMBERED) as made:
        await made.recorded([*LETTERS[:130], *LETTERS[140:]])
        await made.candles.look()
        (hole,) = await made.holes()
        assert hole.source == repair_pb2.HOLE_SOURCE_CANDLES
        async with made.running():
            job = await made.mended()
        assert (job.state, job.trade_count) == (DONE, 10)
        rows = await made.query("SELECT DISTINCT verdict, explanation FROM bar_checks")
        assert rows == [(0, "")]


async def test_holes_that_overlap_are_mended_one_after_the_other(rig):
    async with rig(LETTERS, UNNUMBERED) as made:
        # Missing at the end of a minute and at the beginning of the next.
        await made.recorded([*LETTERS[:110], *LETTERS[130:]])
        await made.gap(gap(110, 131))
        await made.gap(gap(105, 125), 2)
        async with made.running():
            job = await made.mended()
        assert (job.state, job.hole_count, job.trade_count) == (DONE, 2, 20)
        assert len(made.published) == len(set(made.published)) == 20


async def test_where_ids_are_consecutive_they_say_what_a_minute_lacks(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(*range(100, 130)))
        await made.candles.look()
        (hole,) = await made.holes()
        assert (hole.span.last_id_before, hole.span.first_id_after) == (99, 130)
        await made.finder.look()
        assert len(await made.holes()) == 1


async def test_a_candle_that_disagrees_is_reported(rig):
    async with rig(HISTORY) as made:
        candles = await made.venue.candles(VENUE, SYMBOL, 0)
        wrong = BEGIN_NS + 60 * NANOSECONDS_PER_SECOND
        candles[wrong] = candles[wrong]._replace(volume=candles[wrong].volume + 1)
        made.venue.minutes = candles
        await made.recorded(without(70, 71))
        async with made.running():
            await made.mended()
        (hole,) = await made.holes()
        assert hole.state == FILLED
        assert f"1 of 1 bars of 1m differ: {wrong}: unexplained" in hole.detail
