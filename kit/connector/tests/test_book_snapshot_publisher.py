"""Whole books reported now and then: a reader has the same book with them and without."""

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.books.book_events import UNPROVEN_EPOCH
from kit.connector.process.book_snapshot_publisher import BookSnapshotPublisher
from kit.connector.tests.fakes import BOOK, Stage, book

INTERVAL_S = 60.0


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.stop()


def snapshots_of(stage, interval_s=INTERVAL_S):
    def publish(draft):
        stage.hub.publish(types_pb2.CHANNEL_BOOK, draft)

    return BookSnapshotPublisher(stage.feed_handler, publish, interval_s)


def rows_of(stage):
    """Symbol, snapshot, epoch, first and last id of each row of the book channel."""
    return [
        (batch.instruments[place].symbol, *values)
        for batch in stage.heard()
        if batch.channel == BOOK
        for place, *values in zip(
            batch.book.instrument,
            batch.book.snapshot,
            batch.book.book_epoch,
            batch.book.first_sequence,
            batch.book.last_sequence,
            strict=True,
        )
    ]


def books_of(stage, *, with_snapshots):
    """The books of a reader, who takes the snapshots that come within an epoch, or passes over
    them."""
    books, epochs = {}, {}
    for batch in stage.heard():
        at = 0
        for row, place in enumerate(batch.book.instrument):
            symbol = batch.instruments[place].symbol
            counts = batch.book.bid_count[row], batch.book.ask_count[row]
            known = epochs.get(symbol) == batch.book.book_epoch[row]
            taken = with_snapshots or not (batch.book.snapshot[row] and known)
            if batch.book.snapshot[row] and taken:
                books[symbol] = ({}, {})
                epochs[symbol] = batch.book.book_epoch[row]
            for side, count in enumerate(counts):
                for level in range(at, at + count):
                    if taken:
                        _set(books[symbol][side], batch.book.price[level], batch.book.size[level])
                at += count
    return books


def _set(side, price, size):
    if size:
        side[price] = size
    else:
        side.pop(price, None)


async def began(stage, *symbols):
    """A connection over which whole books of these have come, of level 1."""
    socket = await stage.start(*symbols)
    socket.say(*(book(1, symbol, whole=True) for symbol in symbols))
    stage.feed_handler.pipeline.flush()
    return socket


async def test_a_book_is_published_again_when_its_snapshot_is_old(stage):
    socket = await began(stage, "A")
    snapshots = snapshots_of(stage)
    snapshots.look()
    socket.say(book(2), book(3))
    await stage.clock.advance(INTERVAL_S - 1)
    snapshots.look()
    assert [row[1] for row in rows_of(stage)] == [True, False, False]
    await stage.clock.advance(2)
    snapshots.look()
    snapshots.look()
    assert rows_of(stage)[3:] == [("A", True, 1, 3, 3)]
    await stage.clock.advance(INTERVAL_S)
    snapshots.look()
    assert rows_of(stage)[4:] == [("A", True, 1, 3, 3)]


async def test_books_are_reported_one_at_a_time(stage):
    await began(stage, "A", "B", "C")
    snapshots = snapshots_of(stage)
    snapshots.look()
    await stage.clock.advance(INTERVAL_S + 1)
    reported = []
    for _ in range(4):
        snapshots.look()
        reported.append(len(rows_of(stage)) - 3)
    assert reported == [1, 2, 3, 3]
    assert sorted(row[0] for row in rows_of(stage)[3:]) == ["A", "B", "C"]


async def test_a_book_in_doubt_is_not_reported(stage):
    socket = await began(stage, "A")
    snapshots = snapshots_of(stage)
    snapshots.look()
    socket.say(book(5))
    stage.feed_handler.pipeline.flush()
    await stage.clock.advance(2 * INTERVAL_S)
    snapshots.look()
    assert [row[1] for row in rows_of(stage)] == [True, False]
    # Its own new beginning counts as a snapshot.
    socket.say(book(9, whole=True))
    stage.feed_handler.pipeline.flush()
    snapshots.look()
    await stage.clock.advance(INTERVAL_S - 1)
    snapshots.look()
    assert [row[2] for row in rows_of(stage)] == [1, UNPROVEN_EPOCH, 2]


async def test_what_was_received_before_is_published_before(stage):
    socket = await began(stage, "A")
    snapshots = snapshots_of(stage)
    snapshots.look()
    await stage.clock.advance(INTERVAL_S + 1)
    socket.say(book(2))
    snapshots.look()
    assert [row[3] for row in rows_of(stage)] == [1, 2, 2]
    times = [time for batch in stage.heard() for time in batch.book.received_time_ns]
    assert times == sorted(times)


async def test_a_reader_has_the_same_book_with_and_without_them(stage):
    socket = await began(stage, "A", "B")
    snapshots = snapshots_of(stage, interval_s=1)
    for number in range(2, 60):
        socket.say(book(number, "A"), book(number, "B"))
        await stage.clock.advance(0.7)
        snapshots.look()
    socket.say(book(61, "A"), book(70, "A", whole=True))
    for number in range(71, 90):
        socket.say(book(number, "A"))
        await stage.clock.advance(0.7)
        snapshots.look()
    assert sum(row[1] for row in rows_of(stage)) > 20
    found = books_of(stage, with_snapshots=True)
    assert found == books_of(stage, with_snapshots=False)
    ours = stage.feed_handler.book_manager.books
    assert {symbol: dict(sides[0]) for symbol, sides in found.items()} == {
        symbol: dict(ours[symbol].book.bids()) for symbol in ("A", "B")
    }


async def test_they_do_not_count_as_something_that_came(stage):
    await began(stage, "A")
    before = stage.subscriptions.received_time_ns("A", BOOK)
    snapshots = snapshots_of(stage)
    snapshots.look()
    await stage.clock.advance(INTERVAL_S + 1)
    snapshots.look()
    assert [row[1] for row in rows_of(stage)] == [True, True]
    assert stage.subscriptions.received_time_ns("A", BOOK) == before


async def test_it_runs_by_itself(stage):
    await began(stage, "A", "B")
    stage.run(snapshots_of(stage, interval_s=10).run)
    for _ in range(25):
        await stage.clock.advance(1)
    reported = [row[0] for row in rows_of(stage)[2:]]
    assert sorted(reported) == ["A", "A", "B", "B"]
