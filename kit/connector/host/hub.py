"""The hub: one writer numbers batches, many readers follow at their own pace.

Each channel has a ring that keeps the newest batches up to a bound in bytes. A reader is only a
position in the rings: it costs the writer one wake-up, and a slow reader delays nobody. A reader
whose position is no longer in the ring ends with its cursor.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.cursor import CHANNELS, Channel, Cursor, StreamKey, channel_name
from kit.base.errors import CursorExpired, SubscriberTooSlow, TooManySubscribers, VenuemeshError
from kit.base.telemetry import Meter
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.delivery.subscription import RESPONSE_BYTES_MAX, Publication, SymbolFilter
from kit.marketdata.model.batches import Batch

RING_BYTES_MAX = 16 * 1024 * 1024
READERS_MAX = 64
FRESH_BATCHES = 256
"""Batches per channel whose derived forms, made for one reader, are kept for the next."""


class Ring:
    """The newest batches of one channel, in order and without holes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: dict[int, Publication] = {}
        self.first = 1
        self.last = 0
        self.bytes = 0
        self.bytes_ever = 0

    def append(self, publication: Publication) -> None:
        """Add a batch; drop the oldest ones beyond the bound of bytes."""
        self.last = publication.cursor.sequence
        self._held[self.last] = publication
        self.bytes += publication.size
        self.bytes_ever += publication.size
        aging = self._held.get(self.last - FRESH_BATCHES)
        if aging is not None:
            aging.age()
        while self.bytes > self._bytes_max and self.first < self.last:
            self.bytes -= self._held.pop(self.first).size
            self.first += 1

    def after(self, sequence: int, bytes_max: int) -> Iterable[Publication]:
        """Batches after this sequence, up to a number of bytes but at least one if there is any."""
        size = 0
        for number in range(max(sequence + 1, self.first), self.last + 1):
            publication = self._held[number]
            size += publication.size
            yield publication
            if size >= bytes_max:
                return

    def clear(self) -> None:
        """Drop all batches and start again from sequence 1."""
        self._held.clear()
        self.first, self.last, self.bytes = 1, 0, 0


