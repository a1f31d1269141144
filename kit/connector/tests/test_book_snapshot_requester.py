"""Snapshots are requested at once for a broken book, and not while one may be on its way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.books.book_manager import BookManager
from kit.connector.books.sequence_rules import PreviousIdRule, TimestampRule
from kit.connector.contract.venue import BookRules, BookSnapshot, SnapshotSource
from kit.connector.process.book_snapshot_requester import SNAPSHOT_WAIT_S, BookSnapshotRequester
from kit.marketdata.model.columns import BookRows, NumberColumn, PriceLevels, SymbolColumn
from tests.support.waiting import until

SYMBOL = "BTC-PERPETUAL"
RULES = BookRules(sequence=PreviousIdRule(), snapshots=SnapshotSource.FEED)


class Clock:
    """Nobody waits for it; it remembers for how long was slept."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        await asyncio.sleep(0)

    def time_ns(self) -> int:
        return 1

    def monotonic_ns(self) -> int:
        return 1


def rows(last: int, previous: int) -> BookRows:
    """A change, or with no previous one a whole book; all of one level."""

    def column(number: int) -> Any:
        return np.array([number], dtype=np.int64)

    levels = PriceLevels(column(1), NumberColumn(column(10), 0), NumberColumn(column(1), 0))
    none = PriceLevels(column(0), NumberColumn(column(0)[:0], 0), NumberColumn(column(0)[:0], 0))
    return BookRows(
        symbols=SymbolColumn.of([SYMBOL]),
        first_sequence=column(last),
        last_sequence=column(last),
        previous_sequence=column(previous),
        snapshot=column(int(previous == 0)),
        checksum=None,
        venue_time_ns=column(last),
        received_time_ns=column(last),
        bids=levels,
        asks=none,
    )


class Stage:
    """A book that breaks, and a venue that may send it again."""

    def __init__(self, rules: BookRules = RULES) -> None:
        self.clock = Clock()
        self.asked_at_s: list[float] = []
        self.answer: Callable[[], None] = lambda: None
        self.books = BookManager(rules, lambda draft: None)
        self.books.add([SYMBOL])
        history: Any = self
        self.resync = BookSnapshotRequester(
            self.books, rules.snapshots, history, self._renew, self.clock
        )

    async def book(self, symbol: str) -> BookSnapshot:
        """The REST book, which ends with the newest update."""
        self._renew(symbol)
        one = rows(self.books.books[symbol].last_sequence + 10, 0)
        return BookSnapshot(int(one.last_sequence[0]), one.bids, one.asks, 1)

    def _renew(self, symbol: str) -> None:
        assert symbol == SYMBOL
        self.asked_at_s.append(self.clock.slept_s)
        self.answer()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    running = asyncio.create_task(stage.resync.run())
    yield stage
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_book_in_doubt_again_is_requested_again_at_once(stage: Stage) -> None:
    stage.answer = lambda: stage.books.on_rows(rows(10 * len(stage.asked_at_s), 0))
    stage.books.on_rows(rows(1, 0))
    for count in (1, 2, 3):
        stage.books.on_rows(rows(10 * count - 2, 10 * count - 4))
        await until(lambda count=count: len(stage.asked_at_s) == count)
        assert stage.books.wanting_snapshot() == []
    assert stage.clock.slept_s < SNAPSHOT_WAIT_S


async def test_a_snapshot_on_its_way_is_not_requested_again(stage: Stage) -> None:
    stage.books.on_rows(rows(3, 2))
    await until(lambda: len(stage.asked_at_s) >= 2)
    first, second = stage.asked_at_s[:2]
    assert first >= SNAPSHOT_WAIT_S - 0.001
    assert second - first >= SNAPSHOT_WAIT_S
    stage.books.on_rows(rows(9, 0))
    assert stage.books.wanting_snapshot() == []


async def test_a_book_ordered_by_time_is_requested_after_its_next_update() -> None:
    stage = Stage(BookRules(TimestampRule(), SnapshotSource.REST))
    running = asyncio.create_task(stage.resync.run())
    try:
        stage.books.on_rows(rows(1, 1))
        # The snapshot is of a later time than the update, and waits for the next.
        await until(lambda: stage.asked_at_s)
        slept_s = stage.clock.slept_s
        await until(lambda: stage.clock.slept_s > slept_s + 10)
        stage.books.on_rows(rows(15, 1))
        await until(lambda: not stage.books.wanting_snapshot())
        stage.books.mark_in_doubt([SYMBOL], types_pb2.GAP_REASON_RECONNECT, 1, "closed")
        stage.books.snapshot_wanted.set()
        slept_s = stage.clock.slept_s
        await until(lambda: stage.clock.slept_s > slept_s + 10)
        assert len(stage.asked_at_s) == 1
        stage.books.on_rows(rows(20, 1))
        await until(lambda: len(stage.asked_at_s) == 2)
        stage.books.on_rows(rows(90, 1))
        await until(lambda: not stage.books.wanting_snapshot())
        assert len(stage.asked_at_s) == 2
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
