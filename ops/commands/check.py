"""``./venuemesh check``: everything that can be checked without running the product."""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from ops.checks import STEPS, CheckOutcome, CheckStep
from ops.output import print_json

WIDTH = 14
AT_ONCE = 2
"""The type check takes as long as all other steps together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(chosen: argparse.Namespace) -> int:
    """Run all steps, even if one fails. Returns 1 if any step failed."""
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for step, (outcome, seconds) in zip(STEPS, pool.map(_timed, STEPS), strict=True):
            if chosen.json:
                print_json({"step": step.name, "seconds": seconds, **asdict(outcome)})
            else:
                _print(step, outcome, seconds)
            if outcome.failed:
                failed.append(step.name)
    if failed and not chosen.json:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _print(step: CheckStep, outcome: CheckOutcome, seconds: float) -> None:
    print(outcome.output, end="")
    line = f"{step.name:<{WIDTH}} {outcome.word:<8} {seconds:5.1f} s  {outcome.text}"
    print(line.rstrip(), flush=True)


def _timed(step: CheckStep) -> tuple[CheckOutcome, float]:
    """The outcome, and the duration in s."""
    started = time.monotonic()
    return step.run(), time.monotonic() - started
