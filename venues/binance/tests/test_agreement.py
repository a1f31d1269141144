"""Columns of captured frames equal the results of ccxt.pro."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ccxt.pro
import numpy as np
import pytest

from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import SIDE_BUY, NumberColumn, Rows
from venues.binance.tests.test_book import Reading
from venues.binance.tests.test_parse import FUTURES_KINDS, SPOT_KINDS, captured, decimals

UNIFIED = {"COMPUSDT": "COMP/USDT", "OMGBUSD": "OMG/BUSD", "CRVUSDT": "CRV/USDT"}
UNIFIED |= {"ZRXUSDT": "ZRX/USDT", "BELBTC": "BEL/BTC", "XEMUSDT": "XEM/USDT"}
UNIFIED |= {"ELFBUSD": "ELF/BUSD", "LTCBRL": "LTC/BRL", "BTCUSDT": "BTC/USDT"}
UNIFIED |= {"SUSHIUSDT": "SUSHI/USDT", "AKROUSDT": "AKRO/USDT", "ETHUSDT": "ETH/USDT"}
BOOK_LEVELS = 100_000
CAPTURES = [
    ("binance", "btcusdt_first30s"),
    ("binance", "binance_us_2021"),
    ("binance", "binance_tr_2023"),
    ("binance", "single_frames"),
    ("binance_futures", "btcusdt_first30s"),
    ("binance_futures", "sushi_akro_2021"),
    ("binance_futures", "single_frames"),
]
UNREAD = (b'"!', b"@depth20", b"@kline_1M")
"""Streams of the loose frames that nobody subscribes to here."""


class Ccxt:
    """ccxt as it comes, given frames by hand."""

    def __init__(self, venue: str) -> None:
        spot = venue == "binance"
        self.kinds = SPOT_KINDS if spot else FUTURES_KINDS
        self.url = "wss://stream.binance.com:9443" if spot else "wss://fstream.binance.com"
        self.url += "/stream" if spot else "/public/ws"
        self.exchange = ccxt.pro.binance() if spot else ccxt.pro.binanceusdm()
        self.subscriptions: dict[str, Any] = {}
        self.said: dict[str, Any] = {}
        self._suffix = "" if spot else ":USDT"
        markets = []
        for symbol, unified in UNIFIED.items():
            base, quote = unified.split("/")
            market = {"id": symbol, "symbol": unified + self._suffix, "base": base, "quote": quote}
            market |= {"type": "spot" if spot else "swap", "spot": spot, "swap": not spot}
            market |= {"contract": not spot, "linear": not spot, "active": True, "contractSize": 1}
            markets.append(self.exchange.safe_market_structure(market))
        self.exchange.set_markets(markets)

    def unified(self, symbol: str) -> str:
        return UNIFIED[symbol] + self._suffix

    def resolve(self, said: Any, name: str) -> None:
        self.said[name] = said

    def reject(self, error: Exception, name: object = None) -> None:
        raise error

    def read(self, frame: bytes) -> None:
        self.exchange.handle_message(self, json.loads(frame)["data"])


@pytest.fixture(params=CAPTURES, ids="/".join)
async def capture(request, captures: Path) -> Any:
    venue, name = request.param
    client = Ccxt(venue)
    lines = captured(captures / venue / name)
    yield client, [line for line in lines if not any(part in line[:64] for part in UNREAD)]
    await client.exchange.close()


def rows_of(capture: tuple[Ccxt, list[bytes]], wanted: str) -> Iterator[tuple[Ccxt, Rows, dict]]:
    """Each row of a kind, alone, after ccxt has read its frame; and the frame's data."""
    client, lines = capture
    frames = [line for line in lines if line.startswith(b'{"stream"')]
    for kind in [kind for kind in client.kinds if kind.name == wanted]:
        chosen = [line for line in frames if kind.pattern in line[:64]]
        (parser,) = kind.parsers
        rows = parser(Frames(chosen, range(len(chosen))))
        for row, line in enumerate(chosen):
            client.read(line)
            yield client, rows.take(np.array([row])), json.loads(line)["data"]


