"""Lines of a Bybit capture: frames as they came, told by their topic."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import CONVERSATION, UNKNOWN, Channel, Frame
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing
from venues.bybit.simulator.streams import BybitStreams

TOPIC = b'{"topic":"'
TOPIC_LENGTH = len(TOPIC)
QUOTE_ASSETS = ("USDT", "USDC", "USDE", "USD1", "EUR", "BRL", "TRY", "DAI", "BTC", "ETH", "SOL")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a line that is no JSON, or no text at all, is refused with."""

Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")]


class _Any(msgspec.Struct):
    """Any frame."""

    topic: str = ""
    op: str = ""


class _Trade(msgspec.Struct):
    i: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+$")]
    T: int
    p: Number
    v: Number
    S: str


class _Trades(msgspec.Struct):
    data: list[_Trade]


class _Book(msgspec.Struct):
    s: str = ""
    b: list[tuple[str, str]] = []
    a: list[tuple[str, str]] = []
    u: int = 0


class _BookFrame(msgspec.Struct):
    """A frame of a book topic."""

    type: str
    data: _Book


class _BookAnswer(msgspec.Struct):
    """The answer to a REST call."""

    result: _Book


_any = msgspec.json.Decoder(_Any)
_trades = msgspec.json.Decoder(_Trades)
_book_frame = msgspec.json.Decoder(_BookFrame)
_book_answer = msgspec.json.Decoder(_BookAnswer)


class BybitCapture:
    """Reads lines; keeps nothing but the topics' names."""

    def __init__(self, streams: BybitStreams) -> None:
        self._streams = streams

    def frame_of(self, line: bytes) -> Frame:
        stream = self._streams.known(line[TOPIC_LENGTH : line.find(b'"', TOPIC_LENGTH)])
        if stream is not None:
            return stream, line
        try:
            frame = _any.decode(line)
        except UNREADABLE:
            return UNKNOWN if line else CONVERSATION, line
        if frame.topic:
            return self._streams.get(frame.topic.encode()), line
        return CONVERSATION if frame.op else UNKNOWN, line

    def trade_of(self, line: bytes) -> TradePrint | None:
        """The first of the line; ``trades_of`` has all."""
        return next(iter(self.trades_of(line)), None)

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        try:
            found = _trades.decode(line).data
        except UNREADABLE:
            return ()
        return [
            TradePrint(
                int(trade.i),
                trade.p,
                trade.v,
                trade.T * NANOSECONDS_PER_MILLISECOND,
                trade.S == "Buy",
            )
            for trade in found
        ]

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        try:
            found = _book_answer.decode(body).result
        except UNREADABLE:
            return None
        return (found.s, BookSnapshot(found.u, found.b, found.a)) if found.s else None

    def sequence_of(self, line: bytes) -> int:
        try:
            return _book_frame.decode(line).data.u
        except UNREADABLE:
            return 0

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        prices: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for line in lines:
            stream = self.frame_of(line)[0]
            if stream.symbol and stream.channel is not Channel.OTHER:
                found = list(_numbers_of(stream.channel, line))
                symbol = stream.symbol
                prices[symbol] = max(prices.get(symbol, 0), *(_places(one) for one, _ in found), 0)
                sizes[symbol] = max(sizes.get(symbol, 0), *(_places(one) for _, one in found), 0)
        return [
            Listing(symbol, *_split(symbol), _step(prices[symbol]), _step(sizes[symbol]), "0", True)
            for symbol in prices
        ]


def _numbers_of(channel: Channel, line: bytes) -> Iterator[tuple[str, str]]:
    """The prices and sizes of a frame of trades or of a book."""
    try:
        if channel is Channel.TRADES:
            yield from ((trade.p, trade.v) for trade in _trades.decode(line).data)
        elif channel in (Channel.QUOTES, Channel.BOOK):
            book = _book_frame.decode(line).data
            yield from (*book.b, *book.a)
    except UNREADABLE:
        return


def _places(text: str) -> int:
    return len(text.rstrip("0").partition(".")[2])


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"


def _split(symbol: str) -> tuple[str, str]:
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and symbol != quote:
            return symbol[: -len(quote)], quote
    return symbol, ""
