"""Recorded rows of one instrument, from a database or through the gateway of a mesh."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import columns_pb2, history_pb2, history_pb2_grpc

from kit.marketdata.model.batches import Batch
from kit.storage.archive.archive import Archive
from kit.storage.reader.columns import Columns, of_bars, of_batch

CHANNELS = {
    "trades": types_pb2.CHANNEL_TRADES,
    "quotes": types_pb2.CHANNEL_QUOTES,
    "book": types_pb2.CHANNEL_BOOK,
    "tickers": types_pb2.CHANNEL_TICKERS,
    "marks": types_pb2.CHANNEL_MARKS,
    "candles": types_pb2.CHANNEL_CANDLES,
}
BARS = "bars"
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class WantedRows:
    """Rows of one instrument with start_ns <= t < end_ns, in ns since the Unix epoch; 0 is open."""

    venue: str
    symbol: str
    channel: str
    """A name of CHANNELS, or BARS."""
    interval: str
    """Of bars."""
    start_ns: int
    end_ns: int


async def from_database(url: str, wanted: WantedRows) -> AsyncGenerator[Columns, None]:
    """Yield the rows in parts. Raises what Archive raises."""
    span = (wanted.start_ns, wanted.end_ns)
    archive = Archive(url, accepts_older_schema=True)
    try:
        if wanted.channel == BARS:
            bars = archive.bars(
                wanted.venue, wanted.symbol, wanted.interval, *span, rows_max=ROWS_AT_ONCE
            )
            async with aclosing(bars) as messages:
                async for message in messages:
                    columns = columns_pb2.BarColumns.FromString(message)
                    yield of_bars(wanted.symbol, columns)
            return
        batches = archive.batches(
            wanted.venue, CHANNELS[wanted.channel], [wanted.symbol], *span, rows_max=ROWS_AT_ONCE
        )
        async with aclosing(batches) as messages:
            async for message in messages:
                yield of_batch(Batch.FromString(message))
    finally:
        await archive.close()


async def from_gateway(
    channel: grpc.aio.Channel, wanted: WantedRows
) -> AsyncGenerator[Columns, None]:
    """Yield the rows in parts. Raises grpc.aio.AioRpcError."""
    stub = history_pb2_grpc.HistoryStub(channel)
    span = history_pb2.TimeRange(start_time_ns=wanted.start_ns, end_time_ns=wanted.end_ns)
    if wanted.channel == BARS:
        bars = history_pb2.ReadBarsRequest(
            venue=wanted.venue, symbol=wanted.symbol, interval=wanted.interval, range=span
        )
        async for part in stub.ReadBars(bars):
            yield of_bars(wanted.symbol, part.bars)
        return
    rows = history_pb2.ReadRequest(
        venue=wanted.venue, channel=CHANNELS[wanted.channel], symbols=[wanted.symbol], range=span
    )
    async for answer in stub.Read(rows):
        for batch in answer.batches:
            yield of_batch(batch)
