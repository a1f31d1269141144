"""A mesh in the world simulate: one run that ends with Ctrl-C, and the state of the exchange."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tests.integration import recorded
from tests.integration.capture import NANOSECONDS_PER_MILLISECOND, Trade
from tests.integration.followers import LiveTrades, following
from tests.integration.mesh import SYMBOL, VENUE, Mesh, running

SIMULATE = ("--world", "simulate", "--seed", "7", "--venues", "binance")
TRADES_MIN = 20
"""Recorded before the first run ends."""


@dataclass(frozen=True)
class FirstRun:
    """The observations of the run."""

    data: Path
    live_counts: Mapping[int, int]
    """Number of receptions of each trade id by a subscriber of the gateway."""
    trades: list[Trade]
    """Trades at the exchange, from the first recorded one on."""
    exit_code: int
    leftovers: dict[int, str]
    left_a_state: bool
    """Whether the file for other shells was still there."""


def run_once(data: Path) -> FirstRun:
    """Start, wait for trades, end with Ctrl-C."""
    live = LiveTrades()
    with running(data, *SIMULATE) as mesh:
        with following(mesh, live):
            mesh.wait_until(lambda: live.counts, "the first trade")
        mesh.wait_until(lambda: recorded.trades_after(mesh, 0) >= TRADES_MIN, "trades are recorded")
        trades = exchange_trades(mesh, recorded.trades(mesh)[0].trade_id)
        exit_code = mesh.stop()
        left_a_state = (data / "state.json").exists()
        return FirstRun(data, live.counts, trades, exit_code, mesh.leftovers(), left_a_state)


def exchange_trades(mesh: Mesh, first_id: int) -> list[Trade]:
    """Trades of the simulated exchange, read over its REST API."""
    path = f"/{VENUE}/api/v3/historicalTrades?symbol={SYMBOL}&limit=1000&fromId={first_id}"
    return [
        Trade(
            each["id"],
            Decimal(each["price"]),
            Decimal(each["qty"]),
            "sell" if each["isBuyerMaker"] else "buy",
            each["time"] * NANOSECONDS_PER_MILLISECOND,
        )
        for each in mesh.get(path, port="simulator")[1]
    ]
