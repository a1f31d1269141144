"""Runs seeds, one after the other."""

import logging
import sys
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

from kit.execution.tests.simulated_process import run
from tests.simulation.history import Promise, UnexpectedErrors
from tests.simulation.simulation import Simulation

HISTORY_LINES = 60
"""How many events before the first broken promise are printed."""
COMMAND = "PYTHONPATH=.:gen .venv/bin/python -m {module} --seed {seed}"
MODULE = "tests.simulation"
SEEDS_MAX = 100
"""Seeds that are tried for a planted fault."""


@dataclass(frozen=True)
class Result:
    """The result of one seed."""

    seed: int
    broken: list[tuple[Promise, str]]
    lines: list[str]
    counts: Counter = field(default_factory=Counter)
    module: str = MODULE


def run_seed(seed) -> Result:
    """Run one seed."""
    return play(seed, Simulation, MODULE)


def play(seed, make, module) -> Result:
    """Run the simulation that ``make`` makes of a seed."""
    found = []

    async def scenario():
        simulation = make(seed)
        found.append(simulation.history)
        with UnexpectedErrors(simulation.history):
            await simulation.run()

    try:
        with _what_a_kill_leaves_ignored():
            run(scenario())
    except Exception as error:
        if not found:
            raise
        lines = traceback.format_exc().splitlines()
        history = found[0]
        history.lines += lines
        history.broken.append((Promise.NO_ERROR, repr(error)))
    (history,) = found
    return Result(seed, history.broken, history.lines, history.counts, module)


@contextmanager
def _what_a_kill_leaves_ignored():
    """Ignore that coroutines and generators of a killed process do not end by themselves."""
    asyncio_logger, hook = logging.getLogger("asyncio"), sys.unraisablehook
    level = asyncio_logger.level
    asyncio_logger.setLevel(logging.CRITICAL)
    sys.unraisablehook = lambda unraisable: None
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        asyncio_logger.setLevel(level)
        sys.unraisablehook = hook


def first_broken(run_seed, promise, first) -> Result:
    """The first seed that breaks this promise. The tests of planted faults give one that finds
    the fault; the seeds after it are for a change that moves what a seed plays."""
    for seed in range(first, first + SEEDS_MAX):
        result = run_seed(seed)
        if promise in [broken for broken, _ in result.broken]:
            return result
    raise AssertionError(f"no seed noticed: {promise.value}")


def report(result, *, is_whole=False) -> str:
    """The text for a seed that broke a promise: what broke, how to play it again, and what
    happened before."""
    first = next((n for n, line in enumerate(result.lines) if "BROKEN:" in line), len(result.lines))
    lines = result.lines
    if not is_whole:
        lines = lines[max(0, first - HISTORY_LINES) : first + 5]
    broken = [f"  broken: {promise.value}: {text}" for promise, text in result.broken]
    again = f"  again: {COMMAND.format(module=result.module, seed=result.seed)}"
    return "\n".join([f"seed {result.seed}", *broken, again, *(f"    {one}" for one in lines)])
