"""Binance frames to rows. No I/O, no clock, no state: bytes in, columns out.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import numpy as np

from kit.clock import NANOSECONDS_PER_MILLISECOND
from kit.columns import SIDE_BUY, SIDE_SELL, BookRows, QuoteRows, TradeRows, zeros
from kit.frames import Field, Frames, LevelList, Schema

TRADE = Schema(
    "data",
    {
        "s": Field.TEXT,
        "t": Field.INTEGER,
        "p": Field.DECIMAL,
        "q": Field.DECIMAL,
        "T": Field.INTEGER,
        "m": Field.FLAG,
    },
)
QUOTE = Schema(
    "data",
    {
        "u": Field.INTEGER,
        "s": Field.TEXT,
        "b": Field.DECIMAL,
        "B": Field.DECIMAL,
        "a": Field.DECIMAL,
        "A": Field.DECIMAL,
    },
)
DEPTH = Schema(
    "data",
    {
        "E": Field.INTEGER,
        "s": Field.TEXT,
        "U": Field.INTEGER,
        "u": Field.INTEGER,
        "b": LevelList.bids(0, 1),
        "a": LevelList.asks(0, 1),
    },
)


def trades(frames: Frames) -> TradeRows:
    """Frames of <symbol>@trade.

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255308,"s":"BTCUSDT","t":3720711245,
    "p":"61837.63000000","q":"0.00009000","T":1723161255307,"m":true,"M":true}}

    m: the buyer was the maker, so the taker sold. T: trade time, ms. Ids count by one.
    Raises FrameError.
    """
    found = TRADE.decode(frames)
    trade_id = found.integers("t")
    return TradeRows(
        symbols=found.symbols("s"),
        price=found.numbers("p"),
        size=found.numbers("q"),
        side=np.where(found.integers("m"), SIDE_SELL, SIDE_BUY),
        venue_time_ns=found.integers("T") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
        trade_id=trade_id,
        previous_id=trade_id - 1,
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
        venue_time_ns=zeros(len(found)),
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
        previous_sequence=zeros(len(found)),
        snapshot=zeros(len(found)),
        checksum=None,
        venue_time_ns=found.integers("E") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
        bids=found.bids,
        asks=found.asks,
    )
