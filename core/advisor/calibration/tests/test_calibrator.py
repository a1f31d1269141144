"""Maps of regimes over a sequence of outcomes."""

import pytest

from core.advisor.calibration.calibrator import (
    DRIFT_CONVICTION_MAX,
    REGIMES_MAX,
    CalibrationOutcome,
    Calibrator,
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
    assert (found.name, found.map, found.conviction_max) == ("identity", IdentityMap(), 1.0)
    assert found.reason == "0 outcomes in all regimes; 200 are needed"


def test_each_regime_has_a_map_of_its_own():
    calibrator = Calibrator()
    observe(calibrator, "calm", planted(TOO_HIGH, 400, 1))
    observe(calibrator, "wild", planted(TOO_LOW, 400, 2))
    for regime, truth in (("calm", TOO_HIGH), ("wild", TOO_LOW)):
        found = calibrator.map_of(regime)
        assert (found.outcomes, found.reason) == (400, "")
        assert expected_loss(found, truth) < expected_loss(IdentityMap(), truth) - 0.03


def test_a_regime_with_few_outcomes_has_the_pooled_map_drawn_towards_its_base_rate():
    calibrator = Calibrator()
    observe(calibrator, "calm", planted(TOO_HIGH, 400, 1))
    pooled = calibrator.map_of("new")
    assert (pooled.name, pooled.outcomes) == ("pooled", 0)
    assert shown(pooled) == pytest.approx(shown(calibrator.map_of("calm")), abs=0.001)
    observe(calibrator, "new", planted(TOO_LOW, 40, 2))
    drawn = calibrator.map_of("new")
    assert drawn.reason == "40 outcomes in the regime; 200 are needed"
    own = [TOO_LOW(conviction) for conviction in GRID[::40]]
    for before, now, true in zip(shown(pooled), shown(drawn), own, strict=True):
        assert before < now < true


def test_a_drift_lowers_the_cap_until_a_map_rests_on_outcomes_after_it():
    calibrator = Calibrator()
    assert not any(one.drift for one in observe(calibrator, "calm", planted(TOO_LOW, 600, 1)))
    assert calibrator.map_of("calm").probability(0.95) > 0.9
    after = observe(calibrator, "calm", planted(line(-1.0, 0.0), 500, 2))
    drifts = [number for number, one in enumerate(after) if one.drift]
    assert drifts
    assert drifts[0] < 200
    assert after[drifts[0]].drift.after > after[drifts[0]].drift.before
    capped = after[drifts[0]].map
    assert (capped.name, capped.conviction_max) == ("identity", DRIFT_CONVICTION_MAX)
    assert capped.probability(0.95) == DRIFT_CONVICTION_MAX
    assert "has risen" in capped.reason
    last = calibrator.map_of("calm")
    assert (last.conviction_max, last.reason) == (1.0, "")
    assert 200 <= last.outcomes <= 560
    truth = line(-1.0, 0.0)
    assert expected_loss(last, truth) < expected_loss(IdentityMap(), truth) - 0.3


def test_the_future_changes_no_map():
    outcomes = planted(TOO_HIGH, 420, 3)
    rows = [
        CalibrationOutcome("calm" if number % 3 else "wild", *row)
        for number, row in enumerate(zip(*outcomes, strict=True))
    ]
    whole = Calibrator()
    maps = [whole.observe(row).map for row in rows]
    for end in (1, 199, 250, 301, 350):
        cut = Calibrator()
        assert [cut.observe(row).map for row in rows[:end]] == maps[:end]


def test_the_number_of_regimes_and_outcomes_is_bounded():
    calibrator = Calibrator()
    for number in range(REGIMES_MAX + 2):
        calibrator.observe(CalibrationOutcome(f"regime {number}", 0.5, True))
    assert calibrator.map_of(f"regime {REGIMES_MAX - 1}").outcomes == 1
    assert calibrator.map_of(f"regime {REGIMES_MAX}").outcomes == 0
