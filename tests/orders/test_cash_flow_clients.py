"""The unmodified ccxt reads what the simulated exchanges list of changed balances."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kit.simulator import demo_accounts
from tests.support.simulated_exchange import simulated_exchange
from venues.binance.simulator.tests import running as binance
from venues.bybit.simulator.tests import running as bybit
from venues.coinbase.simulator.tests import running as coinbase
from venues.deribit.simulator.tests import running as deribit
from venues.kraken.simulator.tests import running as kraken
from venues.okx.simulator.tests import running as okx

SIZES = {"binance_futures": 0.01, "deribit": 100, "okx_futures": 2}


def keys(venue_id: str) -> dict[str, Any]:
    return dict(demo_accounts.credentials(venue_id, "demo") or {})


CLIENTS: dict[str, tuple[Callable[[str], Any], str]] = {
    "binance": (binance.trading_client, "BTC/USDT"),
    "binance_futures": (binance.trading_futures_client, "BTC/USDT:USDT"),
    "bybit": (lambda base: bybit.ccxt_client(base, **keys("bybit")), "BTC/USDT"),
    "coinbase": (
        lambda base: coinbase.ccxt_client(base, "advanced", **keys("coinbase")),
        "BTC/USD",
    ),
    "deribit": (lambda base: deribit.ccxt_client(base, **keys("deribit")), "BTC/USD:BTC"),
    "kraken": (lambda base: kraken.ccxt_client(base, **keys("kraken")), "BTC/USDT"),
    "okx": (okx.trading_client, "BTC/USDT"),
    "okx_futures": (okx.trading_client, "BTC/USDT:USDT"),
}


async def binance_rows(client: Any) -> list[Any]:
    found = await client.fetch_deposits("BTC")
    assert await client.fetch_withdrawals("BTC") == []
    return [{"type": "transaction", **row} for row in found]


async def futures_rows(client: Any) -> list[Any]:
    assert await client.fetch_funding_history() == []
    found: list[Any] = await client.fetch_ledger("USDT")
    return found


async def deribit_rows(client: Any) -> list[Any]:
    """ccxt has the raw call only."""
    end_ms = client.milliseconds() + 60_000
    span = {"currency": "BTC", "start_timestamp": 0, "end_timestamp": end_ms}
    logs = (await client.private_get_get_transaction_log(span))["result"]["logs"]
    return [{"type": row["type"], "amount": float(row["change"])} for row in logs]


def ledger_rows(asset: str) -> Callable[[Any], Awaitable[list[Any]]]:
    async def read(client: Any) -> list[Any]:
        found: list[Any] = await client.fetch_ledger(asset)
        return found

    return read


ROWS: dict[str, Callable[[Any], Awaitable[list[Any]]]] = {
    "binance": binance_rows,
    "binance_futures": futures_rows,
    "deribit": deribit_rows,
}


@pytest.mark.parametrize("venue_id", CLIENTS)
async def test_ccxt_reads_the_lists(venue_id: str) -> None:
    make_client, symbol = CLIENTS[venue_id]
    read = ROWS.get(venue_id, ledger_rows("USDT" if "futures" in venue_id else "BTC"))
    async with simulated_exchange("simulate", venue_id) as base, make_client(base) as client:
        await client.load_markets()
        first = await read(client)
        assert len(first) == 1
        assert first[0]["amount"] > 0
        await client.create_order(symbol, "limit", "buy", SIZES.get(venue_id, 0.01), 150_000)
        rows = await read(client)
        assert len(rows) > 1 or venue_id == "binance"
        assert all(row["type"] and row["amount"] for row in rows)
