"""Columns of captured frames equal the results of ccxt.pro."""

from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from kit.marketdata.frames import Frames
from tests.support.ccxt_client import Wire, heard
from venues.bybit import parse
from venues.bybit.tests.test_parse import captured, decimals

URL = "wss://stream.bybit.com/v5/public/spot"


@pytest.fixture
async def exchange() -> Any:
    client = ccxt.pro.bybit()
    market = {"id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT"}
    kind = {"type": "spot", "spot": True, "swap": False, "contract": False, "active": True}
    client.set_markets([client.safe_market_structure(market | kind)])
    yield client
    await client.close()


async def test_books_agree(exchange, captures: Path) -> None:
    ours: list[dict[float, float]] = [{}, {}]
    for line in heard(exchange, Wire(URL), captured(captures, "orderbook.50.")):
        rows = parse.book(Frames([line], [1]))
        if rows.snapshot[0]:
            ours = [{}, {}]
        for side, levels in zip(ours, (rows.bids, rows.asks), strict=True):
            for price, size in zip(decimals(levels.price), decimals(levels.size), strict=True):
                side[float(price)] = float(size)
                if not size:
                    del side[float(price)]
        theirs = exchange.orderbooks["BTC/USDT"]
        assert [dict(theirs[side]) for side in ("bids", "asks")] == ours


async def test_quotes_agree(exchange, captures: Path) -> None:
    for line in heard(exchange, Wire(URL), captured(captures, "orderbook.1.")):
        rows = parse.quotes(Frames([line], [1]))
        theirs = exchange.bidsasks["BTC/USDT"]
        columns = (rows.bid_price, rows.bid_size, rows.ask_price, rows.ask_size)
        names = ("bid", "bidVolume", "ask", "askVolume")
        assert [float(decimals(column)[0]) for column in columns] == [theirs[key] for key in names]


async def test_tickers_agree(exchange, captures: Path) -> None:
    for line in heard(exchange, Wire(URL), captured(captures, "tickers.")):
        rows = parse.tickers(Frames([line], [1]))
        theirs = exchange.tickers["BTC/USDT"]
        columns = (rows.last_price, rows.open_price, rows.high_price, rows.low_price, rows.volume)
        names = ("last", "open", "high", "low", "baseVolume")
        assert [float(decimals(column)[0]) for column in columns] == [theirs[key] for key in names]
        assert theirs["timestamp"] * 1_000_000 == rows.venue_time_ns[0]
