"""Lines of a capture of Examplex: frames as they came.

To change: how a line shows its stream. The connector's parsers read the frames.
"""

from collections.abc import Mapping

import msgspec

from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, Parser
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import ExchangeBookSnapshot
from ops.templates.examplex import parse
from ops.templates.examplex.simulator.streams import CHANNELS

PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.trades,
    Channel.QUOTES: parse.quotes,
    Channel.BOOK: parse.book,
}


class _Line(msgspec.Struct):
    """Any frame."""

    channel: str = ""
    symbol: str = ""
    answer: str = ""


class _Book(msgspec.Struct):
    """The answer to a REST call."""

    sequence: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    symbol: str = ""


_line = msgspec.json.Decoder(_Line)
_book = msgspec.json.Decoder(_Book)


def capture_reader(streams: StreamRegistry) -> CaptureReader:
    """Reads lines; ``streams`` keeps the names."""

    def frame_of(line: bytes) -> Frame:
        try:
            found = _line.decode(line)
        except ValueError:
            return UNKNOWN if line else RESPONSE, line
        if found.channel in CHANNELS:
            return streams.get(f"{found.channel}:{found.symbol}"), line
        return RESPONSE if found.answer else UNKNOWN, line

    return CaptureReader(
        frame_of=frame_of,
        parsers=PARSERS,
        assets_of=assets_of,
        snapshot_of=snapshot_of,
        keeps_zeros=True,
    )


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTC-USD``."""
    base, _, quote = symbol.partition("-")
    return base, quote


def snapshot_of(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The symbol and the book of the answer to ``/book``."""
    try:
        found = _book.decode(body)
    except ValueError:
        return None
    symbol = found.symbol or url.partition("symbol=")[2].partition("&")[0]
    return symbol, ExchangeBookSnapshot(found.sequence, found.bids, found.asks)
