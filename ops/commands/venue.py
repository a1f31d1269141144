"""``./venuemesh venue ID``: one venue in the foreground, as a container runs it."""

import importlib
from collections.abc import Sequence

from ops.arguments import OneLineErrorParser

APP = "kit.connector.process.app"
SIMULATED_ACCOUNTS = "kit.simulator.demo_accounts"


def run(arguments: Sequence[str]) -> int:
    """Returns the exit code of the venue."""
    parser = OneLineErrorParser("venue", "Run one venue in the foreground.")
    parser.add_argument("venue", metavar="ID", help="for example binance, or ccxt:gate")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="not its usual one")
    chosen = parser.parse_args(arguments)
    credentials = importlib.import_module(SIMULATED_ACCOUNTS).credentials
    return int(importlib.import_module(APP).main(chosen.venue, chosen.port, credentials))
