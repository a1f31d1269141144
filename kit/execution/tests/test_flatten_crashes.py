"""A process that dies at any await while it flattens closes nothing twice.

The default runs are a sample. VENUEMESH_CRASH_RUNS=10000 makes so many seeded runs, and dies at
every third step of the scenario instead of at some.
"""

import os
import random

import pytest

from kit.execution.tests.flatten_suite import flatten_and_die
from kit.execution.tests.simulated_process import run

RUNS = int(os.environ.get("VENUEMESH_CRASH_RUNS", "0"))
SEEDED_RUNS = RUNS or 12
STEPS_APART = 3 if RUNS else 33


@pytest.mark.parametrize("is_spot", [False, True])
def test_flatten_without_a_crash_ends_flat(is_spot):
    for seed in range(SEEDED_RUNS):
        assert run(flatten_and_die(seed, 0, is_spot=is_spot)) > 0


def test_flatten_that_dies_at_any_step_closes_nothing_twice():
    steps = run(flatten_and_die(0, 0))
    assert steps > 50
    for step in range(1, min(steps, 500), STEPS_APART):
        run(flatten_and_die(0, step))


@pytest.mark.parametrize("is_spot", [False, True])
def test_flatten_that_dies_anywhere_closes_nothing_twice(is_spot):
    for seed in range(SEEDED_RUNS):
        dies_at = random.Random(seed).randint(1, 300)
        assert run(flatten_and_die(seed, dies_at, is_spot=is_spot)) > 0
