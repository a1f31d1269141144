"""``./venuemesh soak``: long runs in which processes are killed at random."""

import argparse
import importlib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*")


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if nothing was lost."""
    return int(importlib.import_module("benchmarks.soaks.app").main(chosen.arguments))
