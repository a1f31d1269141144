"""Serves a reader the newest state at an interval: the buffer of conflated subscriptions."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import StreamKey
from kit.base.errors import VenuemeshError
from kit.marketdata.delivery.conflated_state import (
    BookSource,
    ConflatedBook,
    ConflatedRows,
    ConflatedTrades,
)
from kit.marketdata.delivery.subscription import PublishedBatch, SymbolFilter, frame, responses_of
from kit.marketdata.model.batches import Batch

State = ConflatedBook | ConflatedRows | ConflatedTrades


class Conflator:
    """The states of all channels that one reader follows."""

    def __init__(self, books: BookSource, book_depth: int, trades_max: int) -> None:
        self._books = books
        self._book_depth = book_depth
        self._trades_max = trades_max
        self._states: dict[StreamKey, State] = {}

    @property
    def waiting(self) -> bool:
        """Whether there is anything to send."""
        return any(state.waiting for state in self._states.values())

    @property
    def urgent(self) -> bool:
        """Whether there is something that must not wait for the interval."""
        return any(
            isinstance(state, ConflatedBook) and state.urgent for state in self._states.values()
        )

    def add(self, publication: PublishedBatch, symbols: SymbolFilter) -> None:
        """The next batch of a channel."""
        self._state(publication.key).add(publication, symbols)

    def book_changed(self, key: StreamKey, symbol: str) -> None:
        """A book is there, or is there again, without a batch that says so."""
        state = self._state(key)
        if isinstance(state, ConflatedBook):
            state.changed(symbol)

    def take(self) -> Iterator[Batch]:
        """The newest state of what has changed."""
        for state in self._states.values():
            if state.waiting:
                yield from state.take()

    def take_urgent(self) -> Iterator[Batch]:
        """Only what must not wait."""
        for state in self._states.values():
            if isinstance(state, ConflatedBook):
                yield from state.take_gaps()

    def _state(self, key: StreamKey) -> State:
        if key not in self._states:
            self._states[key] = self._new_state(key)
        return self._states[key]

    def _new_state(self, key: StreamKey) -> State:
        match key.channel:
            case types_pb2.CHANNEL_BOOK:
                return ConflatedBook(key, self._books, self._book_depth)
            case types_pb2.CHANNEL_TRADES:
                return ConflatedTrades(key, self._trades_max)
        return ConflatedRows(key)


class ConflatedBuffer:
    """Sends the first change at once, and then at most one state per interval."""

    def __init__(self, conflator: Conflator, interval_seconds: float) -> None:
        self._conflator = conflator
        self._interval_seconds = interval_seconds
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._error: VenuemeshError | None = None

    def offer(self, publication: PublishedBatch, symbols: SymbolFilter) -> None:
        """Take what concerns these symbols."""
        self._conflator.add(publication, symbols)
        self._wake()

    def book_changed(self, key: StreamKey, symbol: str) -> None:
        """A book is there, or is there again, without a batch that says so."""
        self._conflator.book_changed(key, symbol)
        self._wake()

    def end(self, error: VenuemeshError) -> None:
        """Serve nothing further; responses() raises this."""
        self._error = error
        self._changed.set()
        self._urgent.set()

    async def responses(self) -> AsyncIterator[bytes]:
        """Messages for the reader's stream, until the buffer is ended; raises its error."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._changed.wait()
            await self._wait_until(due)
            if self._error is not None:
                raise self._error
            is_due = loop.time() >= due
            # All made before the first is sent: while it is, the states go on changing.
            responses = list(responses_of(map(_framed, self._take(only_urgent=not is_due))))
            if responses and is_due:
                due = loop.time() + self._interval_seconds
            for response in responses:
                yield response

    def _take(self, only_urgent: bool) -> Iterator[Batch]:
        self._urgent.clear()
        if only_urgent:
            return self._conflator.take_urgent()
        self._changed.clear()
        return self._conflator.take()

    async def _wait_until(self, due: float) -> None:
        """Until then, or until something urgent is there."""
        try:
            async with asyncio.timeout_at(due):
                await self._urgent.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        if self._conflator.waiting:
            self._changed.set()
        if self._conflator.urgent:
            self._urgent.set()


def _framed(batch: Batch) -> bytes:
    return frame(batch.SerializeToString())
