"""Binance spot frames to rows. No I/O, no clock, no state: bytes in, columns out.

Frames of one kind are decoded together, as one JSON list: the fixed cost of a call is then shared.
Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np

from kit.columns import SIDE_BUY, SIDE_SELL, BookRows, Numbers, QuoteRows, TradeRows
from kit.numbers import NumberError, parse_joined
from kit.venue.contract import FrameError, Kind

NANOSECONDS_PER_MILLISECOND = 1_000_000


_KINDS = {
    b"trade": Kind.TRADES,
    b"bookTicker": Kind.QUOTES,
    b"depth@100ms": Kind.BOOK,
    b"depth": Kind.BOOK,
}
_STREAM = b'{"stream":"'
_NAME_AT = len(_STREAM)
_NAME_BYTES_MAX = 64


def classify(frame: bytes) -> Kind:
    """What a frame is about, from the name of its stream alone.

    A data frame begins {"stream":"btcusdt@trade","data":…; anything without a stream is the answer
    to a request of ours, for example {"result":null,"id":1}.
    """
    name = frame[_NAME_AT : frame.find(b'"', _NAME_AT, _NAME_AT + _NAME_BYTES_MAX)]
    kind = _kind_of_stream(name)
    if kind is Kind.UNKNOWN and not frame.startswith(_STREAM):
        return Kind.REPLY
    return kind


@lru_cache(maxsize=4096)
def _kind_of_stream(name: bytes) -> Kind:
    """btcusdt@trade, btcusdt@bookTicker, btcusdt@depth@100ms."""
    return _KINDS.get(name.partition(b"@")[2], Kind.UNKNOWN)


class _Trade(msgspec.Struct, gc=False):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _TradeFrame(msgspec.Struct, gc=False):
    data: _Trade


class _Quote(msgspec.Struct, gc=False):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class _QuoteFrame(msgspec.Struct, gc=False):
    data: _Quote


class _Depth(msgspec.Struct, gc=False):
    E: int
    s: str
    U: int
    u: int
    b: msgspec.Raw
    a: msgspec.Raw


class _DepthFrame(msgspec.Struct, gc=False):
    data: _Depth


_decode_trades = msgspec.json.Decoder(list[_TradeFrame]).decode
_decode_quotes = msgspec.json.Decoder(list[_QuoteFrame]).decode
_decode_depths = msgspec.json.Decoder(list[_DepthFrame]).decode


def trades(frames: Sequence[bytes], received_time_ns: Sequence[int]) -> TradeRows:
    """Frames of <symbol>@trade.

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,
    "p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}

    m: the buyer was the maker, so the taker sold. T: trade time, ms. Raises FrameError.
    """
    try:
        found = [frame.data for frame in _decode_trades(_join(frames))]
        price, size = Numbers.parse_all([trade.p for trade in found], [trade.q for trade in found])
        return TradeRows(
            symbol=[trade.s for trade in found],
            price=price,
            size=size,
            side=np.where([trade.m for trade in found], SIDE_SELL, SIDE_BUY),
            venue_time_ns=_milliseconds([trade.T for trade in found]),
            received_time_ns=np.array(received_time_ns, dtype=np.int64),
            trade_id=np.array([trade.t for trade in found], dtype=np.int64),
        )
    except (msgspec.DecodeError, NumberError, OverflowError) as error:
        raise FrameError(str(error)) from error


def quotes(frames: Sequence[bytes], received_time_ns: Sequence[int]) -> QuoteRows:
    """Frames of <symbol>@bookTicker, which carry no time.

    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",
    "B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}

    Raises FrameError.
    """
    try:
        found = [frame.data for frame in _decode_quotes(_join(frames))]
        bid_price, bid_size, ask_price, ask_size = Numbers.parse_all(
            [quote.b for quote in found],
            [quote.B for quote in found],
            [quote.a for quote in found],
            [quote.A for quote in found],
        )
        return QuoteRows(
            symbol=[quote.s for quote in found],
            bid_price=bid_price,
            bid_size=bid_size,
            ask_price=ask_price,
            ask_size=ask_size,
            venue_time_ns=np.zeros(len(found), dtype=np.int64),
            received_time_ns=np.array(received_time_ns, dtype=np.int64),
            sequence=np.array([quote.u for quote in found], dtype=np.int64),
        )
    except (msgspec.DecodeError, NumberError, OverflowError) as error:
        raise FrameError(str(error)) from error


def book(frames: Sequence[bytes], received_time_ns: Sequence[int]) -> BookRows:
    """Frames of <symbol>@depth and <symbol>@depth@100ms.

    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",
    "U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[]}}

    U and u: first and last update id. A size of 0 removes the level. E: event time, ms.
    Raises FrameError.
    """
    try:
        found = [frame.data for frame in _decode_depths(_join(frames))]
        sides = [bytes(side) for depth in found for side in (depth.b, depth.a)]
        price, size, counts = _levels(sides)
        return BookRows(
            symbol=[depth.s for depth in found],
            first_sequence=[depth.U for depth in found],
            last_sequence=[depth.u for depth in found],
            previous_sequence=[0] * len(found),
            venue_time_ns=[depth.E * NANOSECONDS_PER_MILLISECOND for depth in found],
            received_time_ns=received_time_ns,
            bid_count=counts[::2],
            ask_count=counts[1::2],
            price=price,
            size=size,
        )
    except (msgspec.DecodeError, NumberError, OverflowError) as error:
        raise FrameError(str(error)) from error


def _levels(sides: Sequence[bytes]) -> tuple[Numbers, Numbers, list[int]]:
    """Level lists, each still JSON [["61837.63","0.02"],…], as prices, sizes and their counts.

    All lists are read as one text: without its brackets and quotes it is a list of numbers.
    """
    counts = [side.count(b'["') for side in sides]
    for side, count in zip(sides, counts, strict=True):
        if side.count(b'"') != 4 * count or not side.startswith(b"[[" if count else b"[]"):
            raise FrameError("a side is not a list of pairs of texts")
    joined = b",".join([side for side, count in zip(sides, counts, strict=True) if count])
    unscaled, decimals = parse_joined(joined.translate(None, b'[]" '), 2 * sum(counts))
    pairs = Numbers(unscaled, decimals)
    return pairs.every_second(0), pairs.every_second(1), counts


def _join(frames: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(frames) + b"]"


def _milliseconds(times: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(times, dtype=np.int64) * NANOSECONDS_PER_MILLISECOND
