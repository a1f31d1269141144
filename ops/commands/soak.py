"""``./venuemesh soak``: long runs in which everything dies once in a while."""

import importlib
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Returns 0 when nothing was lost."""
    return int(importlib.import_module("benchmarks.soak").main(arguments))
