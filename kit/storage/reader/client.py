"""Reads columns from History."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from kit.base import rpc
from kit.base.cursor import Channel
from kit.storage.reader.columns import Columns, no_rows, of_bars, of_batch


async def stream(
    address: str,
    venue: str,
    channel: Channel,
    symbols: str | Sequence[str] = (),
    start_ns: int = 0,
    end_ns: int = 0,
) -> AsyncGenerator[Columns, None]:
    """Rows in parts, as they arrive. Without symbols, rows of all instruments."""
    wanted = [symbols] if isinstance(symbols, str) else symbols
    time_range = history_pb2.TimeRange(start_time_ns=start_ns, end_time_ns=end_ns)
    request = history_pb2.ReadRequest(
        venue=venue, channel=channel, symbols=wanted, range=time_range
    )
    async with rpc.channel(address) as connection:
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
    """Bars in parts; with ``as_of_ns`` the revisions current at that time."""
    request = history_pb2.ReadBarsRequest(
        venue=venue,
        symbol=symbol,
        interval=interval,
        range=history_pb2.TimeRange(start_time_ns=start_ns, end_time_ns=end_ns),
        as_of_time_ns=as_of_ns,
    )
    async with rpc.channel(address) as connection:
        async for answer in history_pb2_grpc.HistoryStub(connection).ReadBars(request):
            yield of_bars(symbol, answer.bars)


async def read(
    address: str,
    venue: str,
    channel: Channel,
    symbols: str | Sequence[str] = (),
    start_ns: int = 0,
    end_ns: int = 0,
) -> Columns:
    """All rows of a channel."""
    async with aclosing(stream(address, venue, channel, symbols, start_ns, end_ns)) as parts:
        return _whole([part async for part in parts], channel)


async def read_bars(
    address: str,
    venue: str,
    symbol: str,
    interval: str,
    start_ns: int = 0,
    end_ns: int = 0,
    as_of_ns: int = 0,
) -> Columns:
    """All bars of one instrument and interval."""
    bars = stream_bars(address, venue, symbol, interval, start_ns, end_ns, as_of_ns)
    async with aclosing(bars) as parts:
        return _whole([part async for part in parts], None)


async def read_trades(
    address: str, venue: str, symbols: str | Sequence[str] = (), start_ns: int = 0, end_ns: int = 0
) -> Columns:
    return await read(address, venue, types_pb2.CHANNEL_TRADES, symbols, start_ns, end_ns)


async def read_quotes(
    address: str, venue: str, symbols: str | Sequence[str] = (), start_ns: int = 0, end_ns: int = 0
) -> Columns:
    return await read(address, venue, types_pb2.CHANNEL_QUOTES, symbols, start_ns, end_ns)


async def read_book(
    address: str, venue: str, symbols: str | Sequence[str] = (), start_ns: int = 0, end_ns: int = 0
) -> Columns:
    """All levels of all book updates. Each book begins with a snapshot; updates of ``book_epoch`` 0
    belong to no book."""
    return await read(address, venue, types_pb2.CHANNEL_BOOK, symbols, start_ns, end_ns)


async def read_tickers(
    address: str, venue: str, symbols: str | Sequence[str] = (), start_ns: int = 0, end_ns: int = 0
) -> Columns:
    return await read(address, venue, types_pb2.CHANNEL_TICKERS, symbols, start_ns, end_ns)


async def read_marks(
    address: str, venue: str, symbols: str | Sequence[str] = (), start_ns: int = 0, end_ns: int = 0
) -> Columns:
    return await read(address, venue, types_pb2.CHANNEL_MARKS, symbols, start_ns, end_ns)


async def read_candles(
    address: str, venue: str, symbols: str | Sequence[str] = (), start_ns: int = 0, end_ns: int = 0
) -> Columns:
    """All candles that the venue computed."""
    return await read(address, venue, types_pb2.CHANNEL_CANDLES, symbols, start_ns, end_ns)


def _whole(parts: Sequence[Columns], channel: Channel | None) -> Columns:
    return Columns.joined(parts) if parts else no_rows(channel)
