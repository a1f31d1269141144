"""``./venuemesh venue ID``: one venue in the foreground, as a container runs it."""

import importlib
from collections.abc import Sequence

from ops.arguments import OneLineParser

APP = "kit.venue.app"


def run(arguments: Sequence[str]) -> int:
    """Returns the exit code of the venue."""
    parser = OneLineParser("venue", "Run one venue in the foreground.")
    parser.add_argument("venue", metavar="ID", help="for example binance")
    return int(importlib.import_module(APP).main(parser.parse_args(arguments).venue))
