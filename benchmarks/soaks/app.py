"""``./venuemesh soak record|ledger|cash``: long runs in which processes are killed at random."""

import argparse
from collections.abc import Sequence
from typing import Protocol

from benchmarks.soaks import cash, ledger, record
from ops.arguments import OneLineErrorParser, add_verbs


class Soak(Protocol):
    """A module of this folder."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the soak."""

    def run(self, chosen: argparse.Namespace) -> int:
        """Run it. Returns 0 if nothing is wrong."""


SOAKS: dict[str, Soak] = {"record": record, "ledger": ledger, "cash": cash}


def main(arguments: Sequence[str]) -> int:
    """Run the soak that is named first. Returns its exit code."""
    parser = OneLineErrorParser("soak", __doc__ or "")
    verbs = add_verbs(parser)
    for name, soak in SOAKS.items():
        soak.add_arguments(verbs.add_parser(name, description=soak.__doc__))
    chosen = parser.parse_args(arguments, argparse.Namespace(json=False))
    return SOAKS[chosen.verb].run(chosen)
