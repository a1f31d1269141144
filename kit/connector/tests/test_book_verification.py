"""Our book beside the venue's REST answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.errors import RateLimited
from kit.base.numbers import NumberError
from kit.connector.contract.venue import BookSnapshot
from kit.connector.process.book_snapshot_publisher import BookSnapshotPublisher
from kit.connector.process.book_verification import (
    AGREES,
    COMING_S_MAX,
    DIFFERENCES_MAX,
    DIFFERS,
    NOT_COMPARABLE,
    TRIES,
    WAITING_MAX,
    BookVerifier,
    Response,
)
from kit.connector.tests.fakes import BOOK, FakeSocket, Stage, book
from kit.marketdata.model.columns import PriceLevels

Pairs = list[tuple[str, str]]


def levels(*numbers: int) -> Pairs:
    """As the fake venue's book says them: at a price as much as its number."""
    return [(str(number), str(number)) for number in sorted(numbers, reverse=True)]


def answer(sequence: int, bids: Pairs, size_decimals: int | None = None) -> BookSnapshot:
    return BookSnapshot(sequence, PriceLevels.parse(bids), PriceLevels.parse([]), 1, size_decimals)


class FakeHistory:
    """Answers with the next of the given books, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[BookSnapshot | Exception] = []
        self.when_asked: Callable[[], None] = lambda: None
        self.calls = 0

    async def book(self, symbol: str) -> BookSnapshot:
        self.calls += 1
        self.when_asked()
        found = self.answers[min(self.calls, len(self.answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return found


class Rig:
    """A stage with the proven book 10, 11, 12 of instrument A."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.history = FakeHistory()
        venue = replace(self.stage.venue, history=self.history)  # type: ignore[arg-type]
        stage = self.stage
        self.verification = BookVerifier(replace(stage.feed_handler, venue=venue))

    async def start(self) -> FakeSocket:
        socket = await self.stage.start("A")
        socket.say(book(10, whole=True), book(11), book(12))
        await self.stage.clock.advance(1)
        return socket

    async def verify(self, *answers: BookSnapshot | Exception, depth: int = 100) -> Response:
        self.history.answers = list(answers)
        task = asyncio.create_task(self.verification.verify("A", depth))
        while not task.done():
            await self.stage.clock.advance(0.1)
        return await task


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.stage.stop()


async def test_books_of_the_same_update_agree(rig: Rig) -> None:
    await rig.start()
    found = await rig.verify(answer(12, levels(10, 11, 12)))
    assert (found.verdict, found.reason) == (AGREES, "")
    assert (found.venue_sequence, found.last_sequence) == (12, 12)
    assert (found.levels_compared, found.levels_different) == (3, 0)
    assert (found.venue, found.symbol) == ("somewhere", "A")


async def test_a_book_that_is_published_again_meanwhile_is_compared(rig: Rig) -> None:
    socket = await rig.start()
    stage = rig.stage
    snapshots = BookSnapshotPublisher(
        stage.feed_handler, lambda draft: stage.hub.publish(BOOK, draft), 1.0
    )
    snapshots.look()
    await stage.clock.advance(2)

    def when_asked() -> None:
        snapshots.look()
        socket.say(book(13))

    rig.history.when_asked = when_asked
    before = stage.hub.cursor(BOOK).sequence
    found = await rig.verify(answer(13, levels(10, 11, 12, 13)))
    assert (found.verdict, found.levels_compared) == (AGREES, 4)
    assert rig.history.calls == 1
    assert stage.hub.cursor(BOOK).sequence == before + 2


async def test_each_kind_of_difference_is_reported(rig: Rig) -> None:
    await rig.start()
    theirs = [("12", "12"), ("11", "11.5"), ("9", "1")]
    found = await rig.verify(answer(12, theirs))
    assert found.verdict == DIFFERS
    assert (found.levels_compared, found.levels_different) == (4, 3)
    assert [(one.price, one.size, one.venue_size) for one in found.differences] == [
        ("11", "11", "11.5"),
        ("10", "10", "0"),
        ("9", "0", "1"),
    ]
    assert {one.side for one in found.differences} == {types_pb2.SIDE_BUY}
    assert rig.history.calls == 1


async def test_no_more_than_ten_differences_are_reported(rig: Rig) -> None:
    await rig.start()
    found = await rig.verify(answer(12, levels(*range(20, 60))))
    assert found.levels_different == 40
    assert len(found.differences) == DIFFERENCES_MAX


async def test_ours_is_waited_for_when_it_is_behind(rig: Rig) -> None:
    socket = await rig.start()
    clock = rig.stage.clock

    async def later() -> None:
        await clock.sleep(COMING_S_MAX / 2)
        socket.say(book(13), book(14))

    rig.history.when_asked = lambda: rig.stage.run(later)
    found = await rig.verify(answer(13, levels(10, 11, 12, 13)))
    assert (found.verdict, found.last_sequence) == (AGREES, 13)


