"""Connections that are paced, break, age and are replaced."""

from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.books.sequence_rules import ConsecutiveIdRule
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.connector.feed.feed_connection import LEAD_SHARE_MAX
from kit.connector.feed.standby_connection import COMPARE_S_MAX, COMPARE_S_MIN
from kit.connector.tests.fakes import (
    BOOK,
    BROKEN,
    LEAVING,
    QUOTES,
    TICKERS,
    TRADES,
    FakeSocket,
    Stage,
    book,
    quote,
    ticker,
    trade,
)

LIFETIME_S = 60.0
MakeStage = Callable[..., Stage]


@pytest.fixture
async def make_stage() -> AsyncIterator[MakeStage]:
    made: list[Stage] = []

    def make(**limits: object) -> Stage:
        made.append(Stage(**limits))
        return made[-1]

    yield make
    for stage in made:
        await stage.stop()


async def moving(stage: Stage, *symbols: str) -> tuple[FakeSocket, FakeSocket]:
    """A line with a proven book whose second connection has just been opened."""
    old = await stage.start(*symbols)
    for symbol in symbols:
        old.say(book(10, symbol, whole=True), trade(100, symbol), quote(500, symbol))
    await stage.clock.advance(LIFETIME_S * (1 - LEAD_SHARE_MAX) - 3)
    assert len(stage.sockets) == 1
    while len(stage.sockets) == 1:
        await stage.clock.advance(1)
    new = stage.sockets[1]
    new.open()
    await stage.clock.advance(1)
    return old, new


def spoken(old: FakeSocket, new: FakeSocket, number: int) -> None:
    """The same from both, of instrument A; the new one is a little ahead."""
    for socket, ahead in ((new, 1), (old, 0)):
        socket.say(trade(number + ahead), quote(400 + number + ahead), book(number + ahead - 90))


async def test_all_who_have_something_to_say_share_one_pace(make_stage: MakeStage) -> None:
    stage = make_stage(messages_per_second=2)
    socket = await stage.start("A", "B", "C")
    stage.add("D")
    stage.feed.renew_book("A")
    stage.feed.renew_book("B")
    stage.add("E")
    await stage.clock.advance(10)
    assert socket.words == ["+A,B", "+C", "+D", "renew A", "renew B", "+E"]
    times = [second for second, _ in socket.sent]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.5


async def test_what_waits_to_be_said_is_not_asked_for_again(make_stage: MakeStage) -> None:
    stage = make_stage(messages_per_second=0.2)
    socket = await stage.start("A", "B", "C")
    for _ in range(3):
        stage.feed.renew_book("C")
        stage.feed.renew_book("A")
    await stage.clock.advance(20)
    assert socket.words == ["+A,B", "+C", "renew A"]


async def test_a_lost_connection_subscribes_again_to_all_and_says_nothing_old(
    make_stage: MakeStage,
) -> None:
    stage = make_stage(messages_per_second=1)
    socket = await stage.start("A", "B", "C")
    stage.feed.renew_book("A")
    stage.feed.renew_book("B")
    socket.close()
    socket.open()
    await stage.clock.advance(10)
    assert socket.words == ["+A,B", "+C", "+A,B", "+C"]
    assert stage.meter.reconnects_total == 1


async def test_before_its_end_a_connection_is_replaced_and_nothing_is_missed(
    make_stage: MakeStage,
) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    assert new.words == ["+A"]
    new.say(book(11, whole=True))
    for number in range(101, 160):
        spoken(old, new, number)
        await stage.clock.advance(0.1)
    assert (old.running, new.running) == (False, True)
    assert stage.numbers(TRADES) == list(range(100, 161))
    assert stage.numbers(QUOTES) == list(range(500, 561))
    assert stage.gaps() == []
    assert stage.meter.reconnects_total == 0
    assert stage.meter.counters["moved_connections_total"] == 1


async def test_a_book_of_the_feed_goes_on_with_the_new_one_in_a_new_epoch(
    make_stage: MakeStage,
) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    kept = stage.feed_handler.book_manager.books["A"]
    new.say(book(11, whole=True))
    for number in range(101, 109):
        assert (kept.epoch, kept.state) == (1, BookState.SYNCHRONIZED)
        spoken(old, new, number)
        await stage.clock.advance(0.1)
    await stage.clock.advance(COMPARE_S_MIN)
    old.say(book(19), book(99, whole=True))
    new.say(book(20))
    stage.heard()
    assert (kept.epoch, kept.state, kept.last_sequence) == (2, BookState.SYNCHRONIZED, 20)
    assert [price for price, _ in kept.book.bids()] == list(range(20, 10, -1))
    numbers = stage.numbers(BOOK)
    assert numbers == sorted(numbers)
    assert stage.gaps() == []


async def test_a_book_over_rest_goes_on_as_it_is(make_stage: MakeStage) -> None:
    stage = make_stage(
        rules=BookRules(ConsecutiveIdRule(), SnapshotSource.REST), lifetime_s=LIFETIME_S
    )
    old, new = await moving(stage, "A")
    for number in range(101, 160):
        spoken(old, new, number)
        await stage.clock.advance(0.1)
    stage.heard()
    kept = stage.feed_handler.book_manager.books["A"]
    assert not old.running
    assert (kept.epoch, kept.last_sequence) == (1, 70)
    assert stage.gaps() == []


