"""A small venue, and sockets that do what a test says."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.cursor import CHANNELS, Channel
from kit.base.telemetry import Meter
from kit.base.websocket import WebsocketHandler
from kit.connector.books.sequence_rules import ConsecutiveIdRule
from kit.connector.contract.venue import (
    BookRules,
    ConnectorMaturity,
    ControlMessage,
    FrameKind,
    SnapshotSource,
    Venue,
    VenueHistory,
    VenueLimits,
    VenueProfile,
)
from kit.connector.feed.websocket_feed import WebsocketFeed
from kit.connector.publishing.feed_handler import FeedHandler
from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.model.columns import (
    BookRows,
    NumberColumn,
    PriceLevels,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
    zeros,
)
from tests.support.manual_clock import ManualClock

TRADES, QUOTES, BOOK = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_QUOTES,
    types_pb2.CHANNEL_BOOK,
)
TICKERS = types_pb2.CHANNEL_TICKERS
BOOK_RULES = BookRules(ConsecutiveIdRule(), SnapshotSource.FEED)
LIMITS: Mapping[str, Any] = {
    "symbols_per_connection": 10,
    "symbols_per_message": 2,
    "messages_per_second": 5,
    "ping_interval_s": None,
    "silence_s": 60,
}


def trade(number: int, symbol: str = "A") -> bytes:
    return json.dumps({"trade": symbol, "n": number}).encode()


def quote(number: int, symbol: str = "A") -> bytes:
    return json.dumps({"quote": symbol, "n": number}).encode()


def ticker(number: int, symbol: str = "A") -> bytes:
    return json.dumps({"ticker": symbol, "n": number}).encode()


def book(number: int, symbol: str = "A", whole: bool = False) -> bytes:
    """One bid at the price ``number``."""
    return json.dumps({"book": symbol, "n": number, "whole": whole}).encode()


LEAVING, BROKEN = b'{"leaving":true}', b'{"broken":true}'


class FakeWire:
    """Says words: "+A,B", "-A", "renew A"."""

    channels: frozenset[Channel] = frozenset({TRADES, QUOTES, BOOK, TICKERS})
    window_bytes = 16

    def __init__(self) -> None:
        self.kinds = [
            FrameKind("trades", b'"trade"', [_trades]),
            FrameKind("quotes", b'"quote"', [_quotes]),
            FrameKind("tickers", b'"ticker"', [_tickers]),
            FrameKind("book", b'"book"', [_books]),
        ]

    def url(self, symbols: Sequence[str]) -> str:
        return "ws://somewhere"

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        return ["+" + ",".join(symbols)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        return ["-" + ",".join(symbols)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        return [f"renew {symbol}"]

    def ping(self, request_id: int) -> str | None:
        return None

    def read_control_message(self, frame: bytes) -> ControlMessage:
        answers = {
            LEAVING: ControlMessage(is_closing=True, replies=["goodbye"]),
            BROKEN: ControlMessage(is_broken=True),
        }
        if frame not in answers:
            raise FrameError("what?")
        return answers[frame]


class FakeSocket:
    """Opens and closes on request of the test."""

    def __init__(self, url: str, handler: WebsocketHandler, clock: ManualClock) -> None:
        self.connected = False
        self.running = False
        self.reading = True
        self.sent: list[tuple[float, str]] = []
        """With the time since it was made, s."""
        self._handler = handler
        self._clock = clock
        self._made_ns = clock.now_ns

    @property
    def words(self) -> list[str]:
        return [text for _, text in self.sent]

    def open(self) -> None:
        self.connected = True
        self._handler.opened(self)  # type: ignore[arg-type]

    def say(self, *frames: bytes) -> None:
        self._handler.frames(list(frames), self._clock.time_ns())

    def close(self, reason: str = "gone") -> None:
        self.connected = False
        self._handler.closed(reason)

    def send(self, text: str) -> None:
        self.sent.append(((self._clock.now_ns - self._made_ns) / 1e9, text))

    def drop(self) -> None:
        if self.connected:
            self.close("dropped")

    def set_reading(self, is_reading: bool) -> None:
        self.reading = is_reading

    async def run(self) -> None:
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False


class Stage:
    """A session of the small venue, and what it has published."""

    def __init__(self, rules: BookRules = BOOK_RULES, **limits: Any) -> None:
        self.clock = ManualClock()
        self.sockets: list[FakeSocket] = []
        self.wire = FakeWire()
        self.venue = _venue(self.wire, VenueLimits(**{**LIMITS, **limits}), rules)
        self.meter = Meter("somewhere")
        self.feed_handler = FeedHandler.of(self.venue, self.meter, self.clock)
        self.hub = self.feed_handler.hub
        self.subscriptions = self.feed_handler.subscriptions
        self.feed = WebsocketFeed(self.feed_handler, self._open)
        self.batches: list[batch_pb2.MarketDataBatch] = []
        self._reader = self.hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *symbols: str) -> FakeSocket:
        """With these subscribed to, over the first connection."""
        self.add(*symbols)
        self.run(self.feed.run)
        await self.clock.settle()
        self.sockets[0].open()
        await self.clock.advance(2)
        return self.sockets[0]

    def add(self, *symbols: str) -> None:
        self.feed_handler.subscribe(symbols)
        self.feed.add(symbols)

    def run(self, task: Callable[[], Any]) -> None:
        self._tasks.append(asyncio.create_task(task()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heard(self) -> list[batch_pb2.MarketDataBatch]:
        """All that was published so far."""
        self.feed_handler.pipeline.flush()
        response = market_data_pb2.SubscribeResponse.FromString(self._reader.take())
        self.batches += response.batches
        return self.batches

    def numbers(self, channel: Channel) -> list[int]:
        """Of the published rows of a channel."""
        batches = [batch for batch in self.heard() if batch.channel == channel]
        field = {TRADES: "trade_id", QUOTES: "sequence", BOOK: "last_sequence"}.get(channel)
        if field is None:
            return [price for batch in batches for price in batch.tickers.last_price]
        columns = [getattr(batch, batch.WhichOneof("columns") or "trades") for batch in batches]
        return [number for column in columns for number in getattr(column, field)]

    def gaps(self) -> list[types_pb2.Gap]:
        """All that were published."""
        return [gap for batch in self.heard() for gap in batch.gaps]

    def _open(
        self, url: str, handler: WebsocketHandler, ping_interval_s: float | None
    ) -> FakeSocket:
        self.sockets.append(FakeSocket(url, handler, self.clock))
        return self.sockets[-1]


def _venue(wire: FakeWire, limits: VenueLimits, rules: BookRules) -> Venue:
    history: VenueHistory = None  # type: ignore[assignment]  # nobody asks it
    return Venue(
        venue_id="somewhere",
        port=1,
        profile=VenueProfile("Somewhere", "spot", ConnectorMaturity.PREVIEW),
        feed_protocols=(wire,),
        book=rules,
        history=history,
        limits=limits,
        default_symbols=("A",),
    )


def _read(
    frames: Frames, name: str
) -> tuple[list[dict[str, Any]], SymbolColumn, Any, NumberColumn]:
    decoded = [json.loads(payload) for payload in frames.payloads]
    number = np.array([one["n"] for one in decoded], dtype=np.int64)
    return decoded, SymbolColumn.of([one[name] for one in decoded]), number, NumberColumn(number, 0)


def _trades(frames: Frames) -> TradeRows:
    _, symbols, number, price = _read(frames, "trade")
    none = zeros(len(number))
    times = frames.received_time_ns
    return TradeRows(symbols, price, price, none + 1, none, times, number, number - 1)


def _quotes(frames: Frames) -> QuoteRows:
    _, symbols, number, price = _read(frames, "quote")
    none = zeros(len(number))
    return QuoteRows(symbols, price, price, price, price, none, frames.received_time_ns, number)


def _tickers(frames: Frames) -> TickerRows:
    _, symbols, number, price = _read(frames, "ticker")
    none = zeros(len(number))
    return TickerRows(symbols, none, frames.received_time_ns, price, price, price, price, price)


def _books(frames: Frames) -> BookRows:
    decoded, symbols, number, price = _read(frames, "book")
    none = zeros(len(number))
    whole = np.array([int(one["whole"]) for one in decoded], dtype=np.int64)
    return BookRows(
        symbols,
        number,
        number,
        none,
        whole,
        None,
        none,
        frames.received_time_ns,
        bids=PriceLevels(none + 1, price, price),
        asks=PriceLevels(none, NumberColumn(number[:0], 0), NumberColumn(number[:0], 0)),
    )
