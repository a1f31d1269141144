"""``./venuemesh bench``: the benchmarks."""

import argparse
import importlib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*")


def run(chosen: argparse.Namespace) -> int:
    """Returns the exit code of the benchmarks."""
    return int(importlib.import_module("benchmarks.app").main(chosen.arguments))
