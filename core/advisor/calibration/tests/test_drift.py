"""Changes of a mean are found, and chance is none."""

import numpy as np
import pytest

from core.advisor.calibration.drift import PART_MIN, VALUES_MAX, AdaptiveWindow


def changes(values):
    window = AdaptiveWindow(2.0)
    found = [(number, window.add(value)) for number, value in enumerate(values)]
    return [(number, change) for number, change in found if change], window


def test_a_steady_mean_has_no_change_in_19_of_20_seeds():
    found = [
        changes(np.random.default_rng(seed).exponential(0.5, 1_000).tolist())[0]
        for seed in range(20)
    ]
    assert sum(map(bool, found)) <= 1


@pytest.mark.parametrize(("before", "after"), [(0.4, 0.9), (0.9, 0.4)])
def test_a_change_is_found_and_what_was_before_leaves_the_window(before, after):
    for seed in range(10):
        random = np.random.default_rng(seed)
        values = [*random.exponential(before, 600), *random.exponential(after, 400)]
        found, window = changes(values)
        number, change = found[0]
        assert 600 < number < 1_000
        assert (change.after > change.before) == (after > before)
        assert abs(change.values - (number - 599)) < 120
        assert len(window.values) < 600


def test_one_large_value_is_no_change():
    found, window = changes([0.1] * 500 + [1e9] + [0.1] * 500)
    assert not found
    assert len(window.values) == 1_001


def test_the_window_is_bounded():
    found, window = changes([0.5] * (VALUES_MAX + PART_MIN))
    assert not found
    assert len(window.values) == VALUES_MAX
