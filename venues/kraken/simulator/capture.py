"""Lines of a Kraken capture (WebSocket API v2)."""

import re
from collections.abc import Mapping

import msgspec

from kit.marketdata.frames import FrameError, Frames
from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, Parser
from kit.simulator.exchange.streams import StreamRegistry
from venues.kraken import parse
from venues.kraken.simulator.streams import (
    DEPTH_DEFAULT,
    DEPTHS,
    INTERVAL_DEFAULT,
    TRIGGER_DEFAULT,
    stream_name,
)

DATA = re.compile(rb'\{"channel": ?"(book|ohlc|ticker|trade)".*?"symbol": ?"([^"]+)"', re.DOTALL)
INTERVAL = re.compile(rb'"interval": ?([0-9]+)')
TALK = (b'{"method"', b'{"error"', b'{"channel":"status"', b'{"channel":"heartbeat"')
PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.trades,
    Channel.TICKERS: parse.quotes,
    Channel.BOOK: parse.book,
}


class _Result(msgspec.Struct, frozen=True):
    channel: str = ""
    symbol: str = ""
    depth: int = DEPTH_DEFAULT
    event_trigger: str = TRIGGER_DEFAULT


class _Reply(msgspec.Struct):
    result: _Result = _Result()


_reply = msgspec.json.Decoder(_Reply)


def capture_reader(streams: StreamRegistry) -> CaptureReader:
    return CaptureReader(
        frame_of=_Lines(streams).frame_of,
        parsers=PARSERS,
        assets_of=assets_of,
        keeps_zeros=True,
    )


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTC/USDT``."""
    base, _, quote = symbol.partition("/")
    return base, quote


class _Lines:
    """Remembers what the client of the capture subscribed to: a frame itself says neither a book's
    depth nor a ticker's trigger."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._variants: dict[tuple[str, str], object] = {}

    def frame_of(self, line: bytes) -> Frame:
        found = DATA.match(line)
        if found is not None:
            channel, symbol = found.group(1).decode(), found.group(2).decode(errors="replace")
            name = stream_name(channel, symbol, self._variant(channel, symbol, line))
            return self._streams.get(name), line
        if line.startswith(TALK):
            self._learn(line)
            return RESPONSE, line
        return (UNKNOWN if line else RESPONSE), line

    def _variant(self, channel: str, symbol: str, line: bytes) -> object:
        if channel == "trade":
            return ""
        if channel == "ohlc":
            interval = INTERVAL.search(line)
            return interval.group(1).decode() if interval else INTERVAL_DEFAULT
        known = self._variants.get((channel, symbol))
        if known is None:
            known = _depth_of(line) if channel == "book" else TRIGGER_DEFAULT
            self._variants[channel, symbol] = known
        return known

    def _learn(self, line: bytes) -> None:
        try:
            result = _reply.decode(line).result
        except ValueError:
            return
        if result.channel == "book":
            self._variants["book", result.symbol] = result.depth
        elif result.channel == "ticker":
            self._variants["ticker", result.symbol] = result.event_trigger


def _depth_of(line: bytes) -> int:
    """The least depth of a book that can have so many levels."""
    try:
        rows = parse.book(Frames([line], [0]))
    except (FrameError, ValueError):
        return DEPTH_DEFAULT
    levels = max(rows.bids.count.max(initial=0), rows.asks.count.max(initial=0))
    return next((depth for depth in DEPTHS if depth >= levels), DEPTHS[-1])
