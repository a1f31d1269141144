"""What the scores are made of."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.repair.holes import HoleSpan
from core.repair.quality import ActivePeriod, QualityFactors, agreement, coverage, freshness
from core.repair.settings import RepairSettings
from core.repair.tests.rig import SYMBOL, VENUE, rig_of, trades
from kit.base.clock import NANOSECONDS_PER_SECOND as SECOND_NS

HISTORY = trades(*range(1, 601))


def test_coverage_is_what_lies_in_no_hole():
    assert coverage([], 0, 100) == 1
    assert coverage([HoleSpan(10, 20), HoleSpan(15, 30), HoleSpan(90, 200)], 0, 100) == 0.7
    assert coverage([HoleSpan(-50, 200)], 0, 100) == 0
    assert coverage([HoleSpan(0, 1)], 5, 5) == 1


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=8))
def test_coverage_counts_every_moment_once(pairs):
    holes = [HoleSpan(min(pair), max(pair)) for pair in pairs]
    missing = {at for hole in holes for at in range(hole.start_time_ns, hole.end_time_ns)}
    assert coverage(holes, 0, 100) == pytest.approx(1 - len(missing) / 100)


def test_an_instrument_is_stale_when_it_is_silent_for_longer_than_usual():
    end = 1000 * SECOND_NS
    lively = [ActivePeriod(at * SECOND_NS, (at + 60) * SECOND_NS, 600) for at in range(0, 960, 60)]
    assert freshness([*lively, ActivePeriod(960 * SECOND_NS, end, 400)], 0, end, 60) == 1
    # Silent for 400 s, of which 60 are allowed.
    silent = [one for one in lively if not 300 <= one.start_ns / SECOND_NS < 660]
    assert freshness(silent, 0, end, 60) == pytest.approx(1 - 300 / 1000)
    # One that trades every 300 s may be silent for 2400 s.
    rare = [ActivePeriod(at * SECOND_NS, at * SECOND_NS, 1) for at in range(0, 9000, 300)]
    assert freshness(rare, 0, 10_800 * SECOND_NS, 60) == 1
    # The end of the window counts, too.
    assert freshness(lively[:5], 0, end, 60) == pytest.approx(1 - 640 / 1000)
    assert freshness([], 0, end, 60) == 0
    assert freshness([], 5, 5, 60) == 1


def test_agreement_is_the_share_that_differs_without_a_reason():
    assert agreement(0, 0) == 1
    assert agreement(10, 1) == pytest.approx(0.9)
    assert QualityFactors(0.5, 0.5, 0.5).score == 0.125


@pytest.fixture
def rig(valkey_url, postgres_url):
    return partial(rig_of, valkey_url, postgres_url, HISTORY)


async def scores(made, window: int = 1):
    """Of the last hour (1) or the last day (0), newest first."""
    return await made.query(
        "SELECT score, coverage, freshness, agreement, open_hole_count FROM quality_rows"
        f" WHERE symbol = '{SYMBOL}' AND window_end_ns - window_start_ns"
        f" = {(86400, 3600)[window]}000000000 ORDER BY computed_time_ns DESC"
    )


async def test_a_hole_lowers_the_score_and_its_repair_lifts_it_to_one(rig):
    async with rig() as made:
        await made.recorded([one for one in HISTORY if not 100 <= one.number < 200])
        await made.finder.look()
        await made.quality.compute()
        for window in (0, 1):
            (row,) = await scores(made, window)
            assert row[1] == pytest.approx(1 - 101 / 599)
            assert row[4] == 1
            assert row[0] == pytest.approx(row[1] * row[2] * row[3])
        async with made.running():
            await made.mended()
        await made.candles.look()
        await made.quality.compute()
        assert (await scores(made))[0] == (1, 1, 1, 1, 0)


async def test_a_difference_that_nothing_explains_lowers_the_score(rig):
    async with rig() as made:
        candles = await made.venue.candles(VENUE, SYMBOL, 0)
        first, second = sorted(candles)[1:3]
        candles[first] = candles[first]._replace(close=candles[first].close + 1)
        candles[second] = candles[second]._replace(volume=candles[second].volume - 1)
        made.venue.minutes = candles
        await made.recorded(HISTORY)
        await made.candles.look()
        checks = dict(await made.query("SELECT open_time_ns, verdict FROM bar_checks"))
        assert (checks[first], checks[second]) == (3, 2)
        await made.quality.compute()
        assert (await scores(made))[0][3] == pytest.approx(1 - 2 / len(checks))
        assert await made.holes() == []


async def test_venue_candles_that_were_recorded_are_not_asked_for(rig):
    async with rig() as made:
        instrument = await made.recorded(HISTORY)
        for at, one in (await made.venue.candles(VENUE, SYMBOL, 0)).items():
            await made.do(
                "INSERT INTO candle_rows (instrument_id, interval_s, open_time_ns, open, high, low,"
                " close, volume, closed, venue_time_ns, received_time_ns) VALUES"
                f" ({instrument.instrument_id}, 60, {at}, {', '.join(map(str, one))}, true, 0, 0)"
            )
        made.venue.call_counts.clear()
        await made.candles.look()
        assert made.venue.call_counts == {}
        assert {row[0] for row in await made.query("SELECT verdict FROM bar_checks")} == {0}


async def test_old_rows_are_let_go(rig):
    async with rig() as made:
        await made.recorded(HISTORY)
        await made.quality.compute()
        await made.store.forget(made.clock.time_ns() + 1)
        assert await scores(made) == []


def test_wrong_settings_are_refused():
    with pytest.raises(Exception, match=r"repair\.keep_s"):
        RepairSettings(keep_s=0)
    with pytest.raises(Exception, match=r"repair\.settle_s"):
        RepairSettings(settle_s=-1)
