"""Writes the streams of repairs; the only writer."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.repair.record_reader import TradedInstrument
from core.repair.trade_merge import ExactTrade
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.cursor import CHANNEL_REPAIRS, START, Cursor, StreamKey
from kit.marketdata.codec import encode
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamAppendConflict, StreamEntry
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import NumberColumn, SymbolColumn, TradeRows

TRADES_MAX = 2_000
"""In one entry."""

_log = telemetry.logger("repair.publisher")


class RepairPublisher:
    """Numbers and appends entries, each stream's after its newest. A run of the process is an
    epoch of its own, later than every one before it; so is what follows an end that Redis lost."""

    def __init__(self, streams: RedisStreams, clock: Clock) -> None:
        self._streams = streams
        self._clock = clock
        self._newest: dict[StreamKey, Cursor] = {}
        self._epochs: dict[StreamKey, int] = {}
        self._writing = asyncio.Lock()

    async def begin(self, venue: str) -> None:
        """Continue after what the stream of a venue holds now. From then on, what another process
        appends makes ``publish`` raise StreamAppendConflict."""
        key = StreamKey(venue, CHANNEL_REPAIRS)
        async with self._writing:
            self._forget(key)
            await self._begin(key)

    async def publish(
        self,
        instrument: TradedInstrument,
        trades: Sequence[ExactTrade],
        fills: Sequence[types_pb2.HoleFill] = (),
    ) -> Cursor:
        """Append trades of one instrument, then outcomes of its holes. Returns the last cursor.

        Raises StoreUnavailable, StreamAppendConflict, and NumberError for a trade that cannot be
        written.
        """
        key = StreamKey(instrument.venue, CHANNEL_REPAIRS)
        async with self._writing:
            newest = await self._begin(key)
            before, entries = newest, []
            for batch in self._batches(instrument, trades, fills):
                newest = self._next(key, newest)
                batch.cursor.CopyFrom(newest.message())
                entries.append(StreamEntry(key, newest, batch.SerializeToString()))
            try:
                await self._streams.append_after({key: before}, entries)
            except StreamAppendConflict as error:
                _log.warning("the stream has another end", extra={"detail": str(error)})
                self._forget(key)
                raise
            self._newest[key] = newest
            return newest

    async def close_gap(self, venue: str, fill: types_pb2.HoleFill) -> None:
        """Publish the outcome of a gap of all instruments. Raises as publish."""
        await self.publish(TradedInstrument(0, venue, "", text_ids=False), (), [fill])

    async def ends(self, venue: str) -> Cursor:
        """The newest entry that the stream holds or has held; START before the first."""
        return await self._streams.last(StreamKey(venue, CHANNEL_REPAIRS)) or START

    async def readers(self, venue: str) -> Mapping[str, Cursor]:
        """How far its consumers are."""
        return await self._streams.groups(StreamKey(venue, CHANNEL_REPAIRS))

    def _forget(self, key: StreamKey) -> None:
        self._newest.pop(key, None)
        self._epochs.pop(key, None)

    async def _begin(self, key: StreamKey) -> Cursor:
        if key not in self._newest:
            newest = await self._streams.last(key) or START
            now_ms = self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND
            await self._streams.register(key)
            self._epochs[key] = max(now_ms, newest.epoch + 1)
            self._newest[key] = newest
        return self._newest[key]

    def _next(self, key: StreamKey, newest: Cursor) -> Cursor:
        epoch = self._epochs[key]
        return Cursor(epoch, newest.sequence + 1 if newest.epoch == epoch else 1)

    def _batches(
        self,
        instrument: TradedInstrument,
        trades: Sequence[ExactTrade],
        fills: Sequence[types_pb2.HoleFill],
    ) -> Iterable[Batch]:
        now_ns = self._clock.time_ns()
        starts = range(0, max(len(trades), 1), TRADES_MAX)
        for start in starts:
            part = trades[start : start + TRADES_MAX]
            batch = Batch(venue=instrument.venue, channel=CHANNEL_REPAIRS, published_time_ns=now_ns)
            if part:
                draft = encode.rows(_rows(instrument, part, now_ns))
                batch.MergeFromString(draft.columns)
                batch.instruments.extend(draft.instruments)
            if start == starts[-1]:
                batch.fills.extend(fills)
            yield batch


def _rows(
    instrument: TradedInstrument, trades: Sequence[ExactTrade], received_time_ns: int
) -> TradeRows:
    count = len(trades)
    texts = [trade.trade_id for trade in trades]
    ids = [0] * count if instrument.text_ids else list(map(int, texts))
    return TradeRows(
        symbols=SymbolColumn.of([instrument.symbol] * count),
        price=NumberColumn.parse([f"{trade.price:f}" for trade in trades]),
        size=NumberColumn.parse([f"{trade.size:f}" for trade in trades]),
        side=np.array([trade.side for trade in trades], dtype=np.int64),
        venue_time_ns=np.array([trade.time_ns for trade in trades], dtype=np.int64),
        received_time_ns=np.full(count, received_time_ns, dtype=np.int64),
        trade_id=np.array(ids, dtype=np.int64),
        trade_id_text=texts if instrument.text_ids else None,
    )
