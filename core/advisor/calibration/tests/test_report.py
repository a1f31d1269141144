"""The figures of a report, by hand and against chance."""

import itertools
import math

import numpy as np
import pytest

from core.advisor.calibration.report import calibration_report, mean_distance
from core.advisor.calibration.tests.planted import planted


def test_the_figures_of_four_outcomes():
    report = calibration_report([0.1, 0.1, 0.7, 1.0], [False, True, True, True])
    assert report.outcomes == 4
    assert report.brier_score == pytest.approx((0.01 + 0.81 + 0.09) / 4)
    # The base rate of 3/4 has a Brier score of 3/16.
    assert report.brier_skill == pytest.approx(1 - report.brier_score * 16 / 3)
    assert report.bins == (
        (2, pytest.approx(0.1), 0.5),
        (1, 0.7, 1.0),
        (1, 1.0, 1.0),
    )
    assert report.calibration_error == pytest.approx((2 * 0.4 + 0.3) / 4)
    logs = math.log(0.9) + math.log(0.1) + math.log(0.7) + math.log(0.999)
    assert report.log_loss == pytest.approx(-logs / 4)


def test_the_expected_distance_is_that_of_all_cases():
    probabilities = [0.1, 0.5, 0.5, 0.8, 0.99]
    wanted = 0.0
    for wins in itertools.product((0, 1), repeat=5):
        likely = math.prod(p if won else 1 - p for p, won in zip(probabilities, wins, strict=True))
        wanted += likely * abs(sum(wins) - sum(probabilities))
    assert mean_distance(probabilities) == pytest.approx(wanted)


def test_a_true_map_shows_the_floor_and_a_wrong_one_more():
    """With 1,000 outcomes in ten bins: about 0.03 if the probabilities are uniform."""
    errors, floors, deviations = [], [], []
    for seed in range(40):
        outcomes = planted(lambda conviction: conviction, 1_000, seed)
        report = calibration_report(outcomes.convictions, outcomes.wins)
        errors.append(report.calibration_error)
        floors.append(report.calibration_error_floor)
        deviations.append(report.calibration_error_deviation)
    assert np.mean(errors) == pytest.approx(np.mean(floors), abs=4 * np.mean(deviations) / 40**0.5)
    assert np.std(errors) == pytest.approx(np.mean(deviations), rel=0.5)
    assert 0.025 < np.mean(floors) < 0.04
    wrong = planted(lambda conviction: 0.25 + conviction / 2, 1_000, 1)
    report = calibration_report(wrong.convictions, wrong.wins)
    excess = report.calibration_error - report.calibration_error_floor
    assert excess > 5 * report.calibration_error_deviation


def test_the_base_rate_has_no_skill_and_equal_outcomes_have_none_to_measure():
    assert calibration_report([0.25] * 4, [True, False, False, False]).brier_skill == 0
    assert calibration_report([0.25] * 4, [False] * 4).brier_skill is None


@pytest.mark.parametrize(("probabilities", "wins"), [([], []), ([0.5], [True, False])])
def test_a_report_needs_an_outcome_for_each_probability(probabilities, wins):
    with pytest.raises(ValueError, match="allowed is one for each"):
        calibration_report(probabilities, wins)
