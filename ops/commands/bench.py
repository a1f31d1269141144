"""``./venuemesh bench``: the benchmarks."""

import importlib
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Returns the exit code of the benchmarks."""
    return int(importlib.import_module("benchmarks.app").main(arguments))
