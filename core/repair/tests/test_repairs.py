"""From a hole in the record to a record without it."""

import asyncio
from decimal import Decimal
from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.repair.v1 import repair_pb2

from core.repair.holes import CANCELLED, DONE, FILLED, IN_REPAIR, INCOMPLETE, OPEN, UNAVAILABLE
from core.repair.settings import RepairSettings
from core.repair.tests.rig import (
    REPAIRS,
    SYMBOL,
    VENUE,
    busy,
    gap,
    rig_of,
    trade,
    trades,
)
from core.repair.venue_clients import PermanentVenueError, RetryableVenueError
from kit.base.cursor import Cursor
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.model.batches import Batch
from tests.support.waiting import WAIT_SECONDS_MAX, until

COMPLETE = types_pb2.FILL_OUTCOME_COMPLETE
PARTIAL = types_pb2.FILL_OUTCOME_PARTIAL
GONE = types_pb2.FILL_OUTCOME_UNAVAILABLE
HISTORY = trades(*range(1, 601))


@pytest.fixture
def rig(valkey_url, postgres_url):
    return partial(rig_of, valkey_url, postgres_url)


def without(*numbers: int):
    return [one for one in HISTORY if one.number not in numbers]


async def test_holes_by_trade_ids_are_found_and_filled(rig):
    cut = [*range(70, 90), *range(200, 203)]
    async with rig(HISTORY) as made:
        await made.recorded(without(*cut))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.hole_count, job.filled_count) == (DONE, 2, 2)
        assert job.trade_count == len(cut)
        assert await made.ids() == [one.trade_id for one in HISTORY]
        newest, oldest = await made.holes()
        assert (newest.span.last_id_before, newest.span.first_id_after) == (199, 203)
        assert (oldest.span.last_id_before, oldest.span.first_id_after) == (69, 90)
        assert {newest.state, oldest.state} == {FILLED}
        assert "bars of 1m equal the venue's candles" in oldest.detail
        # The newest hole first, and each with the proof of its instrument.
        assert [fill.first_id_after for fill in made.fills] == [203, 90]
        assert {fill.outcome for fill in made.fills} == {COMPLETE}
        assert [fill.trade_count for fill in made.fills] == [3, 20]
        assert made.fills[0].start_time_ns == HISTORY[198].time_ns
        assert {fill.repair_id for fill in made.fills} == {job.repair_id}


async def test_new_holes_are_mended_by_themselves(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(70, 71))
        await made.finder.look()
        assert [hole.state for hole in await made.holes()] == [OPEN]
        async with made.running():
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while [hole.state for hole in await made.holes()] != [FILLED]:
                    await asyncio.sleep(0.01)
        assert len(await made.ids()) == len(HISTORY)
        # What was looked at is not looked at again, and what is filled is not found again.
        await made.finder.look()
        assert len(await made.holes()) == 1


async def test_without_the_setting_holes_wait_to_be_mended(rig):
    settings = RepairSettings(settle_s=0, automatic=False)
    async with rig(HISTORY, settings=settings) as made:
        await made.recorded(without(70))
        await made.finder.look()
        await made.jobs._look()
        assert await made.store.next_jobs() == []


async def test_of_a_range_only_its_holes_are_mended(rig):
    async with rig(HISTORY, settings=RepairSettings(settle_s=0, automatic=False)) as made:
        await made.recorded(without(70, 200, 300))
        async with made.running():
            job = await made.mended(HISTORY[150].time_ns, HISTORY[250].time_ns)
        assert job.trade_count == 1
        assert made.published == ["200"]


async def test_many_pages_make_one_hole(rig):
    async with rig(HISTORY) as made:
        made.venue.page_size = 50
        await made.recorded(without(*range(100, 500)))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.trade_count) == (DONE, 400)
        # 99 to 500 in pages of 50; then the candles.
        assert [first for first, _ in made.venue.asked][:9] == list(range(99, 500, 50))
        assert job.call_count == 9


async def test_an_answer_out_of_order_with_repetitions_is_corrected(rig):
    history = [*without(120, 121), trade(121), trade(120), trade(121), trade(300)]
    async with rig(history) as made:
        await made.recorded(without(120, 121))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.trade_count) == (DONE, 2)
        assert made.published == ["120", "121"]
        (hole,) = await made.holes()
        assert "reported out of order" in hole.detail


async def test_another_trade_at_the_seam_is_refused(rig):
    history = [trade(119, size="9") if one.number == 119 else one for one in HISTORY]
    async with rig(history) as made:
        await made.recorded(without(120, 121))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.unavailable_count, made.published) == (INCOMPLETE, 1, [])
        (hole,) = await made.holes()
        assert hole.state == UNAVAILABLE
        assert "trade 119 is recorded as" in hole.detail
        assert [fill.outcome for fill in made.fills] == [GONE]


