"""Parses Kraken spot frames into columns, without I/O, clock or state.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/book and its neighbours. Numbers are
JSON numbers with all their trailing zeros.
"""

import numpy as np

from kit.base.number_columns import Places, rescale
from kit.connector.contract.venue import FrameKind
from kit.marketdata.frames import Field, Frames, FrameSchema, LevelList, optional
from kit.marketdata.model.columns import (
    SIDE_BUY,
    SIDE_SELL,
    BookRows,
    CandleRows,
    NumberColumn,
    QuoteRows,
    TickerRows,
    TradeRows,
    zeros,
)

SECONDS_PER_MINUTE = 60
SIDES = {"buy": SIDE_BUY, "sell": SIDE_SELL}
WHOLE = {"snapshot": 1, "update": 0}

TRADE = FrameSchema(
    "data[]",
    {
        "symbol": Field.TEXT,
        "side": Field.TEXT,
        "price": Field.DECIMAL,
        "qty": Field.DECIMAL,
        "trade_id": Field.INTEGER,
        "timestamp": Field.TIME,
    },
)
QUOTE = FrameSchema(
    "data[]",
    {
        "symbol": Field.TEXT,
        "bid": Field.DECIMAL,
        "bid_qty": Field.DECIMAL,
        "ask": Field.DECIMAL,
        "ask_qty": Field.DECIMAL,
        "timestamp": optional(Field.TIME),
    },
)
TICKER = FrameSchema(
    "data[]",
    {
        "symbol": Field.TEXT,
        "last": Field.DECIMAL,
        "volume": Field.DECIMAL,
        "low": Field.DECIMAL,
        "high": Field.DECIMAL,
        "change": Field.DECIMAL,
        "timestamp": optional(Field.TIME),
    },
)
BOOK = FrameSchema(
    "data[]",
    {
        "symbol": Field.TEXT,
        "bids": LevelList.bids("price", "qty"),
        "asks": LevelList.asks("price", "qty"),
        "checksum": Field.INTEGER,
        "timestamp": optional(Field.TIME),
    },
    outer={"type": Field.TEXT},
)
CANDLE = FrameSchema(
    "data[]",
    {
        "symbol": Field.TEXT,
        "open": Field.DECIMAL,
        "high": Field.DECIMAL,
        "low": Field.DECIMAL,
        "close": Field.DECIMAL,
        "volume": Field.DECIMAL,
        "interval_begin": Field.TIME,
        "interval": Field.INTEGER,
    },
    outer={"timestamp": Field.TIME},
)


def trades(frames: Frames) -> TradeRows:
    """Frames of the channel trade. A subscription starts with the newest fifty trades, oldest
    first.

    {"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":81205.1,
    "qty":0.00003630,"ord_type":"limit","trade_id":106799953,
    "timestamp":"2026-09-04T00:21:20.564568Z"}]}

    side: the taker's. trade_id is consecutive. Raises FrameError.
    """
    found = TRADE.decode(frames)
    trade_id = found.integers("trade_id")
    return TradeRows(
        symbols=found.symbols("symbol"),
        price=found.numbers("price"),
        size=found.numbers("qty"),
        side=found.among("side", SIDES),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=trade_id,
        previous_id=trade_id - 1,
    )


def quotes(frames: Frames) -> QuoteRows:
    """Best bids and asks of the channel ticker, which is subscribed to with event_trigger bbo.

    {"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":81205.0,
    "bid_qty":0.58905885,"ask":81205.1,"ask_qty":0.69697106,"last":81205.1,"volume":4696.17832496,
    "vwap":80044.4,"low":76949.6,"high":82288.1,"change":4166.6,"change_pct":5.41,"trades":145275,
    "timestamp":"2026-09-04T00:21:20.217476Z"}]}

    Raises FrameError.
    """
    found = QUOTE.decode(frames)
    return QuoteRows(
        symbols=found.symbols("symbol"),
        bid_price=found.numbers("bid"),
        bid_size=found.numbers("bid_qty"),
        ask_price=found.numbers("ask"),
        ask_size=found.numbers("ask_qty"),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
        sequence=zeros(len(found.frame)),
    )


