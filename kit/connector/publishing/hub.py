"""The hub: one writer numbers batches, many readers follow at their own pace.

Each channel has a ring of its newest batches. A reader is only a position in the rings: it costs
the writer one wake-up, and it gets the batches of its channels in the order of publication.

An exchange does not wait, so a ring drops its oldest batches beyond a bound in bytes. A slow reader
delays nobody: when its position is no longer in the ring, it ends with its cursor. A recorded past
can wait (``keeps_unread``): its writer calls ``wait_until_read``, and no batch is dropped before
every reader has taken it.

Parts of the process itself, such as paper accounts, ``follow`` the hub. A follower is waited for
like a reader, but it is no audience: without a reader, batches are kept for the next one.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping

from kit.base.access.call_guard import streams_for_caller
from kit.base.clock import Clock
from kit.base.cursor import CHANNELS, Channel, Cursor, StreamKey, channel_name, gap_reason_name
from kit.base.errors import CursorExpired, SubscriberTooSlow, TooManySubscribers, VenuemeshError
from kit.base.telemetry import Meter
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.delivery.subscription import RESPONSE_BYTES_MAX, PublishedBatch, SymbolFilter
from kit.marketdata.model.batches import Batch

RING_BYTES_MAX = 16 * 1024 * 1024
READERS_MAX = 64
FRESH_BATCHES = 256
"""Batches per channel whose derived forms, made for one reader, are kept for the next."""
UNREAD_SHARE_MAX = 0.5
"""A writer that can wait does so while more than this share of a ring's bound is unread."""

Numbered = tuple[int, PublishedBatch]
"""A batch with its number among the batches of all channels."""


class BatchRing:
    """The newest batches of one channel, in order and without holes."""

    def __init__(self) -> None:
        self._held: dict[int, Numbered] = {}
        self.first = 1
        self.last = 0
        self.bytes = 0

    def append(self, number: int, publication: PublishedBatch) -> None:
        self.last = publication.cursor.sequence
        self._held[self.last] = number, publication
        self.bytes += publication.size
        aging = self._held.get(self.last - FRESH_BATCHES)
        if aging is not None:
            aging[1].age()

    def drop_first(self) -> None:
        _, publication = self._held.pop(self.first)
        self.bytes -= publication.size
        self.first += 1

    def after(self, sequence: int) -> Iterator[Numbered]:
        """Yield the held batches after this sequence."""
        return map(self._held.__getitem__, range(max(sequence + 1, self.first), self.last + 1))

    @property
    def first_number(self) -> int:
        """The number of the oldest batch among those of all channels."""
        return self._held[self.first][0]

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
        bytes_max: int = RING_BYTES_MAX,
        *,
        keeps_unread: bool = False,
    ) -> None:
        """``bytes_max`` is the bound of each ring. With ``keeps_unread`` it is the bound of all
        rings together, which unread batches may exceed, and a cursor may be ahead of the hub: a
        recorded past is published again after a restart, so the hub will reach it."""
        self.venue_id = venue_id
        self.epoch = epoch
        self._clock = clock
        self._meter = meter
        self._bytes_max = bytes_max
        self._keeps_unread = keeps_unread
        self._rings = {channel: BatchRing() for channel in CHANNELS}
        self._keys = {channel: StreamKey(venue_id, channel) for channel in CHANNELS}
        self._published = 0
        self._readers: set[HubReader] = set()
        self._followers: set[HubReader] = set()
        self._left_at: dict[Channel, int] = dict.fromkeys(CHANNELS, 0)
        self._has_read = asyncio.Event()
        self._end: VenuemeshError | None = None
        self.replica_cursors: dict[Channel, Cursor] = {}
        """By channel: published batches include all batches of the peer replica up to here."""
        self.is_disconnected: Callable[[], bool] | None = None
        """Says in each batch whether a connection is lost; None while there is no peer replica."""

    def publish(
        self, channel: Channel, draft: BatchDraft, published_time_ns: int | None = None
    ) -> Cursor:
        """Number a batch, keep it and wake its readers. Does nothing after the end. A recorded
        batch has a time of its own; otherwise it is published now."""
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
            published_time_ns=now_ns if published_time_ns is None else published_time_ns,
            peer_cursor=self.replica_cursors[channel].message()
            if channel in self.replica_cursors
            else None,
            unconnected=self.is_disconnected is not None and self.is_disconnected(),
        )
        batch = head.SerializeToString() + draft.columns
        self._published += 1
        ring.append(self._published, PublishedBatch(self._keys[channel], cursor, batch))
        if self._keeps_unread:
            self._drop_read()
        else:
            while ring.bytes > self._bytes_max and ring.first < ring.last:
                ring.drop_first()
        self._measure(channel, draft, now_ns if published_time_ns is None else 0)
        for reader in (*self._readers, *self._followers):
            reader.wake(channel)
        return cursor

    def cursor(self, channel: Channel) -> Cursor:
        """Cursor of the last batch of a channel; its sequence is 0 before the first."""
        return Cursor(self.epoch, self._rings[channel].last)

    def ring(self, channel: Channel) -> BatchRing:
        return self._rings[channel]

    def start_epoch(self, epoch: int) -> None:
        """Start a new epoch. Readers of the old one end, and their clients record a gap. Followers
        that cannot have missed a batch, because there was none, read on."""
        is_first = not any(ring.last for ring in self._rings.values())
        self.epoch = epoch
        if is_first:
            for follower in self._followers:
                follower.start_epoch(epoch)
        for channel, ring in self._rings.items():
            ring.clear()
            self._left_at[channel] = 0
            for reader in (*self._readers, *self._followers):
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
        if len(self._readers) >= streams_for_caller(READERS_MAX):
            raise TooManySubscribers("the venue serves no more readers", limit=READERS_MAX)
        positions = {channel: self._checked(channel, at) for channel, at in resume_after.items()}
        positions |= {channel: self._rings[channel].first - 1 for channel in earliest}
        positions |= {channel: self._rings[channel].last for channel in latest}
        reader = HubReader(self, positions, symbols)
        self._readers.add(reader)
        return reader

    def follow(
        self,
        channels: Collection[Channel],
        symbols: SymbolFilter,
        after: Mapping[Channel, Cursor] | None = None,
    ) -> "HubReader":
        """A follower of some channels: from now on, or from cursors that are ahead of the hub."""
        ahead = {
            channel: cursor.sequence
            for channel, cursor in (after or {}).items()
            if cursor.epoch == self.epoch
        }
        positions = {
            channel: max(ahead.get(channel, 0), self._rings[channel].last) for channel in channels
        }
        follower = HubReader(self, positions, symbols)
        self._followers.add(follower)
        return follower

    def end(self, error: VenuemeshError) -> None:
        """Publish nothing more. Each reader takes what is kept, and ends with this error."""
        self._end = error
        for reader in (*self._readers, *self._followers):
            for channel in CHANNELS:
                reader.wake(channel)

    def require_open(self) -> None:
        """Raises the error that the hub was ended with."""
        if self._end is not None:
            raise self._end

    def leave(self, reader: "HubReader") -> None:
        """Forget a reader. The position of the last one counts until another one reads."""
        if reader in self._readers:
            self._readers.discard(reader)
            for channel, ring in self._rings.items():
                position = min(reader.positions.get(channel, ring.last), ring.last)
                self._left_at[channel] = max(self._left_at[channel], position)
        self._followers.discard(reader)
        self.on_read()

    def unread_bytes_share(self) -> float:
        """The bytes that the slowest reader has not taken, over all channels, as a share of the
        bound. Without a reader, batches since the last one left count."""
        return sum(map(self._unread_bytes, CHANNELS)) / self._bytes_max

    async def wait_until_read(self) -> None:
        """Wait until readers have taken enough. A live feed cannot wait."""
        while self.unread_bytes_share() > UNREAD_SHARE_MAX:
            self._has_read.clear()
            await self._has_read.wait()

    def on_read(self) -> None:
        """A reader has taken batches."""
        self._has_read.set()

    def _unread_bytes(self, channel: Channel) -> float:
        ring = self._rings[channel]
        held = ring.last - ring.first + 1
        unread = min(ring.last - self._read_up_to(channel), held)
        return ring.bytes * (unread / held) if unread > 0 else 0.0

    def _read_up_to(self, channel: Channel) -> int:
        """The last batch of a channel that all its readers and followers have. Where others read,
        a channel without a reader counts as read."""
        last = self._rings[channel].last
        left_at = last if self._readers else self._left_at[channel]
        readers = (*self._readers, *self._followers)
        return min(left_at, *(reader.positions.get(channel, last) for reader in readers), last)

    def _drop_read(self) -> None:
        """Drop the oldest batches beyond the bound that all readers have."""
        while sum(ring.bytes for ring in self._rings.values()) > self._bytes_max:
            read = [
                ring
                for channel, ring in self._rings.items()
                if ring.first <= self._read_up_to(channel)
            ]
            if not read:
                return
            min(read, key=lambda ring: ring.first_number).drop_first()

    def _checked(self, channel: Channel, cursor: Cursor) -> int:
        ring = self._rings[channel]
        why = ""
        if cursor.epoch != self.epoch:
            why = "other_epoch"
        elif cursor.sequence > ring.last and not self._keeps_unread:
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
            self._meter.gap(gap_reason_name(gap.reason))
        if draft.received_time_ns and now_ns:
            age_ns = now_ns - draft.received_time_ns
            self._meter.lag(age_ns)


