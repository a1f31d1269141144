"""Reads the record from History into NumPy columns, and from there into Arrow::

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

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from kit.base import rpc
from kit.base.access.credentials import from_environment
from kit.base.cursor import Channel
from kit.storage.reader.columns import Columns, no_rows, of_bars, of_batch

SymbolNames = str | Sequence[str]
"""One symbol, some, or none for all instruments."""


async def stream(
    address: str,
    venue: str,
    channel: Channel,
    symbols: SymbolNames = (),
    start_ns: int = 0,
    end_ns: int = 0,
) -> AsyncGenerator[Columns, None]:
    """Yield rows in parts, as they arrive."""
    request = history_pb2.ReadRequest(
        venue=venue,
        channel=channel,
        symbols=[symbols] if isinstance(symbols, str) else symbols,
        range=history_pb2.TimeRange(start_time_ns=start_ns, end_time_ns=end_ns),
    )
    async with rpc.channel(address, from_environment()) as connection:
        async for answer in history_pb2_grpc.HistoryStub(connection).Read(request):
            for batch in answer.batches:
                yield of_batch(batch)


async def stream_bars(
    address: str,
    venue: str,
    symbol: str,
    interval: str,
    start_ns: int = 0,
    end_ns: int = 0,
    as_of_ns: int = 0,
) -> AsyncGenerator[Columns, None]:
    """Yield bars in parts; with ``as_of_ns`` the revisions current at that time."""
    request = history_pb2.ReadBarsRequest(
        venue=venue,
        symbol=symbol,
        interval=interval,
        range=history_pb2.TimeRange(start_time_ns=start_ns, end_time_ns=end_ns),
        as_of_time_ns=as_of_ns,
    )
    async with rpc.channel(address, from_environment()) as connection:
        async for answer in history_pb2_grpc.HistoryStub(connection).ReadBars(request):
            yield of_bars(symbol, answer.bars)


async def read(
    address: str,
    venue: str,
    channel: Channel,
    symbols: SymbolNames = (),
    start_ns: int = 0,
    end_ns: int = 0,
) -> Columns:
    """Return all rows of a channel."""
    return await _joined(stream(address, venue, channel, symbols, start_ns, end_ns), channel)


async def read_bars(
    address: str,
    venue: str,
    symbol: str,
    interval: str,
    start_ns: int = 0,
    end_ns: int = 0,
    as_of_ns: int = 0,
) -> Columns:
    """Return all bars of one instrument and interval."""
    bars = stream_bars(address, venue, symbol, interval, start_ns, end_ns, as_of_ns)
    return await _joined(bars, None)


class ReadRows(Protocol):
    """Reads one channel."""

    async def __call__(
        self,
        address: str,
        venue: str,
        symbols: SymbolNames = (),
        start_ns: int = 0,
        end_ns: int = 0,
    ) -> Columns:
        """Return all rows of the channel."""


def _reader(channel: Channel) -> ReadRows:
    async def read_rows(
        address: str,
        venue: str,
        symbols: SymbolNames = (),
        start_ns: int = 0,
        end_ns: int = 0,
    ) -> Columns:
        return await read(address, venue, channel, symbols, start_ns, end_ns)

    return read_rows


async def _joined(parts: AsyncGenerator[Columns, None], channel: Channel | None) -> Columns:
    async with aclosing(parts):
        found = [part async for part in parts]
    return Columns.joined(found) if found else no_rows(channel)


read_trades = _reader(types_pb2.CHANNEL_TRADES)
read_quotes = _reader(types_pb2.CHANNEL_QUOTES)
read_book = _reader(types_pb2.CHANNEL_BOOK)
"""All levels of all book updates. Each book begins with a snapshot; updates of ``book_epoch`` 0
belong to no book."""
read_tickers = _reader(types_pb2.CHANNEL_TICKERS)
read_marks = _reader(types_pb2.CHANNEL_MARKS)
read_candles = _reader(types_pb2.CHANNEL_CANDLES)
"""The candles that the venue computed."""