def tickers(frames: Frames) -> TickerRows:
    """The 24-hour statistics of the same frames as ``quotes``.

    change: last minus the price 24 hours ago, which is not in the frame. Raises FrameError.
    """
    found = TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("symbol"),
        last_price=found.numbers("last"),
        open_price=_difference(found.numbers("last"), found.numbers("change")),
        high_price=found.numbers("high"),
        low_price=found.numbers("low"),
        volume=found.numbers("volume"),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
    )


def book(frames: Frames) -> BookRows:
    """Frames of the channel book.

    {"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":64746.1,
    "qty":4.15747761}],"asks":[],"checksum":681655668,"timestamp":"2026-07-20T03:39:38.235508Z"}]}

    A qty of 0 removes the level. checksum: CRC-32 of the book after the update. Raises FrameError.
    """
    found = BOOK.decode(frames)
    unnumbered = zeros(len(found.frame))
    return BookRows(
        symbols=found.symbols("symbol"),
        first_sequence=unnumbered,
        last_sequence=unnumbered,
        previous_sequence=unnumbered,
        snapshot=found.among("type", WHOLE),
        checksum=found.integers("checksum"),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
        bids=found.bids,
        asks=found.asks,
    )


def candles(frames: Frames) -> CandleRows:
    """Frames of the channel ohlc. A subscription starts with the candles of the last minutes.

    {"channel":"ohlc","type":"update","timestamp":"2026-09-10T17:35:52.114514810Z","data":[{
    "symbol":"BTC/USDT","open":77499.9,"high":77509.2,"low":77467.5,"close":77509.2,"trades":15,
    "volume":0.58051276,"vwap":77482.2,"interval_begin":"2026-09-10T17:35:00.000000000Z",
    "interval":1,"timestamp":"2026-09-10T17:36:00.000000Z"}]}

    interval: minutes. The inner timestamp is the candle's end. Kraken does not say when a candle is
    final; it is known of those only which another one follows in the same frame. Raises FrameError.
    """
    found = CANDLE.decode(frames)
    symbols, open_time_ns = found.symbols("symbol"), found.integers("interval_begin")
    closed = zeros(len(found.frame))
    closed[:-1] = (
        (found.frame[1:] == found.frame[:-1])
        & (symbols.row[1:] == symbols.row[:-1])
        & (open_time_ns[1:] > open_time_ns[:-1])
    )
    return CandleRows(
        symbols=symbols,
        interval_s=found.integers("interval") * SECONDS_PER_MINUTE,
        open_time_ns=open_time_ns,
        open=found.numbers("open"),
        high=found.numbers("high"),
        low=found.numbers("low"),
        close=found.numbers("close"),
        volume=found.numbers("volume"),
        closed=closed,
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
    )


def _difference(one: NumberColumn, other: NumberColumn) -> NumberColumn:
    places = np.maximum(one.decimals, other.decimals)
    scale: Places = int(places) if np.ndim(places) == 0 else places
    unscaled = rescale(one.unscaled, one.decimals, scale)
    return NumberColumn(unscaled - rescale(other.unscaled, other.decimals, scale), scale)


# A data frame starts with {"channel":"trade", an answer with {"method": or {"error":. The window
# ends before the name of the channel in an acknowledgement.
WINDOW_BYTES = 24
KINDS = (
    FrameKind("book", b'{"channel":"book"', (book,)),
    FrameKind("ticker", b'{"channel":"ticker"', (quotes, tickers)),
    FrameKind("trade", b'{"channel":"trade"', (trades,)),
    FrameKind("ohlc", b'{"channel":"ohlc"', (candles,)),
    FrameKind("heartbeat", b'{"channel":"heartbeat"', ()),
    FrameKind("status", b'{"channel":"status"', ()),
)
