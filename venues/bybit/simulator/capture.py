"""Lines of a Bybit capture: the frames as they came, each with its topic."""

from collections.abc import Mapping

import msgspec

from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, Parser
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import ExchangeBookSnapshot
from venues.bybit import parse

TOPIC = b'{"topic":"'
TOPIC_LENGTH = len(TOPIC)
QUOTE_ASSETS = ("USDT", "USDC", "USDE", "USD1", "EUR", "BRL", "TRY", "DAI", "BTC", "ETH", "SOL")
PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.trades,
    Channel.QUOTES: parse.quotes,
    Channel.BOOK: parse.book,
}
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class _Line(msgspec.Struct):
    """Any frame."""

    topic: str = ""
    op: str = ""


class _Book(msgspec.Struct):
    s: str = ""
    b: list[tuple[str, str]] = []
    a: list[tuple[str, str]] = []
    u: int = 0


class _BookAnswer(msgspec.Struct):
    """The answer to a REST call."""

    result: _Book


_line = msgspec.json.Decoder(_Line)
_book_answer = msgspec.json.Decoder(_BookAnswer)


def capture_reader(streams: StreamRegistry) -> CaptureReader:
    """Reads lines; ``streams`` keeps the names of the topics."""

    def frame_of(line: bytes) -> Frame:
        stream = streams.known(line[TOPIC_LENGTH : line.find(b'"', TOPIC_LENGTH)])
        if stream is not None:
            return stream, line
        try:
            frame = _line.decode(line)
        except UNREADABLE:
            return UNKNOWN if line else RESPONSE, line
        if frame.topic:
            return streams.named(frame.topic.encode()), line
        return RESPONSE if frame.op else UNKNOWN, line

    return CaptureReader(
        frame_of=frame_of, parsers=PARSERS, assets_of=assets_of, snapshot_of=snapshot_of
    )


def snapshot_of(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The symbol and the book of the answer to ``/v5/market/orderbook``."""
    try:
        found = _book_answer.decode(body).result
    except UNREADABLE:
        return None
    return (found.s, ExchangeBookSnapshot(found.u, found.b, found.a)) if found.s else None


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTCUSDT``; an unknown quote is empty."""
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and symbol != quote:
            return symbol[: -len(quote)], quote
    return symbol, ""