async def test_trades_of_the_future_are_not_taken(rig):
    ahead = trade(121, offset_s=10**9)
    history = [ahead if one.number == 121 else one for one in HISTORY]
    async with rig(history) as made:
        await made.recorded(without(120, 121, 122))
        async with made.running():
            job = await made.mended()
        assert (job.state, made.published) == (INCOMPLETE, ["120", "122"])
        (hole,) = await made.holes()
        assert (hole.span.last_id_before, hole.span.first_id_after) == (120, 122)
        assert "times in the future" in hole.detail


async def test_what_the_venue_has_no_more_stays_with_its_reason(rig):
    async with rig(HISTORY) as made:
        made.venue.newest_only = 400
        await made.recorded(without(*range(100, 150), *range(190, 211)))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.hole_count, job.unavailable_count) == (INCOMPLETE, 2, 2)
        newest, oldest = await made.holes()
        # Of the newer one a part was had.
        assert made.published == [str(number) for number in range(201, 211)]
        assert (newest.span.last_id_before, newest.span.first_id_after) == (189, 201)
        assert "does not have 190 to 200" in newest.detail
        assert oldest.state == newest.state == UNAVAILABLE
        assert [fill.outcome for fill in made.fills] == [PARTIAL, GONE, GONE]
        assert (made.fills[1].last_id_before, made.fills[1].first_id_after) == (189, 201)
        # It is not asked for again, unless someone wants it.
        async with made.running():
            await made.finder.look()
            assert await made.store.wanted(made.clock.time_ns(), 10) == []
            made.venue.newest_only = 0
            job = await made.mended()
        assert (job.state, job.trade_count) == (DONE, 50 + 11)
        assert await made.ids() == [one.trade_id for one in HISTORY]


async def test_gaps_are_judged_by_the_ids_on_both_sides(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(*range(200, 210)))
        # One with ids that is full meanwhile, one of all instruments, at which nothing is missing.
        await made.gap(gap(99, 103, last_id_before=99, first_id_after=103), 1)
        everything = {"symbol": "", "last_time_ns": 0, "first_time_ns": 0}
        restart = {**everything, "reason": types_pb2.GAP_REASON_RESTART}
        await made.gap(gap(300, 301, **restart), 2)
        async with made.running():
            job = await made.mended()
        assert (job.state, job.hole_count, job.trade_count) == (DONE, 3, 10)
        assert len(made.venue.asked) == 1
        sources = [hole.source for hole in await made.holes()]
        ids, by_gap = repair_pb2.HOLE_SOURCE_TRADE_IDS, repair_pb2.HOLE_SOURCE_GAP
        assert sources == [by_gap, ids, by_gap]
        assert {fill.outcome for fill in made.fills} == {COMPLETE}


async def test_a_gap_of_all_instruments_has_ended_when_all_its_holes_have(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(*range(300, 303)))
        restart = gap(299, 303, symbol="", detected_time_ns=made.clock.time_ns())
        await made.gap(restart)
        await made.finder.look()
        async with made.running():
            assert (await made.mended()).trade_count == 3
            assert {fill.symbol for fill in made.fills} == {SYMBOL}
            for _ in range(2):
                # What is so is said once.
                await made.finder.look()
            await made.publisher.close_gap(VENUE, types_pb2.HoleFill(detail="the end"))
            await until(lambda: made.fills[-1].detail == "the end")
        (reported,) = [fill for fill in made.fills[:-1] if not fill.symbol]
        assert reported.outcome == COMPLETE
        assert reported.start_time_ns == reported.end_time_ns == restart.detected_time_ns


async def test_a_gap_whose_other_side_is_not_there_yet_waits(rig):
    async with rig(HISTORY) as made:
        await made.recorded(HISTORY[:100])
        restart = gap(100, 101, symbol="", last_time_ns=0, first_time_ns=0)
        await made.gap(restart)
        await made.finder.look()
        assert await made.holes() == []
        await made.recorded(HISTORY[105:])
        await made.finder.look()
        (hole,) = await made.holes()
        assert (hole.span.last_id_before, hole.span.first_id_after) == (100, 106)


async def test_a_busy_venue_is_waited_for_and_a_failing_one_tried_again(rig):
    async with rig(HISTORY) as made:
        made.venue.refusals = [*[busy()] * 8, RetryableVenueError("it fails", 0.0)]
        await made.recorded(without(70))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.call_count) == (DONE, 10)