def floats(*columns: NumberColumn) -> list[float]:
    return [float(decimals(column)[0]) for column in columns]


async def test_trades_agree(capture) -> None:
    for client, rows, data in rows_of(capture, "trades"):
        theirs = client.exchange.trades[client.unified(data["s"])][-1]
        assert floats(rows.price, rows.size) == [theirs["price"], theirs["amount"]]
        assert (rows.side[0] == SIDE_BUY) == (theirs["side"] == "buy")
        assert rows.trade_id[0] == int(theirs["id"])
        assert rows.venue_time_ns[0] == theirs["timestamp"] * 1_000_000


async def test_quotes_agree(capture) -> None:
    for client, rows, data in rows_of(capture, "quotes"):
        theirs = client.exchange.bidsasks[client.unified(data["s"])]
        columns = (rows.bid_price, rows.bid_size, rows.ask_price, rows.ask_size)
        names = ("bid", "bidVolume", "ask", "askVolume")
        assert floats(*columns) == [theirs[name] for name in names]
        if rows.venue_time_ns[0]:
            # ccxt takes the time when it was sent, here it is the time when it was so.
            assert theirs["timestamp"] == data["E"] >= data["T"]


async def test_tickers_agree(capture) -> None:
    for client, rows, data in rows_of(capture, "tickers"):
        theirs = client.exchange.tickers[client.unified(data["s"])]
        columns = (rows.last_price, rows.open_price, rows.high_price, rows.low_price, rows.volume)
        names = ("last", "open", "high", "low", "baseVolume")
        assert floats(*columns) == [theirs[name] for name in names]
        assert rows.venue_time_ns[0] == theirs["timestamp"] * 1_000_000


async def test_candles_agree(capture) -> None:
    for client, rows, data in rows_of(capture, "candles"):
        theirs = client.exchange.ohlcvs[client.unified(data["s"])]["1m"][-1]
        columns = (rows.open, rows.high, rows.low, rows.close, rows.volume)
        assert [rows.open_time_ns[0] // 1_000_000, *floats(*columns)] == theirs


async def test_marks_agree(capture) -> None:
    for client, rows, data in rows_of(capture, "marks"):
        theirs = client.exchange.tickers[client.unified(data["s"])]
        names = ("markPrice", "indexPrice")
        assert floats(rows.mark_price, rows.index_price) == [theirs[name] for name in names]
        assert rows.venue_time_ns[0] == theirs["timestamp"] * 1_000_000


async def test_books_agree_after_each_update(capture, captures: Path, request) -> None:
    client, _ = capture
    venue, name = request.node.callspec.params["capture"]
    snapshots = Reading.of(captures / venue / name).snapshots
    ours: dict[str, list[dict[float, float]]] = {}
    for symbol, snapshot in snapshots.items():
        book = client.exchange.order_book({}, BOOK_LEVELS)
        theirs = client.exchange.parse_order_book(snapshot, client.unified(symbol))
        book.reset(theirs | {"nonce": snapshot["lastUpdateId"], "timestamp": None})
        client.exchange.orderbooks[client.unified(symbol)] = book
        ours[symbol] = [dict(map(float_pair, snapshot[side])) for side in ("bids", "asks")]
    for _, rows, data in rows_of(capture, "book"):
        if data["s"] not in ours or data["u"] <= snapshots[data["s"]]["lastUpdateId"]:
            continue
        theirs = client.exchange.orderbooks[client.unified(data["s"])]
        assert theirs["nonce"] == rows.last_sequence[0]
        sides = zip(ours[data["s"]], (rows.bids, rows.asks), ("bids", "asks"), strict=True)
        for side, levels, key in sides:
            pairs = zip(decimals(levels.price), decimals(levels.size), strict=True)
            side.update(map(float_pair, pairs))
            assert {price: size for price, size in side.items() if size} == dict(theirs[key])


def float_pair(level: Sequence[object]) -> tuple[float, float]:
    price, size = level
    return float(str(price)), float(str(size))
