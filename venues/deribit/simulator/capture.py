"""Lines of a Deribit capture: frames of channels, and answers."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import CONVERSATION, SNAPSHOT, UNKNOWN, Channel, Frame
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing, Mark
from venues.deribit.simulator.contracts import NAME
from venues.deribit.simulator.streams import RAW, SLOW, DeribitStreams

START = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
START_LENGTH = len(START)
RAW_END = f'{RAW}"'.encode()
SLOW_END = f'{SLOW}"'.encode()
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a line that is no JSON, or no text at all, is refused with."""
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(e-?[0-9]+)?")


class _Parameters(msgspec.Struct, frozen=True):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


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
_exact = msgspec.json.Decoder(float_hook=str)
_book = msgspec.json.Decoder(_Book, float_hook=str)


class DeribitCapture:
    """Reads lines; keeps nothing but the streams' names."""

    def __init__(self, streams: DeribitStreams) -> None:
        self._streams = streams

    def frame_of(self, line: bytes) -> Frame:
        if not line.startswith(START):
            return self._unusual_frame(line)
        end = line.find(b'"', START_LENGTH)
        name = line[START_LENGTH : max(end, START_LENGTH)].decode(errors="replace")
        return self._streams.get(name), _bundled(name, line)

    def trade_of(self, line: bytes) -> TradePrint | None:
        return next(iter(self.trades_of(line)), None)

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        try:
            rows = _exact.decode(_line.decode(line).params.data)
            return [_trade(row) for row in rows]
        except (*UNREADABLE, KeyError, TypeError, ValueError):
            return []

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        try:
            found = _book.decode(_line.decode(body).result)
        except UNREADABLE:
            return None
        sides = ([tuple(map(str, level)) for level in side] for side in (found.bids, found.asks))
        return found.instrument_name, BookSnapshot(found.change_id, *sides)

    def sequence_of(self, line: bytes) -> int:
        try:
            return _book.decode(_line.decode(line).params.data).change_id
        except UNREADABLE:
            return 0

    def mark_of(self, line: bytes) -> tuple[str, Mark] | None:
        try:
            data = _exact.decode(_line.decode(line).params.data)
            told = [data.get(name) for name in ("mark_price", "index_price", "current_funding")]
            mark, index, funding = ("" if number is None else str(number) for number in told)
            return str(data["instrument_name"]), Mark(mark, index, funding, 0)
        except (*UNREADABLE, KeyError, AttributeError):
            return None

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        prices: defaultdict[str, int] = defaultdict(int)
        sizes: defaultdict[str, int] = defaultdict(int)
        for line in lines:
            stream = self.frame_of(line)[0]
            if stream.symbol:
                found = _numbers_of(line, stream.channel)
                prices[stream.symbol] = max(prices[stream.symbol], _places(found[0]))
                sizes[stream.symbol] = max(sizes[stream.symbol], _places(found[1]))
        return [
            Listing(symbol, *_split(symbol), _step(prices[symbol]), _step(sizes[symbol]), "0", True)
            for symbol in prices
        ]

    def _unusual_frame(self, line: bytes) -> Frame:
        try:
            found = _line.decode(line)
        except UNREADABLE:
            return UNKNOWN if line else CONVERSATION, line
        if found.params.channel:
            return self._streams.get(found.params.channel), _bundled(found.params.channel, line)
        if self.snapshot_of(line) is not None:
            return SNAPSHOT, line
        answered = found.result or found.error or found.method == "heartbeat"
        return CONVERSATION if answered else UNKNOWN, line


def _bundled(name: str, line: bytes) -> bytes:
    """Under the name that clients without a login use."""
    return line.replace(RAW_END, SLOW_END, 1) if name.endswith(RAW) else line


def _trade(row: dict[str, Any]) -> TradePrint:
    price, size = str(row["price"]), str(row["amount"])
    if not (NUMBER.fullmatch(price) and NUMBER.fullmatch(size)):
        raise ValueError(f"not a trade: {price} {size}")
    time_ns = int(row["timestamp"]) * NANOSECONDS_PER_MILLISECOND
    return TradePrint(int(row["trade_seq"]), price, size, time_ns, row["direction"] == "buy")


def _numbers_of(line: bytes, channel: Channel) -> tuple[list[str], list[str]]:
    """Prices and sizes of a frame of trades, a quote or a book."""
    try:
        data = _exact.decode(_line.decode(line).params.data)
        if channel is Channel.TRADES:
            pairs = [(row["price"], row["amount"]) for row in data]
        elif channel is Channel.QUOTES:
            pairs = [
                (data[f"best_{one}_price"], data[f"best_{one}_amount"]) for one in ("bid", "ask")
            ]
        elif channel is Channel.BOOK:
            pairs = [(level[1], level[2]) for side in ("bids", "asks") for level in data[side]]
        else:
            pairs = []
    except (*UNREADABLE, KeyError, TypeError, IndexError):
        pairs = []
    return [str(price) for price, _ in pairs], [str(size) for _, size in pairs]


def _places(texts: Iterable[str]) -> int:
    return max((len(text.rstrip("0").partition(".")[2]) for text in texts), default=0)


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"


def _split(symbol: str) -> tuple[str, str]:
    found = NAME.fullmatch(symbol)
    return (found["base"], found["quote"] or "USD") if found else (symbol, "")
