"""Lines of a Deribit capture: frames of channels, and answers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel, ExchangeStream, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, MarkParser, Parser
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import ExchangeBookSnapshot
from venues.deribit import parse
from venues.deribit.simulator.encode import START
from venues.deribit.simulator.instruments import NAME
from venues.deribit.simulator.streams import RAW, SLOW, bundled_name

START_LENGTH = len(START)
RAW_END = f'{RAW}"'.encode()
SLOW_END = f'{SLOW}"'.encode()
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: parse.trades,
    Channel.QUOTES: parse.quotes,
    Channel.BOOK: parse.book,
}


class _Parameters(msgspec.Struct, frozen=True):
    channel: str = ""


class _Line(msgspec.Struct):
    """Any line."""

    params: _Parameters = _Parameters()
    method: str = ""
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _Book(msgspec.Struct):
    change_id: int
    instrument_name: str
    bids: list[Any]
    asks: list[Any]


_line = msgspec.json.Decoder(_Line)
_book = msgspec.json.Decoder(_Book, float_hook=str)


def capture_reader(streams: StreamRegistry) -> CaptureReader:
    """Reads lines; ``streams`` keeps the names of the channels."""

    def frame_of(line: bytes) -> Frame:
        if not line.startswith(START):
            return _unusual_frame(line, streams)
        end = line.find(b'"', START_LENGTH)
        name = line[START_LENGTH : max(end, START_LENGTH)].decode(errors="replace")
        return streams.get(bundled_name(name)), _bundled(name, line)

    return CaptureReader(
        frame_of=frame_of,
        parsers=PARSERS,
        assets_of=assets_of,
        snapshot_of=snapshot_of,
        marks_of=_marks_of,
    )


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTC_USDC-PERPETUAL``."""
    found = NAME.fullmatch(symbol)
    return (found["base"], found["quote"] or "USD") if found else (symbol, "")


def snapshot_of(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The symbol and the book of the answer to ``public/get_order_book``."""
    try:
        found = _book.decode(_line.decode(body).result)
    except UNREADABLE:
        return None
    sides = ([tuple(map(str, level)) for level in side] for side in (found.bids, found.asks))
    return found.instrument_name, ExchangeBookSnapshot(found.change_id, *sides)


def _marks_of(stream: ExchangeStream) -> MarkParser | None:
    return parse.marks if stream.channel is Channel.TICKERS else None


def _unusual_frame(line: bytes, streams: StreamRegistry) -> Frame:
    try:
        found = _line.decode(line)
    except UNREADABLE:
        return UNKNOWN if line else RESPONSE, line
    if found.params.channel:
        name = found.params.channel
        return streams.get(bundled_name(name)), _bundled(name, line)
    if snapshot_of(line) is not None:
        return SNAPSHOT, line
    answered = found.result or found.error or found.method == "heartbeat"
    return RESPONSE if answered else UNKNOWN, line


def _bundled(name: str, line: bytes) -> bytes:
    """The line under the name that clients without a login use."""
    return line.replace(RAW_END, SLOW_END, 1) if name.endswith(RAW) else line
