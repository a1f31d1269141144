"""A few rows of every channel, with several instruments, scales and unknown values."""

import numpy as np

from kit.marketdata.model.book_updates import BookUpdates
from kit.marketdata.model.columns import (
    CandleRows,
    MarkRows,
    NumberColumn,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
)

START_NS = 1_723_100_000_000_000_000


def column(*values):
    return np.array(values, dtype=np.int64)


def times(count):
    """Venue and received times of some rows."""
    number = np.arange(count, dtype=np.int64)
    return {
        "venue_time_ns": START_NS + number * 1_000_000,
        "received_time_ns": START_NS + number * 1_000_000 + 250_123,
    }


def trades():
    return TradeRows(
        symbols=SymbolColumn.of(["BTCUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT", "BTCUSDT"]),
        price=NumberColumn.parse(["61837.63", "2500.1", "61837.6", "2500.15", "61840"]),
        size=NumberColumn.parse(["0.00012", "3", "1.5", "0.0001", "12"]),
        side=column(1, 2, 2, 1, 1),
        trade_id=column(3_700_000_001, 12, 3_700_000_002, 13, 3_700_000_004),
        previous_id=column(3_700_000_000, 11, 3_700_000_001, 12, 3_700_000_003),
        **times(5),
    )


def text_trades():
    return TradeRows(
        symbols=SymbolColumn.of(["SOLUSDT", "SOLUSDT"]),
        price=NumberColumn.parse(["150.25", "150.5"]),
        size=NumberColumn.parse(["1", "0.125"]),
        side=column(2, 1),
        trade_id=column(0, 0),
        trade_id_text=["a-1", "ü-2"],
        **times(2),
    )


def quotes():
    return QuoteRows(
        symbols=SymbolColumn.of(["BTCUSDT", "BTCUSDT", "ETHUSDT"]),
        bid_price=NumberColumn.parse(["61837.62", "61837.5", "2500"]),
        bid_size=NumberColumn.parse(["1", "0.5", "7.25"]),
        ask_price=NumberColumn.parse(["61837.63", "61837.75", "2500.01"]),
        ask_size=NumberColumn.parse(["0.001", "2", "3"]),
        sequence=column(5, 7, 0),
        **times(3),
    )


def tickers():
    return TickerRows(
        symbols=SymbolColumn.of(["BTCUSDT", "ETHUSDT"]),
        last_price=NumberColumn.parse(["61837.63", "2500"]),
        open_price=NumberColumn.parse(["60000", "0"]),
        high_price=NumberColumn.parse(["62000.5", "2600"]),
        low_price=NumberColumn.parse(["59000", "0"]),
        volume=NumberColumn.parse(["123456.789", "0"]),
        **times(2),
    )


def marks():
    return MarkRows(
        symbols=SymbolColumn.of(["BTCUSDT", "ETHUSDT", "BTCUSDT"]),
        mark_price=NumberColumn.parse(["61836.1", "0", "61836.25"]),
        index_price=NumberColumn.parse(["61835.123", "2499.5", "0"]),
        funding_rate=NumberColumn.parse(["-0.000125", "0.0001", "0"]),
        next_funding_time_ns=column(START_NS + 5, 0, 0),
        **times(3),
    )


def candles():
    return CandleRows(
        symbols=SymbolColumn.of(["BTCUSDT", "ETHUSDT"]),
        interval_s=column(60, 3600),
        open_time_ns=column(START_NS - START_NS % 60_000_000_000, START_NS - 10**12),
        open=NumberColumn.parse(["61000", "2500.5"]),
        high=NumberColumn.parse(["62000.25", "2501"]),
        low=NumberColumn.parse(["60999.5", "2499"]),
        close=NumberColumn.parse(["61837.63", "2500.75"]),
        volume=NumberColumn.parse(["12.5", "100"]),
        closed=column(1, 0),
        **times(2),
    )


def book_updates(updates=6):
    """A snapshot of each of two instruments, then changes; prices around 61,837."""
    number = np.arange(updates, dtype=np.int64)
    levels = np.arange(updates * 5, dtype=np.int64)
    return BookUpdates(
        instrument=number % 2,
        first_sequence=1 + number * 3,
        last_sequence=3 + number * 3,
        snapshot=(number < 2).astype(np.int64),
        book_epoch=number * 0 + 4,
        bid_count=number * 0 + 3,
        ask_count=number * 0 + 2,
        price=6_183_700 + levels * 7 % 11,
        size=1 + levels * 13 % 5 * 100,
        **times(updates),
    )


ROWS = {
    "trades": trades,
    "text_trades": text_trades,
    "quotes": quotes,
    "tickers": tickers,
    "marks": marks,
    "candles": candles,
}
