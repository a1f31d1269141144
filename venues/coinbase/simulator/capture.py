"""Lines of a Coinbase capture, of either feed."""

import re
from collections.abc import Mapping

import msgspec

from kit.marketdata.frames import Frames
from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel, ExchangeStream, Frame
from kit.simulator.exchange.capture_reader import CaptureReader, Parser, Rows
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import ExchangeBookSnapshot
from venues.coinbase import parse
from venues.coinbase.simulator.instruments import assets_of
from venues.coinbase.simulator.streams import ADVANCED, EXCHANGE, SEQUENCE_MARK, stream_name

TYPE, PRODUCT = b'{"type":"', b'"product_id":"'
ADVANCED_CHANNELS = {
    "l2_data": "level2",
    "market_trades": "market_trades",
    "ticker": "ticker",
    "ticker_batch": "ticker_batch",
    "candles": "candles",
}
"""By the channel that a frame names."""
EXCHANGE_CHANNELS = {
    "snapshot": "level2",
    "l2update": "level2",
    "match": "matches",
    "last_match": "matches",
    "ticker": "ticker",
    "heartbeat": "heartbeat",
}
"""By the type of a frame."""
CONVERSATIONS = ("subscriptions", "heartbeats", "error")
SEQUENCE = re.compile(rb'"sequence_num":\s*[0-9]+')
PRODUCTS = re.compile(rb'"product_id":\s*"([^"]*)"')
BOOK_IN_URL = re.compile(r"products[/_]([A-Z0-9-]+)[/_]book")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class _Line(msgspec.Struct):
    """Any frame of either feed."""

    type: str = ""
    channel: str = ""
    product_id: str = ""


class _Book(msgspec.Struct):
    """The answer to ``GET /products/BTC-USD/book``."""

    bids: list[tuple[str, str, int | str]]
    asks: list[tuple[str, str, int | str]]
    sequence: int


_line = msgspec.json.Decoder(_Line)
_book = msgspec.json.Decoder(_Book)


def capture_reader(streams: StreamRegistry) -> CaptureReader:
    """Reads lines; ``streams`` keeps the names of the streams."""
    return CaptureReader(
        frame_of=_Lines(streams).frame_of,
        parsers=PARSERS,
        assets_of=assets_of,
        snapshot_of=snapshot_of,
    )


def snapshot_of(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The product of the URL, and the book of the body."""
    try:
        found = _book.decode(body)
    except UNREADABLE:
        return None
    product = BOOK_IN_URL.search(url)
    bids, asks = ([level[:2] for level in side] for side in (found.bids, found.asks))
    return product.group(1) if product else "", ExchangeBookSnapshot(found.sequence, bids, asks)


class _Lines:
    """Remembers the streams of the frames of Exchange by type and product."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._known: dict[tuple[bytes, bytes], ExchangeStream] = {}

    def frame_of(self, line: bytes) -> Frame:
        """A frame of Advanced Trade loses its number: each connection counts for itself."""
        start = line.find(PRODUCT) + len(PRODUCT)
        kind = line[len(TYPE) : line.find(b'"', len(TYPE))]
        product = line[start : line.find(b'"', start)]
        stream = self._known.get((kind, product)) if line.startswith(TYPE) else None
        if stream is None:
            stream, line = self._unusual(line)
            if stream.symbol and line.startswith(TYPE):
                self._known[kind, product] = stream
        return stream, line

    def _unusual(self, line: bytes) -> Frame:
        try:
            frame = _line.decode(line)
        except UNREADABLE:
            return (UNKNOWN if line else RESPONSE), line
        if (frame.channel or frame.type) in CONVERSATIONS:
            return RESPONSE, line
        if frame.channel:
            return self._advanced(frame.channel, line)
        channel = EXCHANGE_CHANNELS.get(frame.type)
        if channel is None or not frame.product_id:
            return UNKNOWN, line
        return self._streams.get(stream_name(EXCHANGE, channel, frame.product_id)), line

    def _advanced(self, channel: str, line: bytes) -> Frame:
        products = set(PRODUCTS.findall(line))
        line = SEQUENCE.sub(SEQUENCE_MARK, line, count=1)
        name = ADVANCED_CHANNELS.get(channel)
        if name is None or len(products) != 1:
            return UNKNOWN, line
        return self._streams.get(stream_name(ADVANCED, name, products.pop().decode())), line


def _of_either(advanced: Parser, exchange: Parser) -> Parser:
    """Parses frames of one feed. Raises ValueError for frames of both."""

    def parsed(frames: Frames) -> Rows:
        marked = [SEQUENCE_MARK in one for one in frames.payloads]
        if not any(marked):
            return exchange(frames)
        if not all(marked):
            raise ValueError("frames of both feeds")
        lines = [one.replace(SEQUENCE_MARK, b'"sequence_num":0') for one in frames.payloads]
        return advanced(Frames(lines, frames.received_time_ns))

    return parsed


PARSERS: Mapping[Channel, Parser] = {
    Channel.TRADES: _of_either(parse.advanced_trades, parse.exchange_trades),
    Channel.TICKERS: _of_either(parse.advanced_quotes, parse.exchange_quotes),
    Channel.BOOK: _of_either(parse.advanced_book, parse.exchange_book),
}
