"""``./venuemesh soak``: long runs in which processes are killed at random."""

import importlib
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Return 0 if nothing was lost."""
    return int(importlib.import_module("benchmarks.soak").main(arguments))