class Hub:
    """The rings of one venue, and their readers."""

    def __init__(
        self,
        venue_id: str,
        epoch: int,
        clock: Clock,
        meter: Meter,
        ring_bytes_max: int = RING_BYTES_MAX,
    ) -> None:
        self.venue_id = venue_id
        self.epoch = epoch
        self._clock = clock
        self._meter = meter
        self._ring_bytes_max = ring_bytes_max
        self._rings = {channel: Ring(ring_bytes_max) for channel in CHANNELS}
        self._keys = {channel: StreamKey(venue_id, channel) for channel in CHANNELS}
        self._readers: set[HubReader] = set()
        self._left_at: dict[Channel, int] = dict.fromkeys(CHANNELS, 0)
        self._has_read = asyncio.Event()
        self._end: VenuemeshError | None = None
        self.replica_cursors: dict[Channel, Cursor] = {}
        """By channel: published batches include all batches of the peer replica up to here."""
        self.is_disconnected: Callable[[], bool] | None = None
        """Says in each batch whether a connection is lost; None while there is no peer replica."""

    def publish(self, channel: Channel, draft: BatchDraft) -> Cursor:
        """Number a batch, keep it and wake its readers. Does nothing after the end."""
        if self._end is not None:
            return self.cursor(channel)
        ring = self._rings[channel]
        cursor = Cursor(self.epoch, ring.last + 1)
        now_ns = self._clock.time_ns()
        head = Batch(
            venue=self.venue_id,
            channel=channel,
            cursor=cursor.message(),
            instruments=draft.instruments,
            gaps=draft.gaps,
            published_time_ns=now_ns,
            twin_cursor=self.replica_cursors[channel].message()
            if channel in self.replica_cursors
            else None,
            unconnected=self.is_disconnected is not None and self.is_disconnected(),
        )
        batch = head.SerializeToString() + draft.columns
        ring.append(Publication(self._keys[channel], cursor, batch))
        self._measure(channel, draft, now_ns)
        for reader in self._readers:
            reader.wake(channel)
        return cursor

    def cursor(self, channel: Channel) -> Cursor:
        """Cursor of the last batch of a channel; its sequence is 0 before the first."""
        return Cursor(self.epoch, self._rings[channel].last)

    def ring(self, channel: Channel) -> Ring:
        """The ring of a channel."""
        return self._rings[channel]

    def start_epoch(self, epoch: int) -> None:
        """Start a new epoch: every reader of the old one ends, and its client records a gap."""
        self.epoch = epoch
        for channel, ring in self._rings.items():
            ring.clear()
            self._left_at[channel] = 0
            for reader in self._readers:
                reader.wake(channel)

    def reader(
        self,
        resume_after: Mapping[Channel, Cursor],
        earliest: Iterable[Channel],
        latest: Iterable[Channel],
        symbols: SymbolFilter,
    ) -> "HubReader":
        """A reader of some channels: each from a cursor, from the earliest batch, or from now.

        Raises CursorExpired when a cursor is not held, TooManySubscribers.
        """
        if len(self._readers) >= READERS_MAX:
            raise TooManySubscribers("the venue serves no more readers", limit=READERS_MAX)
        positions = {channel: self._checked(channel, at) for channel, at in resume_after.items()}
        positions |= {channel: self._rings[channel].first - 1 for channel in earliest}
        positions |= {channel: self._rings[channel].last for channel in latest}
        reader = HubReader(self, positions, symbols)
        self._readers.add(reader)
        return reader

    def end(self, error: VenuemeshError) -> None:
        """Publish nothing more. Each reader takes what is kept, and ends with this error."""
        self._end = error
        for reader in self._readers:
            for channel in CHANNELS:
                reader.wake(channel)

    def require_open(self) -> None:
        """Raises the error that the hub was ended with."""
        if self._end is not None:
            raise self._end

    def leave(self, reader: "HubReader") -> None:
        """Forget a reader. Its position counts until another one reads."""
        self._readers.discard(reader)
        for channel, position in reader.positions.items():
            self._left_at[channel] = max(self._left_at[channel], position)
        self.on_read()

    def unread_bytes_share(self) -> float:
        """The share, 0 to 1, of the fullest ring that its slowest reader has not taken.

        Without a reader, batches since the last one left count. A replay waits while this is high;
        a live feed cannot wait.
        """
        return max(self._unread_share(channel) for channel in CHANNELS)

    async def wait_until_read(self) -> None:
        """Wait until a reader takes a batch or leaves."""
        self._has_read.clear()
        await self._has_read.wait()

    def on_read(self) -> None:
        """A reader has taken batches."""
        self._has_read.set()

    def _unread_share(self, channel: Channel) -> float:
        ring = self._rings[channel]
        positions = [
            reader.positions[channel] for reader in self._readers if channel in reader.positions
        ]
        position = min(positions) if positions else self._left_at[channel]
        held = ring.last - ring.first + 1
        unread = min(ring.last - position, held)
        if not held or not unread:
            return 0.0
        return ring.bytes * (unread / held) / self._ring_bytes_max

    def _checked(self, channel: Channel, cursor: Cursor) -> int:
        ring = self._rings[channel]
        why = ""
        if cursor.epoch != self.epoch:
            why = "other_epoch"
        elif cursor.sequence > ring.last:
            why = "ahead"
        elif cursor.sequence < ring.first - 1:
            why = "too_old"
        if why:
            raise CursorExpired(
                f"cursor {cursor} of {channel_name(channel)} is not held: {why}",
                channel=channel_name(channel),
                cursor=cursor,
                earliest=Cursor(self.epoch, ring.first),
                why=why,
            )
        return cursor.sequence

    def _measure(self, channel: Channel, draft: BatchDraft, now_ns: int) -> None:
        self._meter.batch(channel_name(channel), draft.events)
        for gap in draft.gaps:
            self._meter.gap(
                types_pb2.GapReason.Name(gap.reason).removeprefix("GAP_REASON_").lower()
            )
        if draft.received_time_ns:
            age_ns = now_ns - draft.received_time_ns
            self._meter.lag(age_ns / NANOSECONDS_PER_MILLISECOND)


class HubReader:
    """One reader: a position per channel."""

    def __init__(self, hub: Hub, positions: dict[Channel, int], symbols: SymbolFilter) -> None:
        self.positions = positions
        self._hub = hub
        self._epoch = hub.epoch
        self._symbols = symbols
        self._wake = asyncio.Event()

    def wake(self, channel: Channel) -> None:
        """A batch was published on this channel."""
        if channel in self.positions:
            self._wake.set()

    def take(self) -> bytes:
        """New batches as the bytes of a SubscribeResponse; b"" when there are none.

        Raises SubscriberTooSlow when a batch after its position is no longer kept.
        """
        parts: list[bytes] = []
        for channel, position in self.positions.items():
            ring = self._hub.ring(channel)
            if position < ring.first - 1 or self._epoch != self._hub.epoch:
                raise self._too_slow(channel, position)
            for publication in ring.after(position, RESPONSE_BYTES_MAX):
                framed = publication.framed_for(self._symbols)
                if framed is not None:
                    parts.append(framed)
                self.positions[channel] = publication.cursor.sequence
        if parts:
            self._hub.on_read()
        return b"".join(parts)

    async def responses(self) -> AsyncIterator[bytes]:
        """Responses, each with the batches that came while the last one was being sent.

        Raises the error that the hub was ended with, once all batches are taken.
        """
        try:
            while True:
                self._wake.clear()
                response = self.take()
                if response:
                    yield response
                else:
                    self._hub.require_open()
                    await self._wake.wait()
        finally:
            self._hub.leave(self)

    def leave(self) -> None:
        self._hub.leave(self)

    def _too_slow(self, channel: Channel, position: int) -> SubscriberTooSlow:
        cursor = Cursor(self._epoch, position)
        return SubscriberTooSlow(
            f"the ring of {channel_name(channel)} has moved on past {cursor}",
            channel=channel_name(channel),
            cursor=cursor,
        )
