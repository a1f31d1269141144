"""Serves many readers from one writer: each is bounded, and none delays another.

A server keeps one ``Subscribers``. Its writer calls ``publish`` with each batch; each reader owns a
buffer that gathers batches until its stream sends the next message::

    with subscribers.admit() as subscriptions:
        buffer = LosslessBuffer(buffer_bytes_max)
        subscriptions.join(key, buffer, symbols)
        async for response in buffer.responses():
            yield response

A response is the bytes of a SubscribeResponse, whose only field is ``repeated MarketDataBatch
batches = 1``: the framed batches one after another. Batches that travel whole are never decoded,
and what must be made of one for some readers is made once, in its ``PublishedBatch``.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from venuemesh.marketdata.v1 import batch_pb2

from kit.base.access.call_guard import streams_for_caller
from kit.base.cursor import START, Cursor, StreamKey, channel_name
from kit.base.errors import SubscriberTooSlow, TooManySubscribers, VenuemeshError
from kit.marketdata.model import batches

RESPONSE_BYTES_MAX = 1024 * 1024
BATCHES_TAG = b"\x0a"
"""Field 1, length-delimited."""

SymbolFilter = frozenset[str]
ALL_SYMBOLS: SymbolFilter = frozenset()


def frame(batch: bytes) -> bytes:
    """A serialised batch as one element of SubscribeResponse.batches."""
    length = len(batch)
    prefix = bytearray(BATCHES_TAG)
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + batch


def responses_of(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Framed batches as few messages, none above RESPONSE_BYTES_MAX unless one batch alone is."""
    gathered: list[bytes] = []
    size = 0
    for framed in frames:
        if gathered and size + len(framed) > RESPONSE_BYTES_MAX:
            yield b"".join(gathered)
            gathered, size = [], 0
        gathered.append(framed)
        size += len(framed)
    if gathered:
        yield b"".join(gathered)


class PublishedBatch:
    """One batch on its way to many readers. Rings hold thousands, so what is made of a batch for
    its readers is kept while it is fresh only."""

    __slots__ = ("_framed", "_is_fresh", "_message", "_selected", "cursor", "framed", "key", "size")

    def __init__(self, key: StreamKey, cursor: Cursor, batch: bytes) -> None:
        self.key = key
        self.cursor = cursor
        self.framed = frame(batch)
        """The whole batch, framed."""
        self.size = len(batch)
        """Bytes of the batch."""
        self._is_fresh = True
        self._message: batch_pb2.MarketDataBatch | None = None
        self._selected: dict[SymbolFilter, batch_pb2.MarketDataBatch | None] | None = None
        self._framed: dict[SymbolFilter, bytes | None] | None = None

    def age(self) -> None:
        """Keep only the bytes from now on: few readers need an old batch."""
        self._is_fresh = False
        self._message = self._selected = self._framed = None

    @property
    def message(self) -> batch_pb2.MarketDataBatch:
        """The whole batch, decoded. Not to be changed."""
        message = self._message
        if message is None:
            message = batch_pb2.MarketDataBatch.FromString(self.framed[-self.size :])
            if self._is_fresh:
                self._message = message
        return message

    def select(self, symbols: SymbolFilter) -> batch_pb2.MarketDataBatch | None:
        """The rows and gaps of these symbols, or None without any. Not to be changed."""
        if not symbols:
            return self.message
        known = self._selected or {}
        if symbols in known:
            return known[symbols]
        selected = batches.select(self.message, symbols)
        if self._is_fresh:
            self._selected = known | {symbols: selected}
        return selected

    def framed_for(self, symbols: SymbolFilter) -> bytes | None:
        """The rows and gaps of these symbols, framed, or None without any."""
        if not symbols:
            return self.framed
        known = self._framed or {}
        if symbols in known:
            return known[symbols]
        selected = self.select(symbols)
        if selected is None:
            framed = None
        elif selected is self._message:
            framed = self.framed
        else:
            framed = frame(selected.SerializeToString())
        if self._is_fresh:
            self._framed = known | {symbols: framed}
        return framed


class SubscriberBuffer(Protocol):
    """Where a writer puts batches for one reader. Never waits."""

    def offer(self, publication: PublishedBatch, symbols: SymbolFilter) -> None:
        """Add the rows and gaps of these symbols; of all symbols when none is named."""

    def end(self, error: VenuemeshError) -> None:
        """Serve nothing more; the reader gets this error."""


