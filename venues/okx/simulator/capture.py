"""Lines of an OKX capture: frames, answers to the client of then, and bodies of REST answers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import CONVERSATION, SNAPSHOT, UNKNOWN, Channel, Frame, Stream
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, InstrumentKind, Listing, Mark
from venues.okx.simulator.listings import SUFFIX
from venues.okx.simulator.streams import OkxStreams

START = b'{"arg":'
START_LENGTH = len(START)
REST_START = b'{"code":"0"'
PONG = b"pong"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a line that is no JSON, or no text at all, is refused with."""
SYMBOL_IN_URL = re.compile(r"books\b.*[?&]instId=([A-Z0-9-]+)|books_instId_([A-Z0-9-]+)")

Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")]
Side = list[list[str]]


class _Argument(msgspec.Struct):
    channel: str
    instId: str  # noqa: N815 - OKX's word


class _Line(msgspec.Struct):
    """Any frame."""

    arg: _Argument | None = None
    event: str = ""
    code: str = ""


class _Trade(msgspec.Struct):
    tradeId: str  # noqa: N815 - OKX's word
    px: Number
    sz: Number
    side: str
    ts: str


class _Trades(msgspec.Struct):
    data: list[_Trade]


class _Book(msgspec.Struct):
    bids: Side
    asks: Side
    seqId: int = 0  # noqa: N815 - OKX's word


class _Books(msgspec.Struct):
    data: list[_Book]


class _Numbers(msgspec.Struct):
    """The prices and sizes of whichever row."""

    px: str = ""
    sz: str = ""
    last: str = ""
    lastSz: str = ""  # noqa: N815 - OKX's word
    bids: Side = []
    asks: Side = []


class _Rows(msgspec.Struct):
    data: list[_Numbers]


class _Mark(msgspec.Struct):
    """A row of any of the channels of marks."""

    markPx: str = ""  # noqa: N815 - OKX's word
    idxPx: str = ""  # noqa: N815 - OKX's word
    fundingRate: str = ""  # noqa: N815 - OKX's word
    fundingTime: str = ""  # noqa: N815 - OKX's word


class _Marks(msgspec.Struct):
    data: list[_Mark]


_line = msgspec.json.Decoder(_Line)
_trades = msgspec.json.Decoder(_Trades)
_books = msgspec.json.Decoder(_Books)
_rows = msgspec.json.Decoder(_Rows)
_marks = msgspec.json.Decoder(_Marks)


class OkxCapture:
    """Reads lines; keeps nothing but the streams' names."""

    def __init__(self, streams: OkxStreams) -> None:
        self._streams = streams

    def frame_of(self, line: bytes) -> Frame:
        if line.startswith(START):
            stream = self._streams.known(line[START_LENGTH : line.find(b"}", START_LENGTH) + 1])
            if stream is not None:
                return stream, line
        return self._unusual_stream(line), line

    def trade_of(self, line: bytes) -> TradePrint | None:
        """The first of the line; ``trades_of`` has all."""
        return next(iter(self.trades_of(line)), None)

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        try:
            return [
                TradePrint(
                    int(trade.tradeId),
                    trade.px,
                    trade.sz,
                    int(trade.ts) * NANOSECONDS_PER_MILLISECOND,
                    trade.side == "buy",
                )
                for trade in _trades.decode(line).data
            ]
        except (*UNREADABLE, ValueError):
            return []

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        try:
            book = _books.decode(body).data[0]
        except (*UNREADABLE, IndexError):
            return None
        symbol = SYMBOL_IN_URL.search(url)
        name = (symbol.group(1) or symbol.group(2)) if symbol else ""
        return name, BookSnapshot(book.seqId, book.bids, book.asks)

    def sequence_of(self, line: bytes) -> int:
        try:
            return _books.decode(line).data[0].seqId
        except (*UNREADABLE, IndexError):
            return 0

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        prices: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for line in lines:
            stream = self.frame_of(line)[0]
            if stream.symbol and stream.channel is not Channel.MARKS:
                found_prices, found_sizes = _numbers_of(line)
                symbol = stream.symbol
                prices[symbol] = max(prices.get(symbol, 0), _places(found_prices))
                sizes[symbol] = max(sizes.get(symbol, 0), _places(found_sizes))
        return [_listing(symbol, _step(prices[symbol]), _step(sizes[symbol])) for symbol in prices]

    def mark_of(self, line: bytes) -> tuple[str, Mark] | None:
        """Of a mark price, an index or a funding rate, each of which comes alone."""
        stream = self.frame_of(line)[0]
        if stream.channel is not Channel.MARKS:
            return None
        try:
            row = _marks.decode(line).data[0]
            funding_ns = int(row.fundingTime or 0) * NANOSECONDS_PER_MILLISECOND
        except (*UNREADABLE, IndexError, ValueError):
            return None
        return stream.symbol, Mark(row.markPx, row.idxPx, row.fundingRate, funding_ns)

    def _unusual_stream(self, line: bytes) -> Stream:
        if not line or line == PONG:
            return CONVERSATION
        if line.startswith(REST_START):
            return SNAPSHOT if self.snapshot_of(line) is not None else UNKNOWN
        try:
            frame = _line.decode(line)
        except UNREADABLE:
            return UNKNOWN
        if frame.event:
            return CONVERSATION
        if frame.arg is not None:
            return self._streams.get(frame.arg.channel, frame.arg.instId)
        return UNKNOWN


def _numbers_of(line: bytes) -> tuple[list[str], list[str]]:
    try:
        found = _rows.decode(line).data
    except UNREADABLE:
        return [], []
    prices: list[str] = []
    sizes: list[str] = []
    for row in found:
        prices += [row.px, row.last, *(level[0] for level in (*row.bids, *row.asks) if level)]
        sizes += [row.sz, row.lastSz, *(level[1] for level in (*row.bids, *row.asks) if level[1:])]
    return prices, sizes


def _places(texts: Iterable[str]) -> int:
    return max((len(text.rstrip("0").partition(".")[2]) for text in texts), default=0)


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"


def _listing(symbol: str, tick_size: str, lot_size: str) -> Listing:
    """What the name of an instrument tells. What a contract is worth, it does not."""
    base, _, rest = symbol.partition("-")
    quote = rest.partition("-")[0]
    seen = Listing(symbol, base, quote, tick_size, lot_size, "0", derived=True)
    if not symbol.endswith(SUFFIX):
        return seen
    return replace(seen, kind=InstrumentKind.PERPETUAL, contract_size="1", settle=quote)
