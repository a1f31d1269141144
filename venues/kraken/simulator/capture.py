"""Lines of a Kraken capture (WebSocket API v2)."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import CONVERSATION, UNKNOWN, Frame
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing
from venues.kraken.simulator.streams import (
    DEPTH_USUAL,
    DEPTHS,
    INTERVAL_USUAL,
    TRIGGER_USUAL,
    KrakenStreams,
)

DATA = re.compile(rb'\{"channel": ?"(book|ohlc|ticker|trade)".*?"symbol": ?"([^"]+)"', re.DOTALL)
INTERVAL = re.compile(rb'"interval": ?([0-9]+)')
NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?")
TALK = (b'{"method"', b'{"error"', b'{"channel":"status"', b'{"channel":"heartbeat"')
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, ValueError)
"""What a line that is no JSON, or no text at all, is refused with."""


class _Result(msgspec.Struct, frozen=True):
    channel: str = ""
    symbol: str = ""
    depth: int = DEPTH_USUAL
    event_trigger: str = TRIGGER_USUAL


class _Reply(msgspec.Struct):
    result: _Result = _Result()


class _Level(msgspec.Struct):
    price: msgspec.Raw
    qty: msgspec.Raw


class _Row(msgspec.Struct):
    """A row of whichever channel."""

    symbol: str = ""
    side: str = ""
    price: msgspec.Raw = msgspec.Raw(b"")
    qty: msgspec.Raw = msgspec.Raw(b"")
    bid: msgspec.Raw = msgspec.Raw(b"")
    bid_qty: msgspec.Raw = msgspec.Raw(b"")
    trade_id: int = 0
    timestamp: str = ""
    bids: list[_Level] = []
    asks: list[_Level] = []


class _Data(msgspec.Struct):
    data: list[_Row] = []


_reply = msgspec.json.Decoder(_Reply)
_data = msgspec.json.Decoder(_Data)


class KrakenCapture:
    """Reads lines; keeps the streams' names, and what the client of then subscribed to: a frame
    itself says neither a book's depth nor a ticker's trigger."""

    def __init__(self, streams: KrakenStreams) -> None:
        self._streams = streams
        self._variants: dict[tuple[str, str], object] = {}

    def frame_of(self, line: bytes) -> Frame:
        found = DATA.match(line)
        if found is not None:
            channel, symbol = found.group(1).decode(), found.group(2).decode(errors="replace")
            return self._streams.get(channel, symbol, self._variant(channel, symbol, line)), line
        if line.startswith(TALK):
            self._learn(line)
            return CONVERSATION, line
        return (UNKNOWN if line else CONVERSATION), line

    def trade_of(self, line: bytes) -> TradePrint | None:
        return next(iter(self.trades_of(line)), None)

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        """All trades in a frame of a trade stream; none when the line is damaged."""
        try:
            return [_print_of(row) for row in _data.decode(line).data]
        except UNREADABLE:
            return []

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        return None

    def sequence_of(self, line: bytes) -> int:
        return 0

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        prices: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for line in lines:
            symbol = self.frame_of(line)[0].symbol
            if symbol:
                found_prices, found_sizes = _numbers_of(line)
                prices[symbol] = max(prices.get(symbol, 0), _places(found_prices))
                sizes[symbol] = max(sizes.get(symbol, 0), _places(found_sizes))
        return [
            Listing(symbol, *_split(symbol), _step(prices[symbol]), _step(sizes[symbol]), "0", True)
            for symbol in prices
        ]

    def _variant(self, channel: str, symbol: str, line: bytes) -> object:
        if channel == "trade":
            return ""
        if channel == "ohlc":
            interval = INTERVAL.search(line)
            return interval.group(1).decode() if interval else INTERVAL_USUAL
        known = self._variants.get((channel, symbol))
        if known is None:
            known = _depth_of(line) if channel == "book" else TRIGGER_USUAL
            self._variants[channel, symbol] = known
        return known

    def _learn(self, line: bytes) -> None:
        try:
            result = _reply.decode(line).result
        except UNREADABLE:
            return
        if result.channel == "book":
            self._variants["book", result.symbol] = result.depth
        elif result.channel == "ticker":
            self._variants["ticker", result.symbol] = result.event_trigger


def time_of(text: str) -> int:
    """ns since the Unix epoch of ``2026-07-20T03:39:38.235508Z``. Raises ValueError."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * NANOSECONDS_PER_SECOND + int(fraction[:9].ljust(9, "0"))


def _print_of(row: _Row) -> TradePrint:
    price, size = (NUMBER.fullmatch(bytes(text)) for text in (row.price, row.qty))
    if price is None or size is None:
        raise ValueError("a trade's price and size are plain numbers")
    return TradePrint(
        row.trade_id,
        price.group().decode(),
        size.group().decode(),
        time_of(row.timestamp),
        row.side == "buy",
    )


def _depth_of(line: bytes) -> int:
    """The least depth that a book may have in which so many levels are."""
    try:
        rows = _data.decode(line).data
    except UNREADABLE:
        return DEPTH_USUAL
    most = max((len(side) for row in rows for side in (row.bids, row.asks)), default=0)
    return next((depth for depth in DEPTHS if depth >= most), DEPTHS[-1])


def _numbers_of(line: bytes) -> tuple[list[bytes], list[bytes]]:
    try:
        rows = _data.decode(line).data
    except UNREADABLE:
        return [], []
    levels = [level for row in rows for level in (*row.bids, *row.asks)]
    prices = [*(row.price for row in rows), *(row.bid for row in rows)]
    sizes = [*(row.qty for row in rows), *(row.bid_qty for row in rows)]
    prices += [level.price for level in levels]
    sizes += [level.qty for level in levels]
    return list(map(bytes, prices)), list(map(bytes, sizes))


def _places(texts: Iterable[bytes]) -> int:
    """Kraken writes the zeros at the end, so that each number has all its places."""
    return max((len(text.partition(b".")[2]) for text in texts), default=0)


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"


def _split(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.partition("/")
    return base, quote
