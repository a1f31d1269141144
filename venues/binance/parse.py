"""Binance spot frames to rows. No I/O, no clock, no state: bytes in, columns out.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import numpy as np

from kit.columns import SIDE_BUY, SIDE_SELL, BookRows, QuoteRows, TradeRows
from kit.frames import Field, Frames, Patterns, Schema
from kit.numbers import IntColumn
from kit.venue.contract import Kind

NANOSECONDS_PER_MILLISECOND = 1_000_000

KINDS = np.array((Kind.TRADES, Kind.QUOTES, Kind.BOOK, Kind.UNKNOWN, Kind.REPLY))
"""By the number of the pattern; a frame without any of them answers a request of ours."""

# A data frame begins {"stream":"btcusdt@trade","data":…, an answer is {"result":null,"id":1}.
PATTERNS = Patterns(
    [b'@trade"', b'@bookTicker"', b"@depth", b'{"stream":"'],
    window_bytes=64,
)

TRADE = Schema(
    "data",
    s=Field.TEXT,
    t=Field.INTEGER,
    p=Field.DECIMAL,
    q=Field.DECIMAL,
    T=Field.INTEGER,
    m=Field.FLAG,
)
QUOTE = Schema(
    "data",
    u=Field.INTEGER,
    s=Field.TEXT,
    b=Field.DECIMAL,
    B=Field.DECIMAL,
    a=Field.DECIMAL,
    A=Field.DECIMAL,
)
DEPTH = Schema(
    "data",
    E=Field.INTEGER,
    s=Field.TEXT,
    U=Field.INTEGER,
    u=Field.INTEGER,
    b=Field.LEVELS,
    a=Field.LEVELS,
)


def classify(frames: Frames) -> IntColumn:
    """The Kind of each frame, from the name of its stream alone."""
    return KINDS[PATTERNS.classify(frames)]


def trades(frames: Frames) -> TradeRows:
    """Frames of <symbol>@trade.

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,
    "p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}

    m: the buyer was the maker, so the taker sold. T: trade time, ms. Raises FrameError.
    """
    found = TRADE.decode(frames)
    return TradeRows(
        symbols=found.symbols("s"),
        price=found.numbers("p"),
        size=found.numbers("q"),
        side=np.where(found.integers("m"), SIDE_SELL, SIDE_BUY),
        venue_time_ns=found.integers("T") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
        trade_id=found.integers("t"),
    )


def quotes(frames: Frames) -> QuoteRows:
    """Frames of <symbol>@bookTicker, which carry no time.

    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",
    "B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}

    Raises FrameError.
    """
    found = QUOTE.decode(frames)
    return QuoteRows(
        symbols=found.symbols("s"),
        bid_price=found.numbers("b"),
        bid_size=found.numbers("B"),
        ask_price=found.numbers("a"),
        ask_size=found.numbers("A"),
        venue_time_ns=_zeros(frames),
        received_time_ns=frames.received_time_ns,
        sequence=found.integers("u"),
    )


def book(frames: Frames) -> BookRows:
    """Frames of <symbol>@depth and <symbol>@depth@100ms.

    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",
    "U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[]}}

    U and u: first and last update id. A size of 0 removes the level. E: event time, ms.
    Raises FrameError.
    """
    found = DEPTH.decode(frames)
    return BookRows(
        symbols=found.symbols("s"),
        first_sequence=found.integers("U"),
        last_sequence=found.integers("u"),
        previous_sequence=_zeros(frames),
        venue_time_ns=found.integers("E") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
        bid_count=found.integers("b"),
        ask_count=found.integers("a"),
        price=found.level_price,
        size=found.level_size,
    )


def _zeros(frames: Frames) -> IntColumn:
    return np.zeros(len(frames), dtype=np.int64)
