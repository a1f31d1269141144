"""Connections to Binance's feeds: combined streams and SUBSCRIBE messages.

Spot has one address. Futures have two with different streams: a subscription at the wrong address
is acknowledged, but delivers nothing.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.contract.venue import ControlMessage, FrameKind
from kit.marketdata.frames import FrameError
from venues.binance import parse

WINDOW_BYTES = 64
"""The name of a stream ends within this many bytes: {"stream":"btcusdt@trade","data":…"""
SHUTDOWN = "serverShutdown"


class BinanceStream(NamedTuple):
    """The streams that are subscribed to for each symbol."""

    name: str
    channel: Channel
    kind: FrameKind


TRADES = BinanceStream(
    "trade", types_pb2.CHANNEL_TRADES, FrameKind("trades", b'@trade"', [parse.trades])
)
AGGREGATE_TRADES = BinanceStream(
    "aggTrade", types_pb2.CHANNEL_TRADES, FrameKind("trades", b'@aggTrade"', [parse.aggregates])
)
FUTURES_TRADES = BinanceStream(
    "trade", types_pb2.CHANNEL_TRADES, FrameKind("trades", b'@trade"', [parse.futures_trades])
)
_SUMMARIES = (
    BinanceStream(
        "ticker", types_pb2.CHANNEL_TICKERS, FrameKind("tickers", b'@ticker"', [parse.tickers])
    ),
    BinanceStream(
        "kline_1m", types_pb2.CHANNEL_CANDLES, FrameKind("candles", b"@kline_", [parse.candles])
    ),
)
SPOT_STREAMS = (
    BinanceStream(
        "bookTicker", types_pb2.CHANNEL_QUOTES, FrameKind("quotes", b'@bookTicker"', [parse.quotes])
    ),
    BinanceStream(
        "depth@100ms", types_pb2.CHANNEL_BOOK, FrameKind("book", b"@depth", [parse.book])
    ),
    *_SUMMARIES,
)
"""All streams except trades, which have two variants."""
FUTURES_PUBLIC_STREAMS = (
    BinanceStream(
        "bookTicker",
        types_pb2.CHANNEL_QUOTES,
        FrameKind("quotes", b'@bookTicker"', [parse.futures_quotes]),
    ),
    BinanceStream(
        "depth@100ms", types_pb2.CHANNEL_BOOK, FrameKind("book", b"@depth", [parse.futures_book])
    ),
)
"""The streams of the route /public, which also has the single trades."""
FUTURES_MARKET_STREAMS = (
    BinanceStream(
        "markPrice@1s", types_pb2.CHANNEL_MARKS, FrameKind("marks", b"@markPrice", [parse.marks])
    ),
    *_SUMMARIES,
)
"""The streams of the route /market, which also has the aggregate trades."""


class _Error(msgspec.Struct):
    code: int
    msg: str


class _Notice(msgspec.Struct):
    """{"result":null,"id":1}, {"code":2,"msg":"Invalid request: …"}, {"error":{…},"id":1} or
    {"e":"serverShutdown","E":1770123456789}."""

    id: int | str | msgspec.UnsetType | None = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: int | None = None
    msg: str = ""
    error: _Error | None = None
    e: str = ""


class BinanceFeedProtocol:
    """The combined stream of one connection."""

    window_bytes = WINDOW_BYTES

    def __init__(self, base_url: str, streams: Sequence[BinanceStream]) -> None:
        """The address without its last part, and the streams that it serves."""
        self.channels = frozenset(stream.channel for stream in streams)
        self.kinds = [stream.kind for stream in streams]
        self._url = f"{base_url}/stream"
        self._names = [stream.name for stream in streams]

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"method":"SUBSCRIBE","params":["btcusdt@trade",…],"id":1}."""
        return [self._request("SUBSCRIBE", symbols, request_id)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"method":"UNSUBSCRIBE","params":["btcusdt@trade",…],"id":2}."""
        return [self._request("UNSUBSCRIBE", symbols, request_id)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """None: book snapshots come from REST."""
        return []

    def ping(self, request_id: int) -> str | None:
        """None: Binance supports only websocket ping frames."""
        return None

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode an answer to a request, or the announcement of a shutdown. Raises FrameError for
        any other frame."""
        try:
            decoded = msgspec.json.decode(frame, type=_Notice)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if decoded.error is not None:
            return ControlMessage(rejection=f"{decoded.error.code}: {decoded.error.msg}")
        if decoded.code is not None:
            return ControlMessage(rejection=f"{decoded.code}: {decoded.msg}")
        if decoded.e == SHUTDOWN:
            return ControlMessage(is_closing=True)
        if decoded.id is msgspec.UNSET and decoded.result is msgspec.UNSET:
            raise FrameError("neither data nor an answer")
        return ControlMessage()

    def _request(self, method: str, symbols: Sequence[str], request_id: int) -> str:
        names = [f"{symbol.lower()}@{name}" for symbol in symbols for name in self._names]
        message = {"method": method, "params": names, "id": request_id}
        return msgspec.json.encode(message).decode()
