"""Writes the batches of one venue's MarketData subscription to its streams."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh.wire.v1 import wire_pb2

from core.ingest.batch_continuity import VenueCursorTooLow, entries_for
from core.ingest.context import IngestContext
from core.ingest.failover import FailoverPlan, plan
from core.ingest.pending_entries import PendingEntries
from core.ingest.replica_monitor import ReplicaMonitor
from core.ingest.replicas import ActiveReplicaGauge, Replica, VenueReplicas
from kit.base import backoff, errors, rpc, telemetry
from kit.base.cursor import CHANNELS, START, Cursor, StreamKey, channel_name, gap_reason_name
from kit.base.errors import CursorExpired, StoreUnavailable, SubscriberTooSlow, VenueUnavailable
from kit.base.redis_commands import REDIS
from kit.marketdata.delivery.redis_streams import StreamAppendConflict, StreamEntry, positions_of

RETRY_SECONDS_MAX = 1.0
RUN_ENDS = (
    DecodeError,
    StoreUnavailable,
    StreamAppendConflict,
    VenueCursorTooLow,
    VenueUnavailable,
    grpc.aio.AioRpcError,
)

_SUBSCRIBE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"].methods_by_name["Subscribe"]
_log = telemetry.logger("ingest")


class VenueWriter:
    """Appends every batch of one venue to its streams, for as long as the venue is registered.

    It works in runs. A run reads the newest entries of the streams, subscribes after them, and
    appends until something fails: the venue, Redis, or the order of entries. The next run starts in
    the same way, so lost batches are read again.
    """

    def __init__(
        self,
        venue: str,
        replicas: VenueReplicas,
        read_gauge: ActiveReplicaGauge,
        context: IngestContext,
    ) -> None:
        self.venue = venue
        self.replicas = replicas
        self.listed = True
        """Whether the registry lists the venue. When it does not, the writer ends with its
        subscription."""
        self._read_gauge = read_gauge
        self._streams = context.streams
        self._memory = context.memory
        self._settings = context.settings
        self._meter = context.meter
        self._degraded = context.degraded
        self._clock = context.clock
        self._keys = [StreamKey(venue, channel) for channel in CHANNELS]
        self._registered: set[StreamKey] = set()
        self._expired: set[StreamKey] = set()
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        self._published_time_ns = 0
        self._current: Replica | None = None
        self._write_failed = False
        """Whether the last write failed: that Redis answers reads then does not make it well."""
        self._fails_over = False
        """Whether to read another replica at once, because the one that was read is lost."""

    async def run(self) -> None:
        """Start run after run until a run has ended and the venue is not listed."""
        try:
            while self.listed:
                await self._run_and_wait()
        finally:
            self._degraded.clear(self._about)
            self._read_gauge.clear(self.venue, self.replicas.instances)

    async def _run_and_wait(self) -> None:
        try:
            await self._run_once()
        except RUN_ENDS as error:
            self._run_ended(error)
        if not self._fails_over:
            await self._clock.sleep(next(self._waits))
        self._fails_over = False
        self._meter.reconnect()

    @property
    def _about(self) -> str:
        return f"venue {self.venue}"

    async def _run_once(self) -> None:
        newest = {key: await self._streams.last(key) or START for key in self._keys}
        await self._register(key for key, cursor in newest.items() if cursor != START)
        if not self._write_failed:
            self._degraded.clear(REDIS)
        instance = self._choose(max(cursor.epoch for cursor in newest.values()))
        failover = await plan(self._streams, newest, instance.epoch, self._expired)
        pending = PendingEntries(self._settings.pending_bytes_max)
        monitor = ReplicaMonitor(instance, self.replicas, self._settings.silence_s, self._clock)
        async with rpc.channel(instance.address, service_id=instance.service_id) as channel:
            # Not a task group: in Python 3.11, one that is cancelled while one of its tasks fails
            # loses the cancellation, and this writer would never end.
            run = _Run(channel, dict(newest), failover, pending, monitor)
            beside = [
                asyncio.create_task(_until_it_fails(work, pending))
                for work in (self._read(run), monitor.run(channel, newest))
            ]
            try:
                await self._write(run, newest)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.wait(beside)

    def _choose(self, newest_epoch: int) -> Replica:
        instance = self.replicas.choose(newest_epoch)
        before, self._current = self._current, instance
        if before is not None and before.service_id != instance.service_id:
            detail = {"venue": self.venue, "before": before.service_id, "now": instance.service_id}
            _log.warning("another replica of the venue is read", extra=detail)
        self._read_gauge.show(self.venue, instance, self.replicas.instances)
        return instance

    async def _read(self, run: "_Run") -> None:
        subscribe = rpc.raw_stream(run.channel, _SUBSCRIBE)
        call = subscribe(self._request(run.failover), metadata=[rpc.STREAM_WRITER])
        try:
            is_first = True
            async for response in call:
                run.monitor.received()
                if is_first:
                    is_first = False
                    self._degraded.clear(self._about)
                for batch in wire_pb2.BatchFrames.FromString(response).batches:
                    await run.pending.put(self._entries(run, batch))
                    # Waiting for Redis is not silence of the venue.
                    run.monitor.received()
        finally:
            call.cancel()
        raise VenueUnavailable("the venue ended the subscription", venue=self.venue)

    def _request(self, failover: FailoverPlan) -> market_data_pb2.SubscribeRequest:
        return market_data_pb2.SubscribeRequest(
            venue=self.venue,
            channels=CHANNELS,
            resume_after=[
                types_pb2.ChannelCursor(channel=key.channel, cursor=cursor.message())
                for key, cursor in failover.after.items()
            ],
            start_at=market_data_pb2.START_AT_EARLIEST,
            whole=failover.is_to_other_replica,
            delivery=types_pb2.Delivery(lossless=types_pb2.Lossless()),
        )

    def _entries(self, run: "_Run", batch: bytes) -> list[StreamEntry]:
        newest, failover = run.newest, run.failover
        header = wire_pb2.BatchHeader.FromString(batch)
        key = StreamKey(self.venue, header.channel)
        if key not in newest:
            raise VenueUnavailable(
                "the venue sent a channel that was not subscribed to", venue=self.venue
            )
        now_ns = self._clock.time_ns()
        between: list[StreamEntry] = []
        if failover.is_active:
            between = failover.entries(key, Cursor.of(header.cursor), now_ns)
            if between:
                newest[key] = between[-1].cursor
            batch = failover.drop_known(key, header, batch)
        entries = entries_for(key, newest[key], header, batch, now_ns)
        self._expired.discard(key)
        if not entries:
            self._meter.count("duplicate_batches_total")
            return entries
        newest[key] = entries[-1].cursor
        run.unwritten.append(_UnwrittenBatch.of(entries[-1], header, has_hole=len(entries) > 1))
        return between + entries

    def _count_written(self, run: "_Run", entries: Sequence[StreamEntry]) -> None:
        """Count what is in the streams now. A batch that is read again is counted once."""
        for entry in entries:
            if run.unwritten and run.unwritten[0].entry is entry:
                batch = run.unwritten.popleft()
                self._meter.batch(channel_name(entry.key.channel), batch.rows)
                for reason in batch.gap_reasons:
                    self._meter.gap(gap_reason_name(reason))
                self._published_time_ns = batch.published_time_ns
        self._meter.lag(self._clock.time_ns() - self._published_time_ns)

    def _run_ended(self, error: Exception) -> None:
        match error:
            case StoreUnavailable():
                self._degraded.report(REDIS, error.message)
            case StreamAppendConflict():
                _log.info("another process has written to the stream", extra={"detail": str(error)})
            case grpc.aio.AioRpcError():
                self._subscription_ended(error)
            case VenueUnavailable():
                self._replica_failed()
                self._degraded.report(self._about, str(error))
            case _:
                self._degraded.report(self._about, str(error))

    def _replica_failed(self) -> None:
        """The replica that was read is lost; another one may be available."""
        if self._current is not None:
            self._fails_over = self.replicas.failed(self._current)

    def _subscription_ended(self, error: grpc.aio.AioRpcError) -> None:
        reason = errors.reason_of(error)
        if reason == CursorExpired.reason:
            self._cursor_expired(error)
            return
        _log.info(
            "subscription ended",
            extra={"venue": self.venue, "reason": reason, "detail": error.details()},
        )
        if reason != SubscriberTooSlow.reason:
            self._replica_failed()
            self._degraded.report(self._about, error.details() or error.code().name)

    def _cursor_expired(self, error: grpc.aio.AioRpcError) -> None:
        """Read that channel from its earliest batch in the next run, with a gap before it."""
        info = errors.error_info(error)
        metadata = info.metadata if info is not None else {}
        _log.warning("cursor expired", extra={"venue": self.venue, **metadata})
        if metadata.get("why") == "other_epoch":
            # The cursor is of a previous process; another replica may continue it.
            self._replica_failed()
            if self._fails_over:
                return
        named = {key for key in self._keys if channel_name(key.channel) == metadata.get("channel")}
        if not named or metadata.get("why") == "other_epoch":
            # The venue was restarted, and with it all of its channels.
            named = set(self._keys)
        self._expired |= named
        # The venue is available; only the cursor was wrong.
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)

    async def _write(self, run: "_Run", newest: dict[StreamKey, Cursor]) -> None:
        is_first = True
        while True:
            entries = await run.pending.take(self._settings.append_bytes_max)
            await self._memory.wait()
            await self._register(entry.key for entry in entries)
            self._write_failed = True
            await self._streams.append_after(newest, entries)
            self._write_failed = False
            newest.update(positions_of(entries))
            if is_first:
                is_first = False
                self._degraded.clear(REDIS)
                self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
            self._memory.fill(sum(len(entry.batch) for entry in entries))
            self._count_written(run, entries)

    async def _register(self, keys: Iterable[StreamKey]) -> None:
        """Register streams on their first entry; a venue does not have every channel."""
        for key in set(keys) - self._registered:
            await self._streams.register(key)
            self._registered.add(key)


@dataclass(frozen=True, slots=True)
class _Run:
    """The state of one run of a writer."""

    channel: grpc.aio.Channel
    newest: dict[StreamKey, Cursor]
    """Cursors after all that was read is written."""
    failover: FailoverPlan
    pending: PendingEntries
    monitor: ReplicaMonitor
    unwritten: deque["_UnwrittenBatch"] = field(default_factory=deque)
    """Of the entries in ``pending`` and of those that are being written, in their order."""


@dataclass(frozen=True, slots=True)
class _UnwrittenBatch:
    """The figures of a batch, which are counted when its entry is written."""

    entry: StreamEntry
    rows: int
    gap_reasons: Sequence[types_pb2.GapReason.ValueType]
    published_time_ns: int

    @classmethod
    def of(
        cls, entry: StreamEntry, header: wire_pb2.BatchHeader, *, has_hole: bool
    ) -> "_UnwrittenBatch":
        """``has_hole``: a gap is written before the batch."""
        columns = header.WhichOneof("columns")
        rows = len(getattr(header, columns).instrument) if columns else 0
        reasons = [gap.reason for gap in header.gaps]
        if has_hole:
            reasons.append(types_pb2.GAP_REASON_CURSOR_EXPIRED)
        return cls(entry, rows, reasons, header.published_time_ns)


async def _until_it_fails(work: Coroutine[Any, Any, None], pending: PendingEntries) -> None:
    """Run ``work``; its error ends ``pending`` after the entries read before it."""
    try:
        await work
    except Exception as error:
        pending.end(error)