async def test_what_has_no_number_is_not_reported_twice(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    new.say(book(10, whole=True))
    for number in range(30):
        new.say(ticker(number))
        old.say(ticker(number))
        await stage.clock.advance(0.1)
    assert not old.running
    new.say(ticker(30))
    assert stage.numbers(TICKERS) == list(range(31))


async def test_the_new_one_must_bring_what_the_old_one_brings(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A", "B")
    for symbol in "AB":
        new.say(book(10, symbol, whole=True))
    for number in range(101, 150):
        old.say(trade(number), trade(number, "B"))
        new.say(trade(number))
        await stage.clock.advance(0.2)
    assert old.running
    await stage.clock.advance(COMPARE_S_MAX)
    assert not old.running


async def test_the_old_one_is_kept_until_the_new_books_are_whole(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A", "B")
    new.say(book(10, "A", whole=True))
    await stage.clock.advance(COMPARE_S_MIN + 1)
    assert old.running
    new.say(book(10, "B", whole=True))
    await stage.clock.advance(1)
    assert not old.running
    assert stage.gaps() == []


async def test_a_book_that_never_comes_is_in_doubt_alone(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    _, new = await moving(stage, "A", "B")
    new.say(book(10, "A", whole=True))
    await stage.clock.advance(COMPARE_S_MAX + 1)
    assert [(gap.symbol, gap.reason) for gap in stage.gaps()] == [
        ("B", types_pb2.GAP_REASON_RECONNECT)
    ]
    assert stage.feed_handler.book_manager.wanting_snapshot() == ["B"]
    assert stage.feed_handler.book_manager.snapshot_wanted.is_set()


async def test_a_venue_that_will_go_is_left_at_once(make_stage: MakeStage) -> None:
    stage = make_stage()
    old = await stage.start("A")
    old.say(book(10, whole=True), trade(100), LEAVING)
    await stage.clock.advance(1)
    assert old.words == ["+A", "goodbye"]
    new = stage.sockets[1]
    new.open()
    new.say(book(10, whole=True), trade(100), trade(101))
    old.say(trade(101))
    await stage.clock.advance(COMPARE_S_MIN + 2)
    assert not old.running
    new.say(trade(102))
    assert stage.numbers(TRADES) == [100, 101, 102]
    assert stage.gaps() == []
    await stage.clock.advance(2 * LIFETIME_S)
    assert len(stage.sockets) == 2


async def test_a_connection_that_the_venue_has_given_up_is_dropped(make_stage: MakeStage) -> None:
    stage = make_stage()
    socket = await stage.start("A")
    socket.say(book(10, whole=True), BROKEN)
    stage.heard()
    assert not socket.connected
    assert [gap.reason for gap in stage.gaps()] == [types_pb2.GAP_REASON_RECONNECT]


async def test_a_connection_that_ends_too_early_is_replaced_by_the_next(
    make_stage: MakeStage,
) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    new.say(book(12, whole=True), trade(103))
    old.close()
    await stage.clock.settle()
    assert (old.running, new.running) == (False, True)
    new.say(book(13), trade(104))
    reasons = {(gap.reason, gap.last_id_before, gap.first_id_after) for gap in stage.gaps()}
    assert reasons == {
        (types_pb2.GAP_REASON_RECONNECT, 10, 0),
        (types_pb2.GAP_REASON_RECONNECT, 100, 103),
    }
    kept = stage.feed_handler.book_manager.books["A"]
    assert (kept.state, kept.epoch, kept.last_sequence) == (BookState.SYNCHRONIZED, 2, 13)
    assert stage.meter.reconnects_total == 1


async def test_a_successor_that_breaks_begins_again(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    new.say(book(10, whole=True))
    new.close()
    await stage.clock.advance(COMPARE_S_MIN + 5)
    assert old.running
    new.open()
    await stage.clock.advance(COMPARE_S_MIN + 2)
    assert old.running
    new.say(book(10, whole=True))
    await stage.clock.advance(1)
    assert not old.running
    assert stage.gaps() == []


async def test_what_is_added_meanwhile_comes_over_both(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    stage.add("B")
    await stage.clock.advance(1)
    assert (old.words[-1], new.words[-1]) == ("+B", "+B")
    for socket in (old, new):
        socket.say(book(10, "A", whole=True), book(10, "B", whole=True))
    await stage.clock.advance(COMPARE_S_MIN + 1)
    assert not old.running
    assert stage.gaps() == []


async def test_a_pause_ends_both(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    old, new = await moving(stage, "A")
    stage.feed.set_paused(True)
    new.say(trade(101))
    old.say(trade(101))
    await stage.clock.settle()
    assert (old.running, new.running) == (False, False)
    assert stage.numbers(TRADES) == [100]
    stage.feed.set_paused(False)
    await stage.clock.settle()
    assert [socket.running for socket in stage.sockets] == [False, False, True]


async def test_both_wait_while_nothing_is_read(make_stage: MakeStage) -> None:
    stage = make_stage(lifetime_s=LIFETIME_S)
    sockets = await moving(stage, "A")
    stage.feed.set_reading(False)
    assert [socket.reading for socket in sockets] == [False, False]
    stage.feed.set_reading(True)
    assert [socket.reading for socket in sockets] == [True, True]
