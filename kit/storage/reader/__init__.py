"""Reads the record into NumPy columns, and from there into Arrow::

    from kit.storage.reader import read_bars, read_trades

    trades = await read_trades("127.0.0.1:8081", "binance", "BTCUSDT", start_ns, end_ns)
    trades["price"]             # integers; a price is number / 10 ** trades.scales["price"]
    trades.to_arrow()           # a pyarrow.Table: exact decimals, times with their zone
    bars = await read_bars("127.0.0.1:8081", "binance", "BTCUSDT", "1m")

The address is the gateway's, or that of a process that serves History. Ranges are
start_ns <= t < end_ns of received time (bars: open time), in ns since the Unix epoch; 0 is open.
Errors are those of gRPC; ``kit.base.errors.reason_of`` returns the reason. The result is held in
memory; ``stream`` and ``stream_bars`` return it in parts.
"""

from kit.storage.reader.client import (
    read,
    read_bars,
    read_book,
    read_candles,
    read_marks,
    read_quotes,
    read_tickers,
    read_trades,
    stream,
    stream_bars,
)
from kit.storage.reader.columns import Columns

__all__ = [
    "Columns",
    "read",
    "read_bars",
    "read_book",
    "read_candles",
    "read_marks",
    "read_quotes",
    "read_tickers",
    "read_trades",
    "stream",
    "stream_bars",
]
