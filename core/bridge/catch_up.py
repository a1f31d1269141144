"""From a cursor to the newest entry, and from there on live: without a hole, without a double."""

from collections.abc import AsyncIterator, Iterator, Sequence

from core.bridge.entries import receive
from core.bridge.selection import Selection
from core.bridge.tail import Tail
from kit.base.clock import Clock
from kit.base.cursor import START, Cursor, StreamKey, channel_name
from kit.base.errors import CursorExpired
from kit.marketdata.delivery.stream_continuity import goes_on, joins
from kit.marketdata.delivery.streams import RedisStreams, StreamEntry
from kit.marketdata.delivery.subscription import (
    LosslessBuffer,
    Publication,
    Subscription,
    SymbolFilter,
    responses_of,
)

PAGE_ENTRIES_MAX = 50
"""Per stream."""
BLOCK_MS = 1_000
"""How long a page may wait: a Redis that has lost its end gets it again from ingest."""


class CatchUp:
    """Reads the streams on behalf of one subscriber, page by page, at the pace of that subscriber.

    It has caught up when a page reaches what the tail has handed out: then the subscriber joins
    those whom the tail serves, from the entry after its own last one. As nothing can happen between
    the look at the tail and the joining, no entry falls between.
    """

    def __init__(
        self, streams: RedisStreams, tail: Tail, wishes: Sequence[Selection], clock: Clock
    ) -> None:
        self._streams = streams
        self._tail = tail
        self._clock = clock
        self._symbols: dict[StreamKey, SymbolFilter] = {wish.key: wish.symbols for wish in wishes}
        self._positions: dict[StreamKey, Cursor] = {
            wish.key: tail.position(wish.key) if wish.resume_after is None else wish.resume_after
            for wish in wishes
        }
        self._unseen = {wish.key for wish in wishes if wish.resume_after not in (None, START)}
        """Streams of which no entry was read yet: their position is what the subscriber says."""

    async def responses(
        self, subscription: Subscription, mailbox: LosslessBuffer
    ) -> AsyncIterator[bytes]:
        """Messages up to the newest entry. Before the last ones the mailbox joins every channel.

        Raises CursorExpired, StoreUnavailable.
        """
        await self._refuse_ahead()
        page: list[Publication] = []
        while not self._has_reached_tail():
            for response in responses_of(self._frames(page)):
                yield response
            entries = await self._streams.read(self._positions, PAGE_ENTRIES_MAX, BLOCK_MS)
            page = [await self._move_over(entry) for entry in entries]
        for key, cursor in self._positions.items():
            subscription.join(key, mailbox, self._symbols[key], cursor)
        for response in responses_of(self._frames(page)):
            yield response

    def _has_reached_tail(self) -> bool:
        return all(cursor >= self._tail.position(key) for key, cursor in self._positions.items())

    def _frames(self, page: list[Publication]) -> Iterator[bytes]:
        for publication in page:
            framed = publication.framed_for(self._symbols[publication.key])
            if framed is not None:
                yield framed

    async def _move_over(self, entry: StreamEntry) -> Publication:
        """Note that it was read, and refuse one that does not join: entries were trimmed."""
        received = receive(entry, self._clock.time_ns())
        position = self._positions[entry.key]
        same_epoch = position.epoch == entry.cursor.epoch
        follows = joins(position, entry.cursor, received.header)
        if entry.key in self._unseen and not same_epoch and not goes_on(position, received.header):
            # The first batch of an epoch follows any other; whether that one was the last of its
            # own epoch only the stream can tell.
            follows = follows and await self._streams.holds(entry.key, position)
        if not follows:
            why = "too_old" if same_epoch else "other_epoch"
            raise await self._expired(entry.key, position, why)
        self._unseen.discard(entry.key)
        self._positions[entry.key] = entry.cursor
        return received.publication

    async def _refuse_ahead(self) -> None:
        for key, cursor in self._positions.items():
            if cursor > self._tail.position(key):
                newest = await self._streams.last(key)
                if newest is None or cursor > newest:
                    raise await self._expired(key, cursor, "ahead")

    async def _expired(self, key: StreamKey, cursor: Cursor, why: str) -> CursorExpired:
        return CursorExpired(
            f"cursor {cursor} of {channel_name(key.channel)} is not held: {why}",
            venue=key.venue,
            channel=channel_name(key.channel),
            cursor=cursor,
            earliest=await self._streams.first(key) or "",
            why=why,
        )
