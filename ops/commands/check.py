"""``./venuemesh check``: everything that can be checked without running the product."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ops.arguments import OneLineErrorParser
from ops.checks import STEPS, CheckOutcome, CheckStep

WIDTH = 14
AT_ONCE = 2
"""The type check takes as long as all other steps together."""


def run(arguments: Sequence[str]) -> int:
    """Run all steps, even if one fails. Returns 1 if any step failed."""
    OneLineErrorParser("check", run.__doc__ or "").parse_args(arguments)
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for step, (outcome, seconds) in zip(STEPS, pool.map(_timed, STEPS), strict=True):
            print(outcome.output, end="")
            line = f"{step.name:<{WIDTH}} {outcome.word:<8} {seconds:5.1f} s  {outcome.text}"
            print(line.rstrip(), flush=True)
            if outcome.failed:
                failed.append(step.name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _timed(step: CheckStep) -> tuple[CheckOutcome, float]:
    """The outcome, and the duration in s."""
    started = time.monotonic()
    return step.run(), time.monotonic() - started