async def test_one_hole_that_cannot_be_dealt_with_does_not_stop_the_others(rig):
    settings = RepairSettings(settle_s=0, automatic=False, attempts_max=2)
    async with rig(HISTORY, settings=settings) as made:
        made.venue.refusals = [RuntimeError("a fault")]
        await made.recorded(without(70, 200))
        async with made.running():
            job = await made.mended()
            assert (job.state, job.filled_count, made.published) == (INCOMPLETE, 1, ["70"])
            newest, _ = await made.holes()
            assert (newest.state, newest.attempt_count) == (OPEN, 1)
            assert "a fault of ours" in newest.detail
            assert (await made.mended()).state == DONE


async def test_a_number_that_cannot_be_recorded_is_not_taken(rig):
    long = trade(70)._replace(price=Decimal("1." + "1" * 40))
    async with rig([long if one.number == 70 else one for one in HISTORY]) as made:
        await made.recorded(without(70))
        async with made.running():
            job = await made.mended()
        assert (job.state, made.published) == (INCOMPLETE, [])
        (hole,) = await made.holes()
        assert hole.state == UNAVAILABLE
        assert "a number that cannot be recorded" in hole.detail


async def test_what_the_venue_cannot_do_is_not_tried_again(rig):
    async with rig(HISTORY) as made:
        made.venue.refusals = [PermanentVenueError("there is no history")]
        await made.recorded(without(70))
        async with made.running():
            job = await made.mended()
        assert (job.state, job.call_count) == (INCOMPLETE, 1)
        (hole,) = await made.holes()
        assert (hole.state, hole.detail) == (UNAVAILABLE, "there is no history")


async def test_a_job_that_is_cut_short_goes_on_and_nothing_is_doubled(rig):
    async with rig(HISTORY) as made:
        made.venue.page_size = 50
        await made.recorded(without(70, *range(100, 500)))
        async with made.running(consumers=False):
            job = await made.jobs.start(VENUE, SYMBOL, 0, 0, "mine")
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while await made.publisher.ends(VENUE) < Cursor(1, 0):
                    await asyncio.sleep(0.01)
                while "waits for" not in (await made.store.job("mine")).detail:
                    await asyncio.sleep(0.01)
        # Everything is published and nothing recorded. The next process asks for nothing again.
        assert [hole.state for hole in await made.holes()] == [IN_REPAIR, IN_REPAIR]
        calls = len(made.venue.asked)
        made.make()
        async with made.running():
            job = await made.ended("mine")
        assert (job.state, job.trade_count) == (DONE, 401)
        assert len(made.venue.asked) == calls
        assert len(made.published) == len(set(made.published)) == 401
        assert await made.ids() == [one.trade_id for one in HISTORY]
        # The second process has an epoch of its own, in order.
        epochs = sorted({cursor.epoch for cursor in made.cursors})
        assert len(epochs) == 2
        assert made.cursors == sorted(made.cursors)


async def test_the_same_id_is_the_same_job(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(70))
        first = await made.jobs.start(VENUE, SYMBOL, 0, 0, "mine")
        again = await made.jobs.start(VENUE, SYMBOL, 5, 6, "mine")
        assert again == first
        async with made.running():
            ended = await made.ended("mine")
        assert await made.jobs.start(VENUE, SYMBOL, 0, 0, "mine") == ended


async def test_a_cancelled_job_leaves_its_holes_open(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(70))
        made.venue.may_answer.clear()
        async with made.running():
            await made.jobs.start(VENUE, SYMBOL, 0, 0, "mine")
            await asyncio.wait_for(made.venue.asking.wait(), WAIT_SECONDS_MAX)
            await made.jobs.cancel("mine")
            job = await made.ended("mine")
            assert (job.state, made.published) == (CANCELLED, [])
            assert [hole.state for hole in await made.holes()] == [OPEN]
            # Its turn is over: the next one is mended.
            made.venue.may_answer.set()
            assert (await made.mended()).state == DONE


async def test_a_venue_that_does_not_run_is_waited_for(rig):
    async with rig(HISTORY) as made:
        made.venue.is_there = False
        await made.recorded(without(70))
        async with made.running():
            job = await made.jobs.start(VENUE, SYMBOL, 0, 0, "mine")
            assert (await made.store.job("mine")) == job
            made.venue.is_there = True
            assert (await made.ended("mine")).state == DONE


async def test_another_writer_of_the_stream_does_not_stop_a_repair(rig):
    async with rig(HISTORY) as made:
        await made.recorded(without(70, 200))
        async with made.running():
            assert (await made.mended()).trade_count == 2
            foreign = Cursor(made.cursors[-1].epoch + 5, 1)
            batch = Batch(cursor=foreign.message()).SerializeToString()
            await made.streams.append([StreamEntry(REPAIRS, foreign, batch)])
            await made.do("DELETE FROM trade_rows WHERE trade_id = 200")
            await made.do("DELETE FROM holes")
            job = await made.mended()
        assert job.state == DONE
        assert made.cursors[-1] > foreign
