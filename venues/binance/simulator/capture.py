"""Lines of a Binance capture: combined (``{"stream":…,"data":…}``) or bare (only the data)."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import CONVERSATION, SNAPSHOT, UNKNOWN, Channel, Frame, Stream
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing, Mark
from venues.binance.simulator.streams import BinanceStreams

COMBINED = b'{"stream":"'
COMBINED_LENGTH = len(COMBINED)
SNAPSHOT_START = b'{"lastUpdateId"'
DATA = b'","data":'
BARE_STREAMS = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "bookTicker": "bookTicker",
    "depthUpdate": "depth@100ms",
    "24hrTicker": "ticker",
    "24hrMiniTicker": "miniTicker",
    "markPriceUpdate": "markPrice@1s",
}
"""A bare frame does not say its speed; these are what clients ask for."""
QUOTE_ASSETS = (
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "TRY", "BRL", "GBP", "JPY", "BTC",
    "ETH", "BNB",
)  # fmt: skip
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a line that is no JSON, or no text at all, is refused with."""
SYMBOL_IN_URL = re.compile(r"depth\b.*[?&]symbol=([A-Z0-9]+)|depth_symbol_([A-Z0-9]+)")


MARKET = "MARKET"
"""Futures: a trade of the order book. Others (of the insurance fund; an id that was used up without
a trade) are in the stream, but in no REST answer."""
Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")]


class _Trade(msgspec.Struct):
    t: int
    p: Number
    q: Number
    T: int
    m: bool
    X: str = MARKET


class _Kline(msgspec.Struct, frozen=True):
    i: str = ""


class _Bare(msgspec.Struct):
    """Any frame; ``stream`` and ``data`` only of a combined one that is written with spaces."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    s: str = ""
    u: int = 0
    k: _Kline = _Kline()
    b: msgspec.Raw = msgspec.Raw(b"")
    B: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")
    id: msgspec.Raw = msgspec.Raw(b"")


class _Numbers(msgspec.Struct):
    """The prices and sizes of whichever frame."""

    s: str = ""
    p: str = ""
    q: str = ""
    b: str | list[tuple[str, str]] = ""
    B: str = ""
    a: str | int | list[tuple[str, str]] = ""
    A: str = ""


class _Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815 - Binance's word
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Mark(msgspec.Struct):
    e: Literal["markPriceUpdate"]
    s: str
    p: str
    i: str
    r: str
    T: int


_trade = msgspec.json.Decoder(_Trade)
_mark = msgspec.json.Decoder(_Mark)
_bare = msgspec.json.Decoder(_Bare)
_numbers = msgspec.json.Decoder(_Numbers)
_snapshot = msgspec.json.Decoder(_Snapshot)


class BinanceCapture:
    """Reads lines; keeps nothing but the streams' names."""

    def __init__(self, streams: BinanceStreams) -> None:
        self._streams = streams

    def frame_of(self, line: bytes) -> Frame:
        stream = self._streams.known(line[COMBINED_LENGTH : line.find(b'"', COMBINED_LENGTH)])
        if stream is not None:
            return stream, line
        if line.startswith(COMBINED) and line.count(b'"', COMBINED_LENGTH):
            name = line[COMBINED_LENGTH : line.find(b'"', COMBINED_LENGTH)]
            return self._streams.recorded(name), line
        if line.startswith(SNAPSHOT_START):
            return SNAPSHOT, line
        stream = self._unusual_stream(line)
        return stream, combined(stream.name, data_of(line)) if stream.symbol else line

    def trade_of(self, line: bytes) -> TradePrint | None:
        try:
            trade = _trade.decode(data_of(line))
        except UNREADABLE:
            return None
        if trade.X != MARKET:
            return None
        time_ns = trade.T * NANOSECONDS_PER_MILLISECOND
        return TradePrint(trade.t, trade.p, trade.q, time_ns, not trade.m)

    def mark_of(self, line: bytes) -> tuple[str, Mark] | None:
        """``{"e":"markPriceUpdate","E","s","p":mark,"i":index,"r":funding,"T":next funding}``"""
        try:
            found = _mark.decode(data_of(line))
        except UNREADABLE:
            return None
        next_ns = found.T * NANOSECONDS_PER_MILLISECOND
        return found.s, Mark(found.p, found.i, found.r, next_ns)

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        try:
            found = _snapshot.decode(body)
        except UNREADABLE:
            return None
        symbol = SYMBOL_IN_URL.search(url)
        name = (symbol.group(1) or symbol.group(2)) if symbol else ""
        return name, BookSnapshot(found.lastUpdateId, found.bids, found.asks)

    def sequence_of(self, line: bytes) -> int:
        try:
            return _bare.decode(data_of(line)).u
        except UNREADABLE:
            return 0

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        prices: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for line in lines:
            stream, _ = self.frame_of(line)
            symbol = stream.symbol
            if symbol:
                # A mark price is computed, and has more digits than the tick.
                marks = stream.channel is Channel.MARKS
                found_prices, found_sizes = ([], []) if marks else _numbers_of(line)
                prices[symbol] = max(prices.get(symbol, 0), _places(found_prices))
                sizes[symbol] = max(sizes.get(symbol, 0), _places(found_sizes))
        return [
            Listing(symbol, *_split(symbol), _step(prices[symbol]), _step(sizes[symbol]), "0", True)
            for symbol in prices
        ]

    def _unusual_stream(self, line: bytes) -> Stream:
        try:
            frame = _bare.decode(line)
        except UNREADABLE:
            return UNKNOWN if line else CONVERSATION
        if frame.stream:
            return self._streams.recorded(frame.stream.encode())
        symbol = frame.s.lower()
        if frame.e == "kline":
            return self._streams.recorded(f"{symbol}@kline_{frame.k.i}".encode())
        if frame.e in BARE_STREAMS:
            return self._streams.recorded(f"{symbol}@{BARE_STREAMS[frame.e]}".encode())
        if not frame.e and frame.u and frame.b and frame.B:
            return self._streams.recorded(f"{symbol}@bookTicker".encode())
        return CONVERSATION if frame.id or frame.result else UNKNOWN


def data_of(line: bytes) -> bytes:
    """The event without its wrapper; a line that has none, or a damaged one, as it is."""
    if line.startswith(COMBINED):
        start = line.find(DATA, COMBINED_LENGTH)
        return line[start + len(DATA) : -1] if start > 0 else line
    try:
        return bytes(_bare.decode(line).data) or line
    except UNREADABLE:
        return line


def combined(name: str, data: bytes) -> bytes:
    """The event in its wrapper."""
    return b"%b%b%b%b}" % (COMBINED, name.encode(), DATA, data)


def _numbers_of(line: bytes) -> tuple[list[str], list[str]]:
    try:
        found = _numbers.decode(data_of(line))
    except UNREADABLE:
        return [], []
    prices, sizes = [found.p], [found.q, found.B, found.A]
    for side in (found.b, found.a):
        if isinstance(side, str):
            prices.append(side)
        elif isinstance(side, list):
            prices.extend(level[0] for level in side)
            sizes.extend(level[1] for level in side)
    return prices, sizes


def _places(texts: Iterable[str]) -> int:
    return max((len(text.rstrip("0").partition(".")[2]) for text in texts), default=0)


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"


def _split(symbol: str) -> tuple[str, str]:
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and symbol != quote:
            return symbol[: -len(quote)], quote
    return symbol, ""
