"""One venue: from its MarketData subscription to its streams."""

import asyncio
from collections.abc import Iterable

import grpc
from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh.wire.v1 import wire_pb2

from core.ingest.continuity import VenueBehind, entries_for
from core.ingest.pending import Pending
from core.ingest.room import Room
from core.ingest.settings import IngestSettings
from kit import backoff, errors, rpc, telemetry
from kit.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.cursor import CHANNELS, START, Cursor, StreamKey, channel_name, gap_reason_name
from kit.errors import CursorExpired, StoreUnavailable, SubscriberTooSlow, VenueUnavailable
from kit.streams import Entry, StreamMoved, Streams, positions_of
from kit.telemetry import Meter
from kit.troubles import Troubles

RETRY_SECONDS_MAX = 1.0
RUN_ENDS = (
    DecodeError,
    StoreUnavailable,
    StreamMoved,
    VenueBehind,
    VenueUnavailable,
    grpc.aio.AioRpcError,
)

_SUBSCRIBE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"].methods_by_name["Subscribe"]
_log = telemetry.logger("ingest")


class Feed:
    """Keeps the streams of one venue up to its newest batch, for as long as the venue is listed.

    It works in runs. A run asks the streams for their newest entries, subscribes after these, and
    appends until something fails: the venue, Redis, or the order of entries. Then the next run
    begins in the same way, so that whatever was lost on the way is read again.
    """

    def __init__(
        self,
        venue: str,
        address: str,
        streams: Streams,
        room: Room,
        settings: IngestSettings,
        meter: Meter,
        troubles: Troubles,
        clock: Clock,
    ) -> None:
        self.venue = venue
        self.address = address
        self.listed = True
        """Whether the registry knows the venue. When it has forgotten the venue, the feed goes on
        for as long as its subscription holds."""
        self._streams = streams
        self._room = room
        self._settings = settings
        self._meter = meter
        self._troubles = troubles
        self._clock = clock
        self._keys = [StreamKey(venue, channel) for channel in CHANNELS]
        self._registered: set[StreamKey] = set()
        self._expired: set[StreamKey] = set()
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        self._published_time_ns = 0

    async def run(self) -> None:
        """Run after run, until a run has ended and the venue is no longer listed."""
        while self.listed:
            try:
                await self._run_once()
            except RUN_ENDS as error:
                self._run_ended(error)
            await self._clock.sleep(next(self._waits))
            self._meter.reconnect()
        self._troubles.clear(self._about)

    @property
    def _about(self) -> str:
        return f"venue {self.venue}"

    async def _run_once(self) -> None:
        newest = {key: await self._streams.last(key) or START for key in self._keys}
        await self._register(key for key, cursor in newest.items() if cursor != START)
        self._troubles.clear("redis")
        pending = Pending(self._settings.pending_bytes_max)
        async with rpc.channel(self.address) as channel:
            # Not a task group: in Python 3.11, one that is cancelled while one of its tasks fails
            # forgets that it was cancelled, and this feed would never end.
            reader = asyncio.create_task(self._read_into(pending, channel, dict(newest)))
            try:
                await self._write(newest, pending)
            finally:
                reader.cancel()
                await asyncio.wait([reader])

    async def _read_into(
        self, pending: Pending, channel: grpc.aio.Channel, newest: dict[StreamKey, Cursor]
    ) -> None:
        """Read until it fails. The writer gets the error after what was read before it."""
        try:
            await self._read(channel, newest, pending)
        except Exception as error:
            pending.end(error)

    async def _read(
        self, channel: grpc.aio.Channel, newest: dict[StreamKey, Cursor], pending: Pending
    ) -> None:
        subscribe = rpc.raw_stream(channel, _SUBSCRIBE)
        call = subscribe(self._request(newest), metadata=[rpc.STREAM_WRITER])
        try:
            async for response in call:
                for batch in wire_pb2.BatchFrames.FromString(response).batches:
                    await pending.put(self._entries(newest, batch))
                self._troubles.clear(self._about)
        finally:
            call.cancel()
        raise VenueUnavailable("the venue ended the subscription", venue=self.venue)

    def _request(self, newest: dict[StreamKey, Cursor]) -> market_data_pb2.SubscribeRequest:
        return market_data_pb2.SubscribeRequest(
            venue=self.venue,
            channels=CHANNELS,
            resume_after=[
                types_pb2.ChannelCursor(channel=key.channel, cursor=cursor.message())
                for key, cursor in newest.items()
                if cursor != START and key not in self._expired
            ],
            start_at=market_data_pb2.START_AT_EARLIEST,
            delivery=types_pb2.Delivery(lossless=types_pb2.Lossless()),
        )

    def _entries(self, newest: dict[StreamKey, Cursor], batch: bytes) -> list[Entry]:
        header = wire_pb2.BatchHeader.FromString(batch)
        key = StreamKey(self.venue, header.channel)
        if key not in newest:
            raise VenueUnavailable("a batch came that was not asked for", venue=self.venue)
        entries = entries_for(key, newest[key], header, batch, self._clock.time_ns())
        self._expired.discard(key)
        if not entries:
            self._meter.count("duplicate_batches_total")
            return entries
        newest[key] = entries[-1].cursor
        self._count(key, header, len(entries) > 1)
        return entries

    def _count(self, key: StreamKey, header: wire_pb2.BatchHeader, hole: bool) -> None:
        columns = header.WhichOneof("columns")
        rows = len(getattr(header, columns).instrument) if columns else 0
        self._meter.batch(channel_name(key.channel), rows)
        for gap in header.gaps:
            self._meter.gap(gap_reason_name(gap.reason))
        if hole:
            self._meter.gap(gap_reason_name(types_pb2.GAP_REASON_CURSOR_EXPIRED))
        self._published_time_ns = header.published_time_ns

    def _run_ended(self, error: Exception) -> None:
        match error:
            case StoreUnavailable():
                self._troubles.report("redis", error.message)
            case StreamMoved():
                _log.info("someone else has written", extra={"detail": str(error)})
            case grpc.aio.AioRpcError():
                self._subscription_ended(error)
            case _:
                self._troubles.report(self._about, str(error))

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
            self._troubles.report(self._about, error.details() or error.code().name)

    def _cursor_expired(self, error: grpc.aio.AioRpcError) -> None:
        """The next run reads that channel from its earliest batch, and says what is missing."""
        info = errors.error_info(error)
        metadata = info.metadata if info is not None else {}
        _log.warning("cursor expired", extra={"venue": self.venue, **metadata})
        named = {key for key in self._keys if channel_name(key.channel) == metadata.get("channel")}
        if not named or metadata.get("why") == "other_epoch":
            # The venue was started anew, and all of its channels with it.
            named = set(self._keys)
        self._expired |= named
        # The venue is there; only the question was wrong.
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)

    async def _write(self, newest: dict[StreamKey, Cursor], pending: Pending) -> None:
        while True:
            entries = await pending.take(self._settings.append_bytes_max)
            await self._room.wait()
            await self._register(entry.key for entry in entries)
            await self._streams.append_after(newest, entries)
            newest.update(positions_of(entries))
            self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
            self._room.fill(sum(len(entry.batch) for entry in entries))
            age_ns = self._clock.time_ns() - self._published_time_ns
            self._meter.lag(age_ns / NANOSECONDS_PER_MILLISECOND)

    async def _register(self, keys: Iterable[StreamKey]) -> None:
        """Make these streams known; a venue does not have every channel."""
        for key in set(keys) - self._registered:
            await self._streams.register(key)
            self._registered.add(key)
