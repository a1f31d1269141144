"""Asking for whole books: at once when one has broken, and not again while it may be coming."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from kit.connector.books.book_manager import BookManager
from kit.connector.books.sequence_rules import ChainRule
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.connector.process.book_resync import COMING_WAIT_S, BookResync
from kit.marketdata.model.columns import BookRows, Levels, Numbers, Symbols
from tests.support.waiting import until

SYMBOL = "BTC-PERPETUAL"
RULES = BookRules(sequence=ChainRule(), snapshots=SnapshotSource.FEED)


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

    levels = Levels(column(1), Numbers(column(10), 0), Numbers(column(1), 0))
    none = Levels(column(0), Numbers(column(0)[:0], 0), Numbers(column(0)[:0], 0))
    return BookRows(
        symbols=Symbols.of([SYMBOL]),
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
    """A book that breaks, and a venue that may send it anew."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked_at_s: list[float] = []
        self.answer: Callable[[], None] = lambda: None
        self.books = BookManager(RULES, lambda draft: None)
        self.books.add([SYMBOL])
        history: Any = None
        self.resync = BookResync(self.books, SnapshotSource.FEED, history, self._renew, self.clock)

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


async def test_a_book_that_breaks_again_is_asked_for_again_at_once(stage: Stage) -> None:
    stage.answer = lambda: stage.books.on_rows(rows(10 * len(stage.asked_at_s), 0))
    stage.books.on_rows(rows(1, 0))
    for count in (1, 2, 3):
        stage.books.on_rows(rows(10 * count - 2, 10 * count - 4))
        await until(lambda count=count: len(stage.asked_at_s) == count)
        assert stage.books.wanting_snapshot() == []
    assert stage.clock.slept_s < COMING_WAIT_S


async def test_a_book_that_is_coming_is_not_asked_for_again(stage: Stage) -> None:
    stage.books.on_rows(rows(3, 2))
    await until(lambda: len(stage.asked_at_s) >= 2)
    first, second = stage.asked_at_s[:2]
    assert first >= COMING_WAIT_S - 0.001
    assert second - first >= COMING_WAIT_S
    stage.books.on_rows(rows(9, 0))
    assert stage.books.wanting_snapshot() == []
