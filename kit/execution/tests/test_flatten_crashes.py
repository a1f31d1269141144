"""A process that dies at any await while it flattens closes nothing twice.

The default runs are a sample. VENUEMESH_CRASH_RUNS makes so many seeded runs, as in test_crashes.
"""

import random

import pytest

from kit.execution.tests.flatten_suite import flatten_and_die
from kit.execution.tests.simulated_process import run
from kit.execution.tests.test_crashes import RUNS, STEPS_APART

SEEDED_RUNS = RUNS or 12


@pytest.mark.parametrize("is_spot", [False, True])
def test_flatten_without_a_crash_ends_flat(is_spot):
    for seed in range(SEEDED_RUNS):
        assert run(flatten_and_die(seed, 0, is_spot=is_spot)) > 0


def test_flatten_that_dies_at_any_step_closes_nothing_twice():
    steps = run(flatten_and_die(0, 0))
    assert steps > 50
    for step in range(1, min(steps, 500), 3 * STEPS_APART):
        run(flatten_and_die(0, step))


@pytest.mark.parametrize("is_spot", [False, True])
def test_flatten_that_dies_anywhere_closes_nothing_twice(is_spot):
    for seed in range(SEEDED_RUNS):
        dies_at = random.Random(seed).randint(1, 300)
        assert run(flatten_and_die(seed, dies_at, is_spot=is_spot)) > 0