async def test_ours_is_taken_as_it_was_at_the_venues_update(rig: Rig) -> None:
    socket = await rig.start()
    rig.history.when_asked = lambda: socket.say(*(book(number) for number in range(13, 20)))
    found = await rig.verify(answer(15, levels(*range(10, 16))))
    assert (found.verdict, found.last_sequence) == (AGREES, 15)
    found = await rig.verify(answer(19, levels(*range(10, 16))))
    assert (found.verdict, found.levels_different) == (DIFFERS, 4)


async def test_an_update_that_never_comes_is_a_difference(rig: Rig) -> None:
    await rig.start()
    found = await rig.verify(answer(13, levels(10, 11, 12, 13)))
    assert (found.verdict, found.venue_sequence, found.last_sequence) == (DIFFERS, 13, 12)
    assert "not in our book" in found.reason
    assert rig.history.calls == TRIES


async def test_a_number_that_concerns_other_books_is_no_difference(rig: Rig) -> None:
    await rig.start()
    found = await rig.verify(answer(99, levels(10, 11, 12)))
    assert (found.verdict, found.last_sequence) == (AGREES, 12)


async def test_an_answer_that_is_older_than_ours_is_asked_for_again(rig: Rig) -> None:
    await rig.start()
    old, new = answer(11, levels(10, 11)), answer(12, levels(10, 11, 12))
    assert (await rig.verify(old, new)).verdict == AGREES
    assert rig.history.calls == 2
    found = await rig.verify(old)
    assert found.verdict == NOT_COMPARABLE
    assert "older" in found.reason


async def test_without_numbers_levels_that_change_meanwhile_cannot_differ(rig: Rig) -> None:
    socket = await rig.start()
    # At price 13 there is nothing at first, then 13: what the venue says may have been in between.
    rig.history.when_asked = lambda: socket.say(book(13))
    for size, compared in (("13", 4), ("7", 3)):
        found = await rig.verify(answer(0, [("13", size), *levels(10, 11, 12)]))
        assert (found.verdict, found.levels_compared) == (AGREES, compared)
        socket.say(book(10, whole=True), book(11), book(12))
    rig.history.when_asked = lambda: None
    found = await rig.verify(answer(0, [("12", "1"), *levels(10, 11)]))
    assert (found.verdict, found.levels_different) == (DIFFERS, 1)
    assert "tolerance" in found.reason


async def test_sizes_are_compared_as_far_as_the_venue_tells_them(rig: Rig) -> None:
    await rig.start()
    cut = [("12", "12.000"), ("11", "11.0009"), ("10", "10")]
    assert (await rig.verify(answer(12, cut))).levels_different == 1
    assert (await rig.verify(answer(12, cut, size_decimals=3))).verdict == AGREES


async def test_books_are_compared_as_deep_as_both_reach(rig: Rig) -> None:
    await rig.start()
    found = await rig.verify(answer(12, levels(11, 12)))
    assert (found.verdict, found.levels_compared) == (AGREES, 2)
    found = await rig.verify(answer(12, [*levels(11, 12), ("10", "77")]), depth=2)
    assert (found.verdict, found.levels_compared) == (AGREES, 2)


async def test_a_book_in_doubt_is_not_compared(rig: Rig) -> None:
    socket = await rig.start()
    socket.say(book(15))
    found = await rig.verify(answer(15, levels(10, 11, 12, 15)))
    assert (found.verdict, found.reason) == (NOT_COMPARABLE, "our book is in doubt")
    assert rig.history.calls == 0


async def test_a_book_that_breaks_meanwhile_is_not_compared(rig: Rig) -> None:
    socket = await rig.start()
    rig.history.when_asked = lambda: socket.say(book(15))
    found = await rig.verify(answer(12, levels(10, 11, 12)))
    assert found.verdict == NOT_COMPARABLE


async def test_an_unreadable_answer_is_not_compared(rig: Rig) -> None:
    await rig.start()
    found = await rig.verify(NumberError("not a number"))
    assert (found.verdict, "not a number" in found.reason) == (NOT_COMPARABLE, True)


async def test_few_may_wait_and_each_leaves_its_place(rig: Rig) -> None:
    await rig.start()
    rig.history.answers = [answer(12, levels(10, 11, 12))]
    asked = [asyncio.create_task(rig.verification.verify("A", 100)) for _ in range(WAITING_MAX)]
    await rig.stage.clock.settle()
    with pytest.raises(RateLimited):
        await rig.verification.verify("A", 100)
    await rig.stage.clock.advance(2 * WAITING_MAX)
    assert {(await task).verdict for task in asked} == {AGREES}
    assert (await rig.verify(answer(12, levels(10, 11, 12)))).verdict == AGREES
