"""Runs many seeds, or one of them with its whole history.

python -m tests.simulation --seeds 10000 --jobs 2
python -m tests.simulation --seed 17
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.simulation.runs import report, run_seed

SEEDS_PER_CHUNK = 4
CHUNKS_PER_PROCESS = 25
"""A crash leaves suspended tasks behind; a process that keeps those of many seeds becomes slow."""
FAILURES_MAX = 10
"""So many seeds that break a promise end the command."""


def main() -> int:
    """Run the command line. Returns the exit code."""
    arguments = _arguments()
    if arguments.seed is not None:
        result = run_seed(arguments.seed)
        _print(report(result, is_whole=True))
        return bool(result.broken)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed = done = 0
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.jobs, maxtasksperchild=CHUNKS_PER_PROCESS) as pool:
        for result in pool.imap(run_seed, seeds, chunksize=SEEDS_PER_CHUNK):
            done += 1
            counts += result.counts
            if result.broken:
                failed += 1
                _print(report(result))
            if failed == FAILURES_MAX:
                break
    seconds = time.monotonic() - began
    _print(f"{done} seeds, {failed} failed, {done / seconds:.1f} seeds/s")
    _print(", ".join(f"{kind}: {number}" for kind, number in counts.most_common()))
    return bool(failed)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play one seed, and print its history")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    return parser.parse_args()


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets is a part of what happens.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, environment)
    sys.exit(main())
