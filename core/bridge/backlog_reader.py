"""Serves a subscriber from its cursor up to the newest entry, then passes it to the tailer.

No entry is skipped or sent twice.
"""

from collections.abc import AsyncIterator, Iterator, Sequence

from core.bridge.entry_decoder import decode_entry
from core.bridge.stream_tailer import StreamTailer
from core.bridge.subscription_request import ChannelSelection
from kit.base.clock import Clock
from kit.base.cursor import START, Cursor, StreamKey, channel_name
from kit.base.errors import CursorExpired
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from kit.marketdata.delivery.stream_continuity import continues, joins
from kit.marketdata.delivery.subscription import (
    LosslessBuffer,
    PublishedBatch,
    Subscription,
    SymbolFilter,
    responses_of,
)

PAGE_ENTRIES_MAX = 50
"""Per stream."""
BLOCK_MS = 1_000
"""How long a page may wait: a Redis that has lost its end gets it again from ingest."""


class BacklogReader:
    """Reads the streams for one subscriber, page by page, at the pace of that subscriber.

    It has caught up when a page reaches the position of the tailer. The subscriber then joins the
    subscribers of the tailer, from the entry after its own last one. There is no await between the
    check and the joining, so no entry falls between.
    """

    def __init__(
        self,
        streams: RedisStreams,
        tailer: StreamTailer,
        selections: Sequence[ChannelSelection],
        clock: Clock,
    ) -> None:
        self._streams = streams
        self._tailer = tailer
        self._clock = clock
        self._symbols: dict[StreamKey, SymbolFilter] = {one.key: one.symbols for one in selections}
        self._positions: dict[StreamKey, Cursor] = {
            one.key: tailer.position(one.key) if one.resume_after is None else one.resume_after
            for one in selections
        }
        self._unseen = {one.key for one in selections if one.resume_after not in (None, START)}
        """Streams without a read entry: their position is the subscriber's cursor."""

    async def responses(
        self, subscription: Subscription, buffer: LosslessBuffer
    ) -> AsyncIterator[bytes]:
        """Yield messages up to the newest entry. The buffer joins each channel before the last.

        Raises CursorExpired, StoreUnavailable.
        """
        await self._reject_cursors_ahead()
        page: list[PublishedBatch] = []
        while not self._has_reached_tail():
            for response in responses_of(self._frames(page)):
                yield response
            entries = await self._streams.read(self._positions, PAGE_ENTRIES_MAX, BLOCK_MS)
            page = [await self._move_over(entry) for entry in entries]
        for key, cursor in self._positions.items():
            subscription.join(key, buffer, self._symbols[key], cursor)
        for response in responses_of(self._frames(page)):
            yield response

    def _has_reached_tail(self) -> bool:
        return all(cursor >= self._tailer.position(key) for key, cursor in self._positions.items())

    def _frames(self, page: list[PublishedBatch]) -> Iterator[bytes]:
        for publication in page:
            framed = publication.framed_for(self._symbols[publication.key])
            if framed is not None:
                yield framed

    async def _move_over(self, entry: StreamEntry) -> PublishedBatch:
        """Move the position to an entry. Raises CursorExpired when it does not join."""
        decoded = decode_entry(entry, self._clock.time_ns())
        position = self._positions[entry.key]
        same_epoch = position.epoch == entry.cursor.epoch
        follows = joins(position, entry.cursor, decoded.header)
        if entry.key in self._unseen and not same_epoch and not continues(position, decoded.header):
            # The first batch of an epoch follows any other; whether that one was the last of its
            # own epoch only the stream can tell.
            follows = follows and await self._streams.holds(entry.key, position)
        if not follows:
            why = "too_old" if same_epoch else "other_epoch"
            raise await self._expired(entry.key, position, why)
        self._unseen.discard(entry.key)
        self._positions[entry.key] = entry.cursor
        return decoded.publication

    async def _reject_cursors_ahead(self) -> None:
        for key, cursor in self._positions.items():
            if cursor > self._tailer.position(key):
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
