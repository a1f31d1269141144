"""What we make of captured frames is what ccxt.pro makes of them, but for what the README says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt.pro
import msgspec
import pytest

from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import SIDE_BUY
from tests.support.ccxt_client import Wire
from venues.coinbase import parse
from venues.coinbase.tests import test_parse as real
from venues.coinbase.tests.test_parse import decimals, levels

CAPTURE = "coinbase/exchange_6_products_2021"


def with_markets(client: Any, *products: str) -> Any:
    markets = []
    for product in products:
        base, _, quote = product.partition("-")
        pair = {"id": product, "symbol": f"{base}/{quote}", "base": base, "quote": quote}
        kind = {"type": "spot", "spot": True, "swap": False, "contract": False, "active": True}
        markets.append(client.safe_market_structure(pair | kind))
    client.set_markets(markets)
    return client


@pytest.fixture
async def lines(captures: Path) -> list[bytes]:
    return (captures / CAPTURE / "frames.jsonl").read_bytes().splitlines()


@pytest.fixture
async def exchange(captures: Path) -> Any:
    products = json.loads((captures / CAPTURE / "rest/products.json").read_bytes())
    client = with_markets(ccxt.pro.coinbaseexchange(), *(one["id"] for one in products))
    yield client
    await client.close()


@pytest.fixture
async def advanced() -> Any:
    client = with_markets(ccxt.pro.coinbase(), "BTC-USD", "ETH-USD")
    yield client
    await client.close()


def heard(client: Any, lines: list[bytes], *types: str) -> Iterator[tuple[bytes, str]]:
    """The lines of these types and their symbols, each after ccxt has handled it."""
    wire = Wire("wss://ws-feed.exchange.coinbase.com")
    for line in lines:
        message = msgspec.json.decode(line)
        if message["type"] in types:
            client.handle_message(wire, message)
            yield line, message["product_id"].replace("-", "/")


async def test_books_agree(exchange: Any, lines: list[bytes]) -> None:
    books: dict[str, list[dict[float, float]]] = {}
    for line, symbol in heard(exchange, lines, "snapshot", "l2update"):
        rows = parse.exchange_book(Frames([line], [1]))
        if rows.snapshot[0]:
            books[symbol] = [{}, {}]
        for side, changes in zip(books[symbol], (rows.bids, rows.asks), strict=True):
            for price, size in levels(changes):
                side[float(price)] = float(size)
                if not size:
                    del side[float(price)]
        theirs = exchange.orderbooks[symbol]
        best = [max(books[symbol][0]), min(books[symbol][1])]
        assert [theirs["bids"][0][0], theirs["asks"][0][0]] == best
    for symbol, book in books.items():
        theirs = exchange.orderbooks[symbol]
        assert [dict(theirs[side]) for side in ("bids", "asks")] == book


async def test_trades_agree(exchange: Any, lines: list[bytes]) -> None:
    for line, symbol in heard(exchange, lines, "match"):
        rows = parse.exchange_trades(Frames([line], [1]))
        theirs = exchange.trades[symbol][-1]
        assert theirs["id"] == str(rows.trade_id[0])
        assert (theirs["side"] == "buy") == (rows.side[0] == SIDE_BUY)
        assert theirs["price"] == float(decimals(rows.price)[0])
        assert theirs["amount"] == float(decimals(rows.size)[0])
        assert theirs["timestamp"] == rows.venue_time_ns[0] // 1_000_000


async def test_tickers_agree(exchange: Any, lines: list[bytes]) -> None:
    for line, symbol in heard(exchange, lines, "ticker"):
        rows = parse.exchange_tickers(Frames([line], [1]))
        quotes = parse.exchange_quotes(Frames([line], [1]))
        theirs = exchange.tickers[symbol]
        columns = (rows.last_price, rows.open_price, rows.high_price, rows.low_price, rows.volume)
        names = ("last", "open", "high", "low", "baseVolume")
        assert [float(decimals(column)[0]) for column in columns] == [theirs[key] for key in names]
        assert float(decimals(quotes.bid_price)[0]) == theirs["bid"]
        assert float(decimals(quotes.ask_price)[0]) == theirs["ask"]


async def test_the_match_before_a_subscription_is_unknown_to_ccxt(
    exchange: Any, lines: list[bytes]
) -> None:
    for _, symbol in heard(exchange, lines, "last_match"):
        assert symbol not in exchange.trades


async def test_frames_of_advanced_agree_but_for_the_side(advanced: Any) -> None:
    wire = Wire("wss://advanced-trade-ws.coinbase.com")
    for frame in (real.ADVANCED_TRADES, real.ADVANCED_BOOK, real.ADVANCED_TICKER):
        advanced.handle_message(wire, msgspec.json.decode(frame))
    rows = parse.advanced_trades(Frames([real.ADVANCED_TRADES], [1]))
    theirs = advanced.trades["ETH/USD"]
    assert [trade["id"] for trade in theirs] == [str(number) for number in rows.trade_id]
    assert [trade["price"] for trade in theirs] == [float(one) for one in decimals(rows.price)]
    sides = zip([trade["side"] for trade in theirs], rows.side.tolist(), strict=True)
    assert all((reported == "buy") != (side == SIDE_BUY) for reported, side in sides)
    book = advanced.orderbooks["BTC/USD"]
    assert list(map(tuple, book["bids"])) == [(79943.9, 3.0105)]
    assert list(map(tuple, book["asks"])) == [(79944.1, 1.2)]
    quotes = parse.advanced_quotes(Frames([real.ADVANCED_TICKER], [1]))
    ticker = advanced.tickers["BTC/USD"]
    assert ticker["bid"] == float(decimals(quotes.bid_price)[0])
    assert ticker["askVolume"] == float(decimals(quotes.ask_size)[0])
