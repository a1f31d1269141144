import asyncio

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2

from core.bridge.tests.fakes import (
    BOOK,
    QUOTES,
    VENUE,
    FakeVenue,
    book,
    bridging,
    gap,
    quotes,
)
from kit.marketdata.model.batches import Batch
from tests.support.waiting import until

HOUR_MS = 60_000


def request(channel, symbols=("BTCUSDT",), interval_ms=10, depth=20) -> live_pb2.SubscribeRequest:
    selector = live_pb2.Selector(venue=VENUE, channels=[channel], symbols=symbols)
    conflated = types_pb2.Conflated(interval_ms=interval_ms, book_depth=depth)
    return live_pb2.SubscribeRequest(
        selectors=[selector], delivery=types_pb2.Delivery(conflated=conflated)
    )


def levels(batch: Batch) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bids and asks at the scales 2 and 3."""
    (entry,) = batch.instruments
    price_factor, size_factor = 10 ** (2 - entry.price_scale), 10 ** (3 - entry.size_scale)
    pairs = [
        (int(price * price_factor), int(size * size_factor))
        for price, size in zip(batch.book.price, batch.book.size, strict=True)
    ]
    assert list(batch.book.snapshot) == [True]
    count = batch.book.bid_count[0]
    return pairs[:count], pairs[count:]


@pytest.fixture
def venue():
    return FakeVenue()


@pytest.fixture
async def bridge(valkey_url, venue):
    async with bridging(valkey_url, venue) as bridge:
        yield bridge


async def joined(bridge, key) -> None:
    await until(lambda: bridge.subscribers.joined(key))


async def test_the_last_quote_comes_however_many_there_were(bridge):
    reader = bridge.subscribe(request(types_pb2.CHANNEL_QUOTES))
    await joined(bridge, QUOTES)
    await bridge.write(*(quotes(number, number) for number in range(1, 501)))
    received = []
    while not received or received[-1] != 500:
        batch = await reader.batch()
        assert not batch.HasField("cursor")
        (price,) = batch.quotes.bid_price
        received.append(price)
    assert received == sorted(received)
    assert len(received) < 100


async def test_a_book_begins_with_the_venues_and_follows_the_stream(bridge, venue):
    await bridge.write_and_read(book(4, [(100, 1)], []))
    venue.has_book(5, bids=[("1", "0.001"), ("0.9", "7")], asks=[("1.1", "0.5")])
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    batch = await reader.batch()
    assert levels(batch) == ([(100, 1), (90, 7000)], [(110, 500)])
    assert (batch.book.book_epoch[0], batch.book.last_sequence[0]) == (1, 5)
    # What the snapshot contains already comes in the stream, too, and changes nothing.
    await bridge.write_and_read(book(5, [(100, 999)], []))
    await bridge.write_and_read(book(6, [(100, 0), (95, 2)], [(105, 3)]))
    while levels(batch) != ([(95, 2), (90, 7000)], [(105, 3), (110, 500)]):
        batch = await reader.batch()
    assert venue.asked_books == 1


async def test_a_depth_is_kept_to(bridge, venue):
    venue.has_book(1, bids=[("1", "1"), ("0.9", "1")], asks=[("2", "1"), ("3", "1")])
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK, depth=1))
    assert levels(await reader.batch()) == ([(100, 1000)], [(200, 1000)])


async def test_a_book_in_doubt_is_reported_at_once_and_not_shown_until_it_heals(bridge, venue):
    venue.has_book(1, bids=[("1", "1")], asks=[])
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK, interval_ms=HOUR_MS))
    assert levels(await reader.batch()) == ([(100, 1000)], [])
    await bridge.write_and_read(book(2, [(100, 5)], []), gap(BOOK, 3), book(4, [(100, 6)], []))
    batch = await reader.batch()
    assert [each.symbol for each in batch.gaps] == ["BTCUSDT"]
    assert not batch.instruments
    second = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    await until(lambda: bridge.subscribers.joined(BOOK) == 2)
    await bridge.write_and_read(book(5, [(90, 1)], [(95, 2)], epoch=2, snapshot=True))
    assert levels(await second.batch()) == ([(90, 1)], [(95, 2)])


async def test_a_venue_without_a_proven_book_heals_through_the_stream(bridge, venue):
    venue.book.cursor.CopyFrom(types_pb2.Cursor(epoch=1000, sequence=3))
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    await until(lambda: venue.asked_books)
    await bridge.write_and_read(book(4, [(100, 6)], []))
    await bridge.write_and_read(book(5, [(90, 1)], [], epoch=2, snapshot=True))
    assert levels(await reader.batch()) == ([(90, 1)], [])


async def test_an_answer_that_is_too_old_is_asked_again(bridge, venue):
    await bridge.write_and_read(book(10, [(100, 1)], []))
    venue.has_book(9, bids=[("1", "1")], asks=[])
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    await until(lambda: venue.asked_books >= 2)
    venue.has_book(10, bids=[("1", "3")], asks=[])
    assert levels(await reader.batch()) == ([(100, 3000)], [])


async def test_entries_that_were_lost_put_the_book_in_doubt_until_it_was_fetched(bridge, venue):
    await bridge.write_and_read(book(1, [(100, 1)], []))
    venue.has_book(1, bids=[("1", "1")], asks=[])
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    assert levels(await reader.batch()) == ([(100, 1000)], [])
    venue.has_book(20, bids=[("1", "5")], asks=[])
    await bridge.write_and_read(book(20, [(100, 5000)], []))
    batch = await reader.batch()
    assert [each.reason for each in batch.gaps] == [types_pb2.GAP_REASON_CURSOR_EXPIRED]
    assert levels(await reader.batch()) == ([(100, 5000)], [])
    assert venue.asked_books == 2


async def test_all_books_of_a_venue_come_as_they_change(bridge, venue):
    venue.has_book(1, bids=[("1", "1")], asks=[])
    reader = bridge.subscribe(request(types_pb2.CHANNEL_BOOK, symbols=()))
    await joined(bridge, BOOK)
    await bridge.write_and_read(book(1, [(100, 1000)], []))
    batch = await reader.batch()
    assert [entry.symbol for entry in batch.instruments] == ["BTCUSDT"]
    assert levels(batch) == ([(100, 1000)], [])


async def test_a_second_reader_gets_the_book_that_is_kept(bridge, venue):
    venue.has_book(1, bids=[("1", "1")], asks=[])
    readers = [bridge.subscribe(request(types_pb2.CHANNEL_BOOK)) for _ in range(2)]
    for reader in readers:
        assert levels(await reader.batch()) == ([(100, 1000)], [])
    assert venue.asked_books == 1


async def test_books_that_nobody_looks_at_any_more_are_let_go(bridge, venue):
    venue.has_book(1, bids=[("1", "1")], asks=[])
    first = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    second = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    await asyncio.gather(first.batch(), second.batch())
    first.call.cancel()
    await until(lambda: bridge.subscribers.joined(BOOK) == 1)
    assert bridge.books.top(BOOK, "BTCUSDT", 1) is not None
    second.call.cancel()
    await until(lambda: bridge.subscribers.joined(BOOK) == 0)
    await until(lambda: bridge.books.top(BOOK, "BTCUSDT", 1) is None)


async def test_one_book_is_let_go_while_another_is_looked_at(bridge, venue):
    venue.has_book(1, bids=[("1", "1")], asks=[])
    first = bridge.subscribe(request(types_pb2.CHANNEL_BOOK))
    second = bridge.subscribe(request(types_pb2.CHANNEL_BOOK, symbols=["ETHUSDT"]))
    await asyncio.gather(first.batch(), second.batch())
    first.call.cancel()
    await until(lambda: bridge.books.top(BOOK, "BTCUSDT", 1) is None)
    assert bridge.books.top(BOOK, "ETHUSDT", 1) is not None
