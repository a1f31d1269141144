"""Maps of regimes over a sequence of outcomes."""

import msgspec
import pytest

from core.advisor.calibration.calibrator import (
    POOL,
    REGIMES_MAX,
    UNPROVEN_CONVICTION_MAX,
    CalibrationOutcome,
    Calibrator,
    RegimeSeries,
)
from core.advisor.calibration.maps import IdentityMap
from core.advisor.calibration.tests.planted import GRID, expected_loss, line, planted

TOO_HIGH, TOO_LOW = line(1.0, -0.7), line(1.0, 0.7)


def observe(calibrator, regime, outcomes):
    return [
        calibrator.observe(CalibrationOutcome(regime, conviction, won))
        for conviction, won in zip(*outcomes, strict=True)
    ]


def shown(found):
    return [found.probability(conviction) for conviction in GRID[::40]]


def test_without_outcomes_the_map_is_the_identity_and_says_why():
    found = Calibrator().map_of("calm")
    assert (found.kind, found.map, found.conviction_max) == ("identity", IdentityMap(), 1.0)
    assert not found.is_applied
    assert found.probability(0.8) == 0.8
    assert found.reason == "0 outcomes in all regimes; 200 are needed"


def test_each_regime_has_a_map_of_its_own():
    calibrator = Calibrator()
    observe(calibrator, "calm", planted(TOO_HIGH, 400, 1))
    observe(calibrator, "wild", planted(TOO_LOW, 400, 2))
    for regime, truth in (("calm", TOO_HIGH), ("wild", TOO_LOW)):
        found = calibrator.map_of(regime)
        assert (found.outcomes, found.is_applied, found.reason) == (400, True, "")
        assert not found.is_pooled
        assert expected_loss(found, truth) < expected_loss(IdentityMap(), truth) - 0.03


def test_a_regime_with_few_outcomes_has_the_pooled_map_drawn_towards_its_base_rate():
    calibrator = Calibrator()
    observe(calibrator, "calm", planted(TOO_HIGH, 400, 1))
    pooled = calibrator.map_of("new")
    assert pooled == calibrator.maps[POOL]
    assert (pooled.outcomes, pooled.is_applied) == (400, True)
    assert shown(pooled) == pytest.approx(shown(calibrator.map_of("calm")), abs=0.001)
    observe(calibrator, "new", planted(TOO_LOW, 40, 2))
    drawn = calibrator.map_of("new")
    assert (drawn.outcomes, drawn.is_pooled, drawn.is_applied) == (40, True, True)
    assert drawn.reason == "40 outcomes in the regime; 200 are needed"
    own = [TOO_LOW(conviction) for conviction in GRID[::40]]
    for before, now, true in zip(shown(pooled), shown(drawn), own, strict=True):
        assert before < now < true


def test_a_drift_demotes_to_the_rules_with_a_lower_cap():
    calibrator = Calibrator()
    assert not any(one.drifts for one in observe(calibrator, "calm", planted(TOO_LOW, 600, 1)))
    assert calibrator.map_of("calm").probability(0.95) > 0.9
    truth = line(-1.0, 0.0)
    after = observe(calibrator, "calm", planted(truth, 500, 2))
    drifts = [number for number, one in enumerate(after) if one.drifts]
    assert drifts
    assert drifts[0] < 200
    found = {one.regime: one.loss for one in after[drifts[0]].drifts}
    assert found["calm"].after > found["calm"].before
    capped = after[drifts[0]].maps["calm"]
    assert (capped.is_applied, capped.conviction_max) == (False, UNPROVEN_CONVICTION_MAX)
    assert capped.probability(0.95) == UNPROVEN_CONVICTION_MAX
    assert capped.probability(0.3) == 0.3
    assert "has risen" in capped.reason
    last = calibrator.map_of("calm")
    # High convictions lose, so the map of the outcomes after it is the base rate, without skill.
    assert (last.is_applied, last.conviction_max) == (False, UNPROVEN_CONVICTION_MAX)
    assert last.reason.startswith("the Brier skill")
    assert 200 <= last.outcomes <= 560
    assert expected_loss(last.map, truth) < expected_loss(IdentityMap(), truth) - 0.3


def test_the_future_changes_no_map():
    outcomes = planted(TOO_HIGH, 420, 3)
    rows = [
        CalibrationOutcome("calm" if number % 3 else "wild", *row)
        for number, row in enumerate(zip(*outcomes, strict=True))
    ]
    whole = Calibrator()
    changes = [whole.observe(row) for row in rows]
    for end in (1, 199, 250, 301, 350):
        cut = Calibrator()
        assert [cut.observe(row) for row in rows[:end]] == changes[:end]


def test_series_that_were_stored_give_the_same_maps():
    rows = [
        CalibrationOutcome("calm" if number % 3 else "wild", *row)
        for number, row in enumerate(zip(*planted(TOO_HIGH, 1_100, 3), strict=True))
    ]
    whole, restarted = Calibrator(), Calibrator()
    for number, row in enumerate(rows):
        if number % 97 == 0:
            stored = msgspec.msgpack.encode(restarted.series)
            read = msgspec.msgpack.decode(stored, type=dict[str | None, RegimeSeries])
            assert msgspec.msgpack.encode(read) == stored
            restarted = Calibrator(read)
        assert restarted.observe(row) == whole.observe(row)
    assert restarted.maps == whole.maps


def test_convictions_without_information_give_a_map_that_is_not_applied():
    calibrator = Calibrator()
    observe(calibrator, "calm", planted(line(0.0, 0.0), 400, 1))
    found = calibrator.map_of("calm")
    assert found.report.brier_skill <= 0
    assert not found.is_applied
    assert (found.probability(0.3), found.probability(0.9)) == (0.3, UNPROVEN_CONVICTION_MAX)
    assert "Brier skill" in found.reason
    assert f"{found.report.outcomes} held-out outcomes" in found.reason


def test_a_change_of_a_map_is_returned_and_nothing_else():
    calibrator = Calibrator()
    regimes = {}
    for number, row in enumerate(zip(*planted(TOO_HIGH, 600, 4), strict=True)):
        change = calibrator.observe(CalibrationOutcome("calm", *row))
        before = {**regimes}
        regimes |= change.maps
        for regime, found in change.maps.items():
            assert regime not in before or not found.is_same_map(before[regime])
        assert number >= 199 or not change.maps
        for regime, found in calibrator.maps.items():
            assert regime not in regimes or found.is_same_map(regimes[regime])
    assert set(regimes) == {POOL, "calm"}


def test_the_number_of_regimes_and_outcomes_is_bounded():
    calibrator = Calibrator()
    for number in range(REGIMES_MAX + 2):
        calibrator.observe(CalibrationOutcome(f"regime {number}", 0.5, True))
    assert calibrator.map_of(f"regime {REGIMES_MAX - 1}").outcomes == 1
    assert f"regime {REGIMES_MAX}" not in calibrator.series
    assert calibrator.series[POOL].wins == [True] * (REGIMES_MAX + 2)
