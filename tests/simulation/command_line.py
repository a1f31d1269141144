"""Runs many seeds, or one of them with its whole history."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.simulation.runs import report

SEEDS_PER_CHUNK = 4
CHUNKS_PER_PROCESS = 25
"""A crash leaves suspended tasks behind; a process that keeps those of many seeds becomes slow."""
SEEDS_PER_REPORT = 500
FAILURES_MAX = 10
"""So many seeds that break a promise end the command."""


def parser(module, text) -> argparse.ArgumentParser:
    """The arguments of every simulation."""
    found = argparse.ArgumentParser(prog=f"python -m {module}", description=text)
    found.add_argument("--seeds", type=int, default=100, help="how many seeds")
    found.add_argument("--first", type=int, default=0, help="the first seed")
    found.add_argument("--seed", type=int, help="play one seed, and print its history")
    found.add_argument("--jobs", type=int, default=1, help="how many processes")
    return found


def run(arguments, run_seed, begin=None, *begin_with) -> int:
    """Run the seeds that are asked for. Returns the exit code.

    ``begin`` is called with ``begin_with`` in each process before its first seed.
    """
    if arguments.seed is not None:
        if begin is not None:
            begin(*begin_with)
        result = run_seed(arguments.seed)
        _print(report(result, is_whole=True))
        return bool(result.broken)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed = done = 0
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.jobs, begin, begin_with, CHUNKS_PER_PROCESS) as pool:
        for result in pool.imap(run_seed, seeds, chunksize=SEEDS_PER_CHUNK):
            done += 1
            counts += result.counts
            if result.broken:
                failed += 1
                _print(report(result))
            if failed == FAILURES_MAX:
                break
            if done % SEEDS_PER_REPORT == 0 and done < arguments.seeds:
                _print_progress(done, failed, began)
    _print_progress(done, failed, began)
    _print(", ".join(f"{kind}: {number}" for kind, number in counts.most_common()))
    return bool(failed)


def _print_progress(done: int, failed: int, began: float) -> None:
    rate = done / (time.monotonic() - began)
    _print(f"{done} seeds, {failed} failed, {rate:.1f} seeds/s")


def with_fixed_hashes(module) -> None:
    """Begin again if the order of sets, a part of what happens, is not that of every other run."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, environment)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
