"""Maps agree with those of scikit-learn, and never fall."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.advisor.calibration.fitting import OutcomeSeries, fit_isotonic, fit_platt, fit_shift
from core.advisor.calibration.maps import IdentityMap, PlattMap
from core.advisor.calibration.online import OnlinePlattMap
from core.advisor.calibration.selection import MapKind, fit
from core.advisor.calibration.tests.planted import FAMILIES, GRID, expected_loss, line, planted

FIGURES = json.loads(Path(__file__).with_name("sklearn_figures.json").read_text())
"""Written by scikit_learn_figures.py."""

a_share = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0])
some_outcomes = st.lists(st.tuples(a_share, st.booleans()), min_size=1, max_size=60).map(
    lambda rows: OutcomeSeries([row[0] for row in rows], [row[1] for row in rows])
)


@pytest.mark.parametrize("figures", FIGURES["cases"], ids=lambda one: one["name"])
def test_maps_are_those_of_scikit_learn(figures):
    outcomes = OutcomeSeries(figures["convictions"], [bool(won) for won in figures["wins"]])
    platt, isotonic = fit_platt(outcomes), fit_isotonic(outcomes)
    for conviction, sigmoid, rising in zip(
        figures["asked"], figures["sigmoid"], figures["isotonic"], strict=True
    ):
        # scikit-learn searches for the line by L-BFGS until its steps are small.
        assert platt.probability(conviction) == pytest.approx(sigmoid, abs=2e-4)
        assert isotonic.probability(conviction) == pytest.approx(rising, abs=1e-9)


@given(some_outcomes)
@example(OutcomeSeries([0.0, 1.0, 5e-324], [False, False, True]))
def test_the_isotonic_map_is_the_max_min_formula(outcomes):
    """Another definition: the largest, over all starts, of the least mean, over all ends."""
    found = fit_isotonic(outcomes)
    rows = sorted(zip(*outcomes, strict=True))
    places = sorted(set(outcomes.convictions))

    def mean(low: float, high: float) -> float:
        part = [won for conviction, won in rows if low <= conviction <= high]
        return sum(part) / len(part)

    for place in places[:: max(1, len(places) // 5)]:
        wanted = max(
            min(mean(low, high) for high in places if high >= place)
            for low in places
            if low <= place
        )
        assert found.probability(place) == pytest.approx(wanted)


@given(some_outcomes)
def test_no_map_falls_or_leaves_the_range_from_0_to_1(outcomes):
    maps = [fit(kind, outcomes) for kind in MapKind]
    maps.append(fit_shift(maps[1], outcomes, 100))
    for found in maps:
        values = [found.probability(conviction) for conviction in (0.0, *GRID[::20], 1.0)]
        assert values[0] >= 0
        assert values[-1] <= 1
        assert all(left <= right + 1e-12 for left, right in pairwise(values))


def test_the_line_is_the_one_of_least_smoothed_loss():
    outcomes = planted(FAMILIES["overconfident"], 400, 1)
    wins = sum(outcomes.wins)
    targets = (1 / (400 - wins + 2), (wins + 1) / (wins + 2))

    def loss(found: PlattMap) -> float:
        total = 0.0
        for conviction, is_won in zip(*outcomes, strict=True):
            likely, predicted = targets[is_won], found.probability(conviction)
            total -= likely * math.log(predicted) + (1 - likely) * math.log(1 - predicted)
        return total

    found = fit_platt(outcomes)
    for slope, intercept in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        moved = PlattMap(found.slope + slope, found.intercept + intercept)
        assert loss(moved) > loss(found)


def test_a_line_that_would_fall_is_the_base_rate():
    found = fit_platt(planted(line(-1.0, 0.5), 500, 2))
    assert found.slope == 0
    assert found.probability(0.1) == found.probability(0.9) == pytest.approx(0.6, abs=0.06)


@pytest.mark.parametrize("is_won", [True, False])
def test_equal_convictions_give_the_smoothed_base_rate(is_won):
    found = fit_platt(OutcomeSeries([0.5] * 10, [is_won] * 10))
    assert found.probability(0.5) == pytest.approx(11 / 12 if is_won else 1 / 12)


def test_the_pooled_map_moves_half_the_way_with_the_outcomes_of_half_weight():
    outcomes = OutcomeSeries([0.5] * 100, [True] * 75 + [False] * 25)
    shifted = fit_shift(IdentityMap(), outcomes, 100)
    # Half of the log-odds of (75 + 1) / (100 + 2).
    assert shifted.probability(0.5) == pytest.approx(1 / (1 + (26 / 76) ** 0.5))
    assert fit_shift(IdentityMap(), OutcomeSeries([], []), 100).probability(0.3) == pytest.approx(
        0.3
    )


def test_online_scaling_follows_a_drift_within_500_outcomes():
    """The mean log-loss above the least possible one falls below a fifth of what the line fitted
    before the drift has, in at least 19 of 20 seeds."""
    true_before, true_after = PlattMap(1.0, 0.5), PlattMap(0.5, -0.7)
    before, after = true_before.probability, true_after.probability
    followed = 0
    for seed in range(20):
        first, second = planted(before, 1_000, seed), planted(after, 500, seed + 1_000)
        current = OnlinePlattMap()
        for conviction, is_won in zip(*first, strict=True):
            current = current.updated(conviction, is_won)
        least = expected_loss(true_after, after)
        stale = expected_loss(fit_platt(first), after) - least
        at_once = expected_loss(current, after) - least
        assert at_once > stale / 2
        for conviction, is_won in zip(*second, strict=True):
            current = current.updated(conviction, is_won)
        followed += expected_loss(current, after) - least < stale / 5
    assert followed >= 19
