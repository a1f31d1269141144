"""``./venuemesh venue ID``: one venue in the foreground, as a container runs it."""

import argparse
import importlib

from ops import venues
from ops.service_modules import VENUE_APP

SIMULATED_ACCOUNTS = "kit.simulator.demo_accounts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    venues.complete(
        parser.add_argument("venue", metavar="ID", help="for example binance, or ccxt:gate")
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="not its usual one")


def run(chosen: argparse.Namespace) -> int:
    """Returns the exit code of the venue."""
    credentials = importlib.import_module(SIMULATED_ACCOUNTS).credentials
    return int(importlib.import_module(VENUE_APP).main(chosen.venue, chosen.port, credentials))
