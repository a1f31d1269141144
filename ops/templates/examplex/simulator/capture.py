"""Lines of an Examplex capture: frames as they came.

To change: how a line tells its stream, and how trades, books and numbers are found in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import CONVERSATION, UNKNOWN, Frame
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing
from ops.templates.examplex.simulator.streams import CHANNELS, Streams

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a line that is no JSON, or no text at all, is refused with."""


class _Line(msgspec.Struct):
    """Any frame."""

    channel: str = ""
    symbol: str = ""
    answer: str = ""


class _Trade(msgspec.Struct):
    symbol: str
    id: int
    price: str
    size: str
    side: str
    time: int


class _Book(msgspec.Struct):
    sequence: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    symbol: str = ""


_line = msgspec.json.Decoder(_Line)
_trade = msgspec.json.Decoder(_Trade)
_book = msgspec.json.Decoder(_Book)


class ExamplexCapture:
    """Reads lines; keeps nothing but the streams' names."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def frame_of(self, line: bytes) -> Frame:
        try:
            found = _line.decode(line)
        except UNREADABLE:
            return UNKNOWN if line else CONVERSATION, line
        if found.channel in CHANNELS:
            return self._streams.get(found.channel, found.symbol), line
        return CONVERSATION if found.answer else UNKNOWN, line

    def trade_of(self, line: bytes) -> TradePrint | None:
        try:
            found = _trade.decode(line)
        except UNREADABLE:
            return None
        time_ns = found.time * NANOSECONDS_PER_MILLISECOND
        return TradePrint(found.id, found.price, found.size, time_ns, found.side == "buy")

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        try:
            found = _book.decode(body)
        except UNREADABLE:
            return None
        symbol = found.symbol or url.partition("symbol=")[2].partition("&")[0]
        return symbol, BookSnapshot(found.sequence, found.bids, found.asks)

    def sequence_of(self, line: bytes) -> int:
        try:
            return _book.decode(line).sequence
        except UNREADABLE:
            return 0

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        places: dict[str, tuple[int, int]] = {}
        for line in lines:
            for symbol, price, size in _numbers_of(line):
                tick, lot = places.get(symbol, (0, 0))
                places[symbol] = max(tick, _places(price)), max(lot, _places(size))
        return [
            Listing(symbol, *_assets(symbol), _step(tick), _step(lot), "0", derived=True)
            for symbol, (tick, lot) in places.items()
        ]


def _numbers_of(line: bytes) -> Iterator[tuple[str, str, str]]:
    """Symbol, price and size, of a frame of trades or of a book."""
    try:
        if b'"trades"' in line[:24]:
            trade = _trade.decode(line)
            yield trade.symbol, trade.price, trade.size
        elif b'"book"' in line[:24]:
            book = _book.decode(line)
            yield from ((book.symbol, price, size) for price, size in (*book.bids, *book.asks))
    except UNREADABLE:
        return


def _assets(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.partition("-")
    return base, quote


def _places(text: str) -> int:
    return len(text.partition(".")[2])


def _step(places: int) -> str:
    return f"{Decimal(1).scaleb(-places):f}"
