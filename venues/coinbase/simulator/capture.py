"""Lines of a Coinbase capture, of either feed."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from kit.marketdata.frames.reference import time_ns
from kit.simulator.dialect import CONVERSATION, UNKNOWN, Frame, Stream
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing
from venues.coinbase.simulator.advanced import MARK
from venues.coinbase.simulator.streams import ADVANCED, EXCHANGE, CoinbaseStreams

TYPE = b'{"type":"'
TYPE_LENGTH = len(TYPE)
PRODUCT = b'"product_id":"'
PRODUCT_LENGTH = len(PRODUCT)
ADVANCED_CHANNELS = {
    "l2_data": "level2",
    "market_trades": "market_trades",
    "ticker": "ticker",
    "ticker_batch": "ticker_batch",
    "candles": "candles",
}
EXCHANGE_CHANNELS = {
    "snapshot": "level2",
    "l2update": "level2",
    "match": "matches",
    "last_match": "matches",
    "ticker": "ticker",
    "heartbeat": "heartbeat",
}
CONVERSATIONS = ("subscriptions", "heartbeats", "error")
SEQUENCE = re.compile(rb'"sequence_num":\s*[0-9]+')
PRODUCTS = re.compile(rb'"product_id":\s*"([^"]*)"')
BOOK_IN_URL = re.compile(r"products[/_]([A-Z0-9-]+)[/_]book")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a line that is no JSON, or no text at all, is refused with."""

Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")]


class _Match(msgspec.Struct):
    trade_id: int
    price: Number
    size: Number
    side: str
    time: str


class _Event(msgspec.Struct):
    trades: list[_Match]


class _Trades(msgspec.Struct):
    """A frame of market_trades."""

    events: list[_Event]


class _Envelope(msgspec.Struct):
    """Any frame of either feed."""

    type: str = ""
    channel: str = ""
    product_id: str = ""


class _Numbers(msgspec.Struct):
    """The prices and sizes of whichever frame of Exchange."""

    price: str = ""
    size: str = ""
    last_size: str = ""
    best_bid: str = ""
    best_ask: str = ""
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    changes: list[tuple[str, str, str]] = []


class _Book(msgspec.Struct):
    """GET /products/BTC-USD/book."""

    bids: list[tuple[str, str, int | str]]
    asks: list[tuple[str, str, int | str]]
    sequence: int


_match = msgspec.json.Decoder(_Match)
_trades = msgspec.json.Decoder(_Trades, strict=False)
_envelope = msgspec.json.Decoder(_Envelope)
_numbers = msgspec.json.Decoder(_Numbers)
_book = msgspec.json.Decoder(_Book)


class CoinbaseCapture:
    """Reads lines; keeps nothing but the streams' names."""

    def __init__(self, streams: CoinbaseStreams) -> None:
        self._streams = streams
        self._known: dict[tuple[bytes, bytes], Stream] = {}

    def frame_of(self, line: bytes) -> Frame:
        """A frame of Advanced Trade loses its number: connections of now count for themselves."""
        start = line.find(PRODUCT) + PRODUCT_LENGTH
        kind = line[TYPE_LENGTH : line.find(b'"', TYPE_LENGTH)]
        product = line[start : line.find(b'"', start)]
        stream = self._known.get((kind, product)) if line.startswith(TYPE) else None
        if stream is None:
            stream, line = self._unusual(line)
            if stream.symbol and line.startswith(TYPE):
                self._known[kind, product] = stream
        return stream, line

    def trade_of(self, line: bytes) -> TradePrint | None:
        """The newest of a frame."""
        return next(iter(self.trades_of(line)), None)

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        try:
            if MARK not in line:
                return [_print(_match.decode(line))]
            events = _trades.decode(line.replace(MARK, b'"sequence_num":0')).events
            return [_print(trade) for event in events for trade in event.trades]
        except (*UNREADABLE, ValueError):
            return []

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        try:
            found = _book.decode(body)
        except UNREADABLE:
            return None
        product = BOOK_IN_URL.search(url)
        bids, asks = ([level[:2] for level in side] for side in (found.bids, found.asks))
        name = product.group(1) if product else ""
        return name, BookSnapshot(found.sequence, bids, asks)

    def sequence_of(self, line: bytes) -> int:
        """Updates of books have no numbers."""
        return 0

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        prices: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for line in lines:
            product = self.frame_of(line)[0].symbol
            if product:
                found_prices, found_sizes = _numbers_of(line)
                prices[product] = max(prices.get(product, 0), _places(found_prices))
                sizes[product] = max(sizes.get(product, 0), _places(found_sizes))
        return [
            Listing(
                product,
                product.partition("-")[0],
                product.partition("-")[2],
                _step(prices[product]),
                _step(sizes[product]),
                "0",
                derived=True,
            )
            for product in prices
        ]

    def _unusual(self, line: bytes) -> Frame:
        """Of a line that was not seen in this form before."""
        try:
            frame = _envelope.decode(line)
        except UNREADABLE:
            return (UNKNOWN if line else CONVERSATION), line
        if frame.channel:
            return self._advanced(frame.channel, line)
        if frame.type in CONVERSATIONS:
            return CONVERSATION, line
        channel = EXCHANGE_CHANNELS.get(frame.type)
        if channel is None or not frame.product_id:
            return UNKNOWN, line
        return self._streams.get(EXCHANGE, channel, frame.product_id) or UNKNOWN, line

    def _advanced(self, channel: str, line: bytes) -> Frame:
        if channel in CONVERSATIONS:
            return CONVERSATION, line
        products = set(PRODUCTS.findall(line))
        line = SEQUENCE.sub(MARK, line, count=1)
        name = ADVANCED_CHANNELS.get(channel)
        if name is None or len(products) != 1:
            return UNKNOWN, line
        return self._streams.get(ADVANCED, name, products.pop().decode()) or UNKNOWN, line


def _print(trade: _Match) -> TradePrint:
    """The side is the maker's."""
    taker_buys = trade.side.lower() == "sell"
    return TradePrint(trade.trade_id, trade.price, trade.size, time_ns(trade.time), taker_buys)


def _numbers_of(line: bytes) -> tuple[list[str], list[str]]:
    try:
        found = _numbers.decode(line)
    except UNREADABLE:
        return [], []
    levels = [*found.bids, *found.asks, *(change[1:] for change in found.changes)]
    prices = [found.price, found.best_bid, found.best_ask, *(price for price, _ in levels)]
    sizes = [found.size, found.last_size, *(size for _, size in levels)]
    return prices, sizes


def _places(texts: Iterable[str]) -> int:
    return max((len(text.rstrip("0").partition(".")[2]) for text in texts), default=0)


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"
