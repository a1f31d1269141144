"""``./venuemesh check``: everything that can be said of the code without running it."""

import time
from collections.abc import Sequence

from ops.arguments import OneLineParser
from ops.checks import STEPS

WIDTH = 14


def run(arguments: Sequence[str]) -> int:
    """Runs all steps, also after one has failed. Returns 1 when any has."""
    OneLineParser("check", run.__doc__ or "").parse_args(arguments)
    failed = []
    for step in STEPS:
        started = time.monotonic()
        outcome = step.run()
        seconds = time.monotonic() - started
        print(f"{step.name:<{WIDTH}} {outcome.word:<8} {seconds:5.1f} s  {outcome.text}".rstrip())
        if outcome.failed:
            failed.append(step.name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0
