"""Columns of captured frames equal the results of ccxt.pro."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from kit.connector.books.book_manager import BookManager
from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import SIDE_BUY
from tests.support.ccxt_client import Wire
from venues.okx import parse
from venues.okx.book import BOOK
from venues.okx.tests.test_captures import captured
from venues.okx.tests.test_parse import decimals

SPOT = ("BTC-USDT", "BTC-USD", "ETH-USD", "USDC-USDT", "USDT-USD")
SWAPS = ("BTC-USDT-SWAP",)


URL = "wss://ws.okx.com:8443/ws/v5/public"


class Everything(dict[str, Any]):
    """A dict that has every key: all is subscribed to."""

    def __contains__(self, key: object) -> bool:
        return True


def unified(name: str) -> str:
    """ccxt's symbol."""
    base, quote, *swap = name.split("-")
    return f"{base}/{quote}:{quote}" if swap else f"{base}/{quote}"


@pytest.fixture
async def exchange() -> Any:
    client = ccxt.pro.okx()
    markets = []
    for name in (*SPOT, *SWAPS):
        base, quote, *_ = name.split("-")
        swap = name in SWAPS
        market = {"id": name, "symbol": unified(name), "base": base, "quote": quote}
        kind = {"type": "swap" if swap else "spot", "spot": not swap, "swap": swap}
        kind |= {"contract": swap, "linear": swap or None, "active": True}
        markets.append(client.safe_market_structure(market | kind))
    client.set_markets(markets)
    yield client
    await client.close()


def heard(exchange: Any, captures: Path, channel: str) -> Iterator[tuple[str, bytes]]:
    """The frames of a channel, sessions before loose ones, with ccxt's symbol, each after ccxt has
    handled it."""
    wire = Wire(URL, Everything())
    for line in captured(captures, channel):
        frame = json.loads(line)
        if frame["arg"]["instId"] in (*SPOT, *SWAPS):
            exchange.handle_message(wire, frame)
            yield unified(frame["arg"]["instId"]), line


def floats(columns: list[Any]) -> list[float]:
    return [float(decimals(column)[0]) for column in columns]


async def test_trades_agree(exchange, captures: Path) -> None:
    count = 0
    for symbol, line in heard(exchange, captures, "trades"):
        rows = parse.trades(Frames([line], [1]))
        theirs = exchange.trades[symbol][-1]
        assert floats([rows.price, rows.size]) == [theirs["price"], theirs["amount"]]
        assert str(rows.trade_id[0]) == theirs["id"]
        assert bool(rows.side[0] == SIDE_BUY) is (theirs["side"] == "buy")
        assert rows.venue_time_ns[0] == theirs["timestamp"] * 10**6
        count += 1
    assert count == 75


async def test_books_agree(exchange, captures: Path) -> None:
    keeper = BookManager(BOOK, lambda draft: None)
    count = 0
    for symbol, line in heard(exchange, captures, "books"):
        rows = parse.book(Frames([line], [1]))
        keeper.add(rows.symbols.names)
        keeper.on_rows(rows)
        book = keeper.books[rows.symbols.names[0]]
        theirs = exchange.orderbooks[symbol]
        for ours, side in ((book.book.bids(), theirs["bids"]), (book.book.asks(), theirs["asks"])):
            scales = 10**book.scale.price, 10**book.scale.size
            assert [(price / scales[0], size / scales[1]) for price, size in ours] == [
                (level[0], level[1]) for level in side
            ]
        count += 1
    assert count == 104


async def test_tickers_agree(exchange, captures: Path) -> None:
    count = 0
    for symbol, line in heard(exchange, captures, "tickers"):
        rows = parse.tickers(Frames([line], [1]))
        theirs = exchange.tickers[symbol]
        columns = [rows.last_price, rows.open_price, rows.high_price, rows.low_price, rows.volume]
        names = ("last", "open", "high", "low", "baseVolume")
        assert floats(columns) == [theirs[key] for key in names]
        assert rows.venue_time_ns[0] == theirs["timestamp"] * 10**6
        count += 1
    assert count == 35


async def test_quotes_agree(exchange, captures: Path) -> None:
    count = 0
    for symbol, line in heard(exchange, captures, "bbo-tbt"):
        rows = parse.quotes(Frames([line], [1]))
        theirs = exchange.bidsasks[symbol]
        columns = [rows.bid_price, rows.bid_size, rows.ask_price, rows.ask_size]
        names = ("bid", "bidVolume", "ask", "askVolume")
        assert floats(columns) == [theirs[key] for key in names]
        count += 1
    assert count == 2


async def test_fundings_agree(exchange, captures: Path) -> None:
    count = 0
    for symbol, line in heard(exchange, captures, "funding-rate"):
        rows = parse.fundings(Frames([line], [1]))
        theirs = exchange.fundingRates[symbol]
        assert floats([rows.funding_rate]) == [theirs["fundingRate"]]
        assert rows.next_funding_time_ns[0] == theirs["fundingTimestamp"] * 10**6
        count += 1
    assert count == 1


async def test_candles_agree(exchange, captures: Path) -> None:
    """But for the volume of swaps: ours counts contracts, as all sizes of swaps do."""
    count = 0
    for symbol, line in heard(exchange, captures, "candle1m"):
        rows = parse.candles(Frames([line], [1]))
        theirs = exchange.ohlcvs[symbol]["1m"][-1]
        columns = [rows.open, rows.high, rows.low, rows.close, rows.volume]
        contracts = 100 if symbol.endswith(":USDT") else 1
        assert floats(columns) == [*theirs[1:5], round(theirs[5] * contracts, 8)]
        assert rows.open_time_ns[0] == theirs[0] * 10**6
        count += 1
    assert count == 14
