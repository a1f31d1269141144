"""Lines of an OKX capture: frames, answers, and bodies of REST answers."""

import re
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel, ExchangeStream, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, MarkParser, Parser
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import ExchangeBookSnapshot, InstrumentKind, Listing
from venues.okx import parse
from venues.okx.simulator.instruments import SUFFIX

ARGUMENT = re.compile(rb'\{"arg":\{"channel":"([^"\\]+)","instId":"([^"\\]+)"\}')
REST_START = b'{"code":"0"'
PONG = b"pong"
SYMBOL_IN_URL = re.compile(r"books\b.*[?&]instId=([A-Z0-9-]+)|books_instId_([A-Z0-9-]+)")
PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.trades,
    Channel.QUOTES: parse.quotes,
    Channel.BOOK: parse.book,
}
MARK_PARSERS: Mapping[str, MarkParser] = {
    "mark-price": parse.marks,
    "index-tickers": parse.indexes,
    "funding-rate": parse.fundings,
}
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class _Argument(msgspec.Struct):
    channel: str
    instId: str  # noqa: N815 - OKX's word


class _Line(msgspec.Struct):
    """Any frame."""

    arg: _Argument | None = None
    event: str = ""


class _Book(msgspec.Struct):
    bids: list[list[str]]
    asks: list[list[str]]
    seqId: int = 0  # noqa: N815 - OKX's word


class _BookAnswer(msgspec.Struct):
    """The answer to a REST call."""

    data: list[_Book]


_line = msgspec.json.Decoder(_Line)
_book_answer = msgspec.json.Decoder(_BookAnswer)


def capture_reader(streams: StreamRegistry) -> CaptureReader:
    """Reads lines; ``streams`` keeps the names of the channels."""

    def frame_of(line: bytes) -> Frame:
        found = ARGUMENT.match(line)
        if found is None:
            return _unusual_stream(line, streams), line
        return streams.named(b"%b:%b" % found.groups()), line

    return CaptureReader(
        frame_of=frame_of,
        parsers=PARSERS,
        assets_of=assets_of,
        snapshot_of=snapshot_of,
        marks_of=_marks_of,
        complete=_complete,
    )


def snapshot_of(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The symbol in the URL and the book of the answer to ``/api/v5/market/books``."""
    try:
        book = _book_answer.decode(body).data[0]
    except (*UNREADABLE, IndexError):
        return None
    found = SYMBOL_IN_URL.search(url)
    symbol = (found.group(1) or found.group(2)) if found else ""
    return symbol, ExchangeBookSnapshot(book.seqId, book.bids, book.asks)


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTC-USDT-SWAP``."""
    base, _, rest = symbol.partition("-")
    return base, rest.partition("-")[0]


def _complete(listing: Listing) -> Listing:
    """The symbol does not show the size of a contract."""
    if not listing.symbol.endswith(SUFFIX):
        return listing
    return replace(listing, kind=InstrumentKind.PERPETUAL, contract_size="1", settle=listing.quote)


def _marks_of(stream: ExchangeStream) -> MarkParser | None:
    return MARK_PARSERS.get(stream.name.partition(":")[0])


def _unusual_stream(line: bytes, streams: StreamRegistry) -> ExchangeStream:
    if not line or line == PONG:
        return RESPONSE
    if line.startswith(REST_START):
        return SNAPSHOT if snapshot_of(line) is not None else UNKNOWN
    try:
        frame = _line.decode(line)
    except UNREADABLE:
        return UNKNOWN
    if frame.event:
        return RESPONSE
    if frame.arg is None:
        return UNKNOWN
    return streams.named(f"{frame.arg.channel}:{frame.arg.instId}".encode())