class LosslessBuffer:
    """Every batch in order, as long as no more than ``buffer_bytes_max`` wait.

    A batch that does not fit ends the buffer with SubscriberTooSlow, which names the last batch
    that was handed out (an empty cursor: none was); what waited is let go, as the reader gets it
    again from that cursor. An empty buffer takes a batch of any size: otherwise a large one could
    never be delivered.
    """

    def __init__(self, buffer_bytes_max: int) -> None:
        self._buffer_bytes_max = buffer_bytes_max
        self._waiting: deque[tuple[StreamKey, Cursor, bytes]] = deque()
        self._last: tuple[StreamKey, Cursor] | None = None
        self._error: VenuemeshError | None = None
        self._wake = asyncio.Event()
        self.waiting_bytes = 0

    @property
    def ended(self) -> bool:
        """Whether further batches are ignored."""
        return self._error is not None

    def offer(self, publication: PublishedBatch, symbols: SymbolFilter = ALL_SYMBOLS) -> None:
        """Take what concerns these symbols, or end as too slow."""
        framed = publication.framed_for(symbols)
        if framed is not None:
            self.put(publication.key, publication.cursor, framed)

    def put(self, key: StreamKey, cursor: Cursor, framed: bytes) -> None:
        """Take one framed batch, or end as too slow."""
        if self._error is not None:
            return
        size = self.waiting_bytes + len(framed)
        if size > self._buffer_bytes_max and self._waiting:
            self.end(self._too_slow(key))
            return
        self._waiting.append((key, cursor, framed))
        self.waiting_bytes = size
        self._wake.set()

    def end(self, error: VenuemeshError) -> None:
        """Let go of what waits, and raise this in responses(). The first error stays."""
        if self._error is None:
            self._error = error
            self._waiting.clear()
            self.waiting_bytes = 0
            self._wake.set()

    def take(self) -> bytes:
        """What waits, up to RESPONSE_BYTES_MAX unless one batch alone is larger; b"" for nothing.

        Raises the error that the buffer was ended with.
        """
        if self._error is not None:
            raise self._error
        waiting = self._waiting
        frames: list[bytes] = []
        size = 0
        while waiting and (not frames or size + len(waiting[0][2]) <= RESPONSE_BYTES_MAX):
            key, cursor, framed = waiting.popleft()
            self._last = key, cursor
            frames.append(framed)
            size += len(framed)
        self.waiting_bytes -= size
        if not waiting:
            self._wake.clear()
        return b"".join(frames)

    async def responses(self) -> AsyncIterator[bytes]:
        """Messages for the reader's stream, until the buffer is ended; raises its error."""
        while True:
            await self._wake.wait()
            yield self.take()

    def _too_slow(self, key: StreamKey) -> SubscriberTooSlow:
        last_key, last_cursor = self._last or (key, "")
        return SubscriberTooSlow(
            f"the reader did not keep up: more than {self._buffer_bytes_max} bytes wait",
            venue=last_key.venue,
            channel=channel_name(last_key.channel),
            cursor=last_cursor,
        )


class Subscription:
    """The channels that one admitted reader has joined."""

    def __init__(
        self,
        by_key: "dict[StreamKey, dict[Subscription, _Membership]]",
        end: Callable[[], VenuemeshError | None],
    ) -> None:
        self._by_key = by_key
        self._end = end
        self._keys: list[StreamKey] = []

    def join(
        self,
        key: StreamKey,
        buffer: SubscriberBuffer,
        symbols: SymbolFilter = ALL_SYMBOLS,
        after: Cursor = START,
    ) -> None:
        """Deliver from the next batch on, but only batches after this cursor."""
        error = self._end()
        if error is not None:
            buffer.end(error)
        self._by_key.setdefault(key, {})[self] = _Membership(buffer, symbols, after)
        self._keys.append(key)

    def leave(self) -> None:
        for key in self._keys:
            memberships = self._by_key[key]
            del memberships[self]
            if not memberships:
                del self._by_key[key]
        self._keys.clear()


class _Membership:
    """The buffer and filter of one reader in one channel."""

    __slots__ = ("after", "buffer", "symbols")

    def __init__(self, buffer: SubscriberBuffer, symbols: SymbolFilter, after: Cursor) -> None:
        self.buffer = buffer
        self.symbols = symbols
        self.after = after


class Subscribers:
    """The readers of one server, up to a maximum."""

    def __init__(self, subscribers_max: int) -> None:
        self._subscribers_max = subscribers_max
        self._memberships: dict[StreamKey, dict[Subscription, _Membership]] = {}
        self._admitted: set[Subscription] = set()
        self._end: VenuemeshError | None = None

    def __len__(self) -> int:
        return len(self._admitted)

    def joined(self, key: StreamKey) -> int:
        """How many readers a channel has."""
        return len(self._memberships.get(key, ()))

    @contextmanager
    def admit(self) -> Iterator[Subscription]:
        """Admit one reader for as long as it reads. Raises TooManySubscribers."""
        if len(self._admitted) >= streams_for_caller(self._subscribers_max):
            raise TooManySubscribers(
                f"{self._subscribers_max} readers are being served", limit=self._subscribers_max
            )
        subscription = Subscription(self._memberships, lambda: self._end)
        self._admitted.add(subscription)
        try:
            yield subscription
        finally:
            subscription.leave()
            self._admitted.discard(subscription)

    def end(self, error: VenuemeshError) -> None:
        """End every buffer with this error, also those that join later."""
        self._end = error
        for memberships in self._memberships.values():
            for membership in memberships.values():
                membership.buffer.end(error)

    def publish(self, publication: PublishedBatch) -> None:
        """Offer a batch to every reader of its channel."""
        memberships = self._memberships.get(publication.key)
        if memberships is None:
            return
        for membership in memberships.values():
            if publication.cursor > membership.after:
                membership.buffer.offer(publication, membership.symbols)