class HubReader:
    """One reader: a position per channel."""

    def __init__(self, hub: Hub, positions: dict[Channel, int], symbols: SymbolFilter) -> None:
        self.positions = positions
        """By channel, the sequence of its last batch, which the hub may not have reached yet."""
        self._hub = hub
        self._epoch = hub.epoch
        self._symbols = symbols
        self._wake = asyncio.Event()

    def wake(self, channel: Channel) -> None:
        """A batch was published on this channel."""
        if channel in self.positions:
            self._wake.set()

    def skip(self, channel: Channel, cursor: Cursor) -> None:
        """Do not read the batches of a channel up to this one."""
        if channel in self.positions:
            self.positions[channel] = max(cursor.sequence, self.positions[channel])

    def start_epoch(self, epoch: int) -> None:
        """Read a new epoch from its first batch."""
        self._epoch = epoch
        self.positions = dict.fromkeys(self.positions, 0)

    def take(self) -> bytes:
        """New batches as the bytes of a SubscribeResponse; b"" when there are none.

        Raises SubscriberTooSlow when a batch after its position is no longer kept.
        """
        unread: list[Iterator[Numbered]] = []
        for channel, position in self.positions.items():
            ring = self._hub.ring(channel)
            if position < ring.first - 1 or self._epoch != self._hub.epoch:
                raise self._too_slow(channel, position)
            if position < ring.last:
                unread.append(ring.after(position))
        parts: list[bytes] = []
        size = 0
        for _, publication in unread[0] if len(unread) == 1 else heapq.merge(*unread):
            self.positions[publication.key.channel] = publication.cursor.sequence
            framed = publication.framed_for(self._symbols)
            if framed is not None:
                parts.append(framed)
                size += len(framed)
                if size >= RESPONSE_BYTES_MAX:
                    break
        if unread:
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
