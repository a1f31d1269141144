"""Columns of captured frames equal the results of ccxt.pro."""

from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from kit.marketdata.frames import Frames
from tests.support.ccxt_client import Wire, heard
from venues.kraken import parse
from venues.kraken.tests.test_book import CONTINUOUS_LINES, Books, as_written, books_of
from venues.kraken.tests.test_parse import TICKER, TRADE, captured, decimals

URL = "wss://ws.kraken.com/v2"


@pytest.fixture
async def exchange() -> Any:
    client = ccxt.pro.kraken()
    market = {"id": "XXBTZUSD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD"}
    kind = {"type": "spot", "spot": True, "swap": False, "contract": False, "active": True}
    client.set_markets([client.safe_market_structure(market | kind)])
    yield client
    await client.close()


async def test_books_agree(exchange, captures: Path) -> None:
    for _, lines in captured(captures):
        books = Books(10, "BTC/USD")
        for line in heard(exchange, Wire(URL), books_of(lines[:CONTINUOUS_LINES])):
            books.take([line])
            book, theirs = books.of("BTC/USD"), exchange.orderbooks["BTC/USD"]
            for name, levels in (("bids", book.book.bids()), ("asks", book.book.asks())):
                ours = [list(map(float, level)) for level in as_written(book, levels)]
                assert [level[:2] for level in theirs[name]] == ours


async def test_ccxt_keeps_a_book_that_is_in_doubt_here(exchange, captures: Path) -> None:
    """It does not look at checksums, so that its book is wrong after a jump: crossed, here."""
    for _, lines in captured(captures):
        books = Books(10, "BTC/USD")
        for line in heard(exchange, Wire(URL), books_of(lines)):
            books.take([line])
        theirs = exchange.orderbooks["BTC/USD"]
        assert theirs["bids"][0][0] > theirs["asks"][0][0]
        assert books.keeper.wanting_snapshot() == ["BTC/USD"]


async def test_trades_agree(exchange) -> None:
    for line in heard(exchange, Wire(URL), [TRADE]):
        rows = parse.trades(Frames([line], [1]))
        theirs = list(exchange.trades["BTC/USD"])
        assert [int(trade["id"]) for trade in theirs] == rows.trade_id.tolist()
        assert [trade["price"] for trade in theirs] == list(map(float, decimals(rows.price)))
        assert [trade["amount"] for trade in theirs] == list(map(float, decimals(rows.size)))
        assert [trade["side"] for trade in theirs] == ["buy", "sell"]


async def test_tickers_agree_except_members_that_ccxt_omits(exchange) -> None:
    """ccxt reckons the opening price from last and change as we do, and knows no time."""
    for line in heard(exchange, Wire(URL), [TICKER]):
        tickers, quotes = (read(Frames([line], [1])) for read in (parse.tickers, parse.quotes))
        theirs = exchange.tickers["BTC/USD"]
        names = (
            "last",
            "open",
            "high",
            "low",
            "baseVolume",
            "bid",
            "bidVolume",
            "ask",
            "askVolume",
        )
        columns = (
            tickers.last_price,
            tickers.open_price,
            tickers.high_price,
            tickers.low_price,
            tickers.volume,
            quotes.bid_price,
            quotes.bid_size,
            quotes.ask_price,
            quotes.ask_size,
        )
        assert [float(decimals(column)[0]) for column in columns] == [theirs[key] for key in names]
        assert theirs["timestamp"] is None
