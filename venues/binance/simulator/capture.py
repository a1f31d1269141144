"""Lines of a Binance capture: combined (``{"stream":…,"data":…}``) or bare (only the data)."""

import re
from collections.abc import Mapping

import msgspec

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel, ExchangeStream, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, MarkParser, Parser
from kit.simulator.listing import ExchangeBookSnapshot
from venues.binance import parse
from venues.binance.simulator.streams import BinanceStreamRegistry

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
"""A bare frame does not carry its speed; these are the usual ones."""
QUOTE_ASSETS = (
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "TRY", "BRL", "GBP", "JPY", "BTC",
    "ETH", "BNB",
)  # fmt: skip
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
SYMBOL_IN_URL = re.compile(r"depth\b.*[?&]symbol=([A-Z0-9]+)|depth_symbol_([A-Z0-9]+)")
SPOT_PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.trades,
    Channel.QUOTES: parse.quotes,
    Channel.BOOK: parse.book,
}
FUTURES_PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.futures_trades,
    Channel.QUOTES: parse.futures_quotes,
    Channel.BOOK: parse.futures_book,
}


class _Kline(msgspec.Struct, frozen=True):
    i: str = ""


class _Line(msgspec.Struct):
    """Any frame; ``stream`` and ``data`` only in a combined one that is written with spaces."""

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


class _Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815 - the field's name on the wire
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


_line = msgspec.json.Decoder(_Line)
_snapshot = msgspec.json.Decoder(_Snapshot)


def capture_reader(
    streams: BinanceStreamRegistry, parsers: Mapping[Channel, Parser]
) -> CaptureReader:
    """Reads lines with SPOT_PARSERS or FUTURES_PARSERS; ``streams`` keeps the names."""

    def frame_of(line: bytes) -> Frame:
        name = line[COMBINED_LENGTH : line.find(b'"', COMBINED_LENGTH)]
        stream = streams.known(name)
        if stream is not None:
            return stream, line
        if line.startswith(COMBINED) and line.count(b'"', COMBINED_LENGTH):
            return streams.recorded(name), line
        if line.startswith(SNAPSHOT_START):
            return SNAPSHOT, line
        stream = _uncombined_stream(streams, line)
        return stream, combined(stream.name, data_of(line)) if stream.symbol else line

    return CaptureReader(
        frame_of=frame_of,
        parsers=parsers,
        assets_of=assets_of,
        snapshot_of=snapshot_of,
        marks_of=marks_of,
    )


def marks_of(stream: ExchangeStream) -> MarkParser | None:
    """The parser of ``@markPrice``."""
    return parse.marks if stream.channel is Channel.MARKS else None


def snapshot_of(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The symbol in the address, and the book of the answer to ``depth``."""
    try:
        found = _snapshot.decode(body)
    except UNREADABLE:
        return None
    symbol = SYMBOL_IN_URL.search(url)
    name = (symbol.group(1) or symbol.group(2)) if symbol else ""
    return name, ExchangeBookSnapshot(found.lastUpdateId, found.bids, found.asks)


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTCUSDT``; an unknown quote is empty."""
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and symbol != quote:
            return symbol[: -len(quote)], quote
    return symbol, ""


def data_of(line: bytes) -> bytes:
    """The event of a combined frame; a bare or damaged line as it is."""
    if line.startswith(COMBINED):
        start = line.find(DATA, COMBINED_LENGTH)
        return line[start + len(DATA) : -1] if start > 0 else line
    try:
        return bytes(_line.decode(line).data) or line
    except UNREADABLE:
        return line


def combined(name: str, data: bytes) -> bytes:
    """The combined frame of an event."""
    return b"%b%b%b%b}" % (COMBINED, name.encode(), DATA, data)


def _uncombined_stream(streams: BinanceStreamRegistry, line: bytes) -> ExchangeStream:
    try:
        frame = _line.decode(line)
    except UNREADABLE:
        return UNKNOWN if line else RESPONSE
    symbol = frame.s.lower()
    if frame.stream:
        return streams.recorded(frame.stream.encode())
    if frame.e == "kline":
        return streams.recorded(f"{symbol}@kline_{frame.k.i}".encode())
    if frame.e in BARE_STREAMS:
        return streams.recorded(f"{symbol}@{BARE_STREAMS[frame.e]}".encode())
    if not frame.e and frame.u and frame.b and frame.B:
        return streams.recorded(f"{symbol}@bookTicker".encode())
    return RESPONSE if frame.id or frame.result else UNKNOWN
