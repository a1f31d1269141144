"""The published batches of a play, in one order for all channels.

A venue's hub (``kit.connector.host.hub``) has a ring per channel and drops the oldest batches,
because an exchange does not wait. A play waits: no batch is dropped before every reader has taken
it, and the order between channels is part of the play.

Paper accounts follow the log inside the process. The play waits for followers too, but does not run
for them alone: while no reader is connected, batches are kept for the next one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice

from kit.base.cursor import CHANNELS, Channel, Cursor, StreamKey, channel_name, gap_reason_name
from kit.base.errors import CursorExpired, TooManySubscribers, VenuemeshError
from kit.base.telemetry import Meter
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.delivery.subscription import RESPONSE_BYTES_MAX, Publication, SymbolFilter
from kit.marketdata.model.batches import Batch

READERS_MAX = 64


class PlayLog:
    """The newest batches of a play, and its readers."""

    def __init__(self, venue_id: str, epoch: int, bytes_max: int, meter: Meter) -> None:
        self.venue_id = venue_id
        self.epoch = epoch
        self._bytes_max = bytes_max
        self._meter = meter
        self._keys = {channel: StreamKey(venue_id, channel) for channel in CHANNELS}
        self._sequences = dict.fromkeys(CHANNELS, 0)
        self._first = dict.fromkeys(CHANNELS, 1)
        """Sequence of the first held batch, by channel."""
        self._held: deque[Publication] = deque()
        self._gone = 0
        """Number of batches before the first held one."""
        self._held_bytes = 0
        self._bytes_ever = 0
        self._readers: set[LogReader] = set()
        self._followers: set[LogReader] = set()
        self._awaited: list[tuple[Mapping[Channel, Cursor], Callable[[], None]]] = []
        self._left_at = 0, 0
        """Position of the reader that left last: batches, bytes."""
        self._room = asyncio.Event()
        self._end: VenuemeshError | None = None

    def publish(
        self, channel: Channel, draft: BatchDraft, published_time_ns: int, *, again: bool = False
    ) -> None:
        """Assign a cursor to a batch, hold it and wake the readers. Does nothing after ``end``.
        ``again``: the batch is repeated, for readers that have it already."""
        if self._end is not None:
            return
        self._sequences[channel] += 1
        cursor = self.cursor(channel)
        head = Batch(
            venue=self.venue_id,
            channel=channel,
            cursor=cursor.message(),
            instruments=draft.instruments,
            gaps=draft.gaps,
            published_time_ns=published_time_ns,
        )
        batch = head.SerializeToString() + draft.columns
        self._held.append(Publication(self._keys[channel], cursor, batch))
        self._held_bytes += len(batch)
        self._bytes_ever += len(batch)
        self._meter.batch(channel_name(channel), draft.events)
        for gap in draft.gaps:
            self._meter.gap(gap_reason_name(gap.reason))
        for follower in self._followers:
            follower.published(cursor, channel, again=again)
        self._wake()
        self._let_go()

    def cursor(self, channel: Channel) -> Cursor:
        """Return the cursor of the last batch of a channel; sequence 0 before the first."""
        return Cursor(self.epoch, self._sequences[channel])

    def start_epoch(self, epoch: int) -> None:
        """Use another epoch, before anything was published."""
        self.epoch = epoch
        self._awaited.clear()
        for follower in self._followers:
            follower.begin_anew()

    async def room(self) -> None:
        """Wait until the slowest reader is less than half of the bound behind."""
        while self._unread_bytes() > self._bytes_max // 2:
            self._room.clear()
            await self._room.wait()

    def reader(
        self,
        resume_after: Mapping[Channel, Cursor],
        earliest: Iterable[Channel],
        latest: Iterable[Channel],
        symbols: SymbolFilter,
    ) -> "LogReader":
        """Add a reader of some channels, each from a cursor, from the earliest batch or from now. A
        cursor may be ahead of the play after a restart; the play will reach it.

        Raises CursorExpired when a cursor is not held, TooManySubscribers.
        """
        if len(self._readers) >= READERS_MAX:
            raise TooManySubscribers("the play has the most readers allowed", limit=READERS_MAX)
        after = {channel: self._checked(channel, at) for channel, at in resume_after.items()}
        after |= dict.fromkeys(earliest, 0)
        after |= {channel: self._sequences[channel] for channel in latest}
        reader = LogReader(self, after, symbols, self._gone, self._bytes_ever - self._held_bytes)
        self._readers.add(reader)
        return reader

    def follow(
        self,
        channels: Iterable[Channel],
        symbols: SymbolFilter,
        after: Mapping[Channel, Cursor],
        *,
        once: bool = False,
    ) -> "LogReader":
        """Add a follower of some channels, from now on, or from cursors that the play has not
        reached yet. ``once``: skip repeated batches."""
        positions = {}
        for channel in channels:
            at = after.get(channel, Cursor(self.epoch, 0))
            known = at.sequence if at.epoch == self.epoch else 0
            positions[channel] = max(known, self._sequences[channel])
        end = self._gone + len(self._held)
        follower = LogReader(self, positions, symbols, end, self._bytes_ever, once=once)
        self._followers.add(follower)
        return follower

    def when_at(self, reached: Mapping[Channel, Cursor], there: Callable[[], None]) -> None:
        """Call ``there`` once the play has reached these cursors, if it has not yet."""
        if self._is_before(reached):
            self._awaited.append((reached, there))

    def tell_arrivals(self) -> None:
        """Call waiting callbacks: a whole window has been published."""
        if not self._awaited:
            return
        awaited, self._awaited = self._awaited, []
        for reached, there in awaited:
            if self._is_before(reached):
                self._awaited.append((reached, there))
            else:
                there()

    def after(self, position: int) -> Iterator[Publication]:
        """Yield held batches after a position."""
        return islice(self._held, position - self._gone, None)

    def took(self) -> None:
        """Note that a reader has taken batches."""
        self._let_go()
        self._room.set()

    def leave(self, reader: "LogReader") -> None:
        """Remove a reader. What it has not read is kept for the next one."""
        if reader in self._readers:
            self._readers.discard(reader)
            self._left_at = max(self._left_at, (reader.position, reader.bytes))
        self._followers.discard(reader)
        self._room.set()

    def end(self, error: VenuemeshError) -> None:
        """Stop publishing. Readers take what is held, then end with this error."""
        self._end = error
        self._wake()

    def require_open(self) -> None:
        """Raise the error of ``end``, if it was called."""
        if self._end is not None:
            raise self._end

    def _is_before(self, reached: Mapping[Channel, Cursor]) -> bool:
        return any(
            at.epoch == self.epoch and at.sequence > self._sequences[channel]
            for channel, at in reached.items()
        )

    def _wake(self) -> None:
        for reader in (*self._readers, *self._followers):
            reader.wake()

    def _let_go(self) -> None:
        """Drop the oldest batches beyond the bound that all readers have taken."""
        taken, _ = self._slowest()
        while self._held_bytes > self._bytes_max and self._gone < taken:
            gone = self._held.popleft()
            self._gone += 1
            self._held_bytes -= gone.size
            self._first[gone.key.channel] = gone.cursor.sequence + 1

    def _slowest(self) -> tuple[int, int]:
        positions = [(reader.position, reader.bytes) for reader in self._readers]
        followed = [(reader.position, reader.bytes) for reader in self._followers]
        return min([min(positions, default=self._left_at), *followed])

    def _unread_bytes(self) -> int:
        _, taken_bytes = self._slowest()
        return self._bytes_ever - taken_bytes

    def _checked(self, channel: Channel, cursor: Cursor) -> int:
        why = ""
        if cursor.epoch != self.epoch:
            why = "other_epoch"
        elif cursor.sequence < self._first[channel] - 1:
            why = "too_old"
        if why:
            raise CursorExpired(
                f"cursor {cursor} of {channel_name(channel)} is not held: {why}",
                channel=channel_name(channel),
                cursor=cursor,
                earliest=Cursor(self.epoch, self._first[channel]),
                why=why,
            )
        return cursor.sequence


class LogReader:
    """One subscriber: its position, and the last batch it has of each channel."""

    def __init__(
        self,
        log: PlayLog,
        after: dict[Channel, int],
        symbols: SymbolFilter,
        position: int,
        count: int,
        *,
        once: bool = False,
    ) -> None:
        self.position = position
        """Number of batches it has passed."""
        self.bytes = count
        """Their bytes."""
        self.positions = after
        """Sequence of its last batch by channel; the play may not have reached it yet."""
        self._log = log
        self._once = once
        self._symbols = symbols
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Wake it: there is a new batch."""
        self._wake.set()

    def published(self, cursor: Cursor, channel: Channel, *, again: bool) -> None:
        if again and self._once and channel in self.positions:
            self.positions[channel] = cursor.sequence

    def begin_anew(self) -> None:
        """Start over: another play begins."""
        self.positions = dict.fromkeys(self.positions, 0)

    def leave(self) -> None:
        self._log.leave(self)

    def take(self) -> bytes:
        """Return new batches as the bytes of a SubscribeResponse, b"" if there are none."""
        parts: list[bytes] = []
        size = 0
        for publication in self._log.after(self.position):
            self.position += 1
            self.bytes += publication.size
            channel = publication.key.channel
            after = self.positions.get(channel)
            if after is None or publication.cursor.sequence <= after:
                continue
            self.positions[channel] = publication.cursor.sequence
            framed = publication.framed_for(self._symbols)
            if framed is not None:
                parts.append(framed)
                size += len(framed)
                if size >= RESPONSE_BYTES_MAX:
                    break
        self._log.took()
        return b"".join(parts)

    async def responses(self) -> AsyncIterator[bytes]:
        """Yield responses. Raises the error of ``PlayLog.end`` after the last one."""
        try:
            while True:
                self._wake.clear()
                response = self.take()
                if response:
                    yield response
                else:
                    self._log.require_open()
                    await self._wake.wait()
        finally:
            self._log.leave(self)
