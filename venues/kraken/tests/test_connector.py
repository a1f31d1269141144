"""The connector against the simulated Kraken, through the real kit: books are right or in doubt."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from venuemesh.common.v1 import types_pb2

from kit.conformance.connector_under_test import ConnectorUnderTest, connector
from kit.connector.contract.venue import Environment
from kit.simulator.text_conversion import instant_ns
from tests.support.raw_client import RawClient
from venues.kraken.catalog import spot
from venues.kraken.simulator.tests.books import ClientBook
from venues.kraken.simulator.tests.running import running, subscribe
from venues.kraken.tests.test_book import as_written

BOOK = types_pb2.CHANNEL_BOOK
SYMBOLS = ("BTC/USDT", "ETH/USDT", "DOGE/USDT")
DEPTH, DEPTH_SMALL = 100, 10
LOST = 50
"""So many lost updates leave a difference. A few can cancel each other: an order that came and went
leaves the book, and its checksum, as it was."""


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=300) as base:
        yield base


@asynccontextmanager
async def connecting(base: str, depth: int) -> AsyncIterator[ConnectorUnderTest]:
    """Connect and wait until every book is proven."""
    place = Environment("simulate", base.rpartition("/")[0], {"depth": str(depth)})
    async with connector(spot(place), SYMBOLS) as connected:
        await connected.until(connected.synchronized, "synchronized books")
        yield connected


@pytest.fixture
async def connected(base: str) -> AsyncIterator[ConnectorUnderTest]:
    async with connecting(base, DEPTH) as connected:
        yield connected


def trade_ids(connected: ConnectorUnderTest, symbol: str) -> list[int]:
    rows = connected.rows(types_pb2.CHANNEL_TRADES, symbol)
    return [columns.trade_id[row] for columns, row in rows]


def check_trades(connected: ConnectorUnderTest) -> None:
    """Check that each trade was published exactly once."""
    for symbol in SYMBOLS:
        ids = trade_ids(connected, symbol)
        first = min(ids, default=0)
        assert ids == list(range(first, first + len(ids)))


async def check_book(
    connected: ConnectorUnderTest, raw: RawClient, symbol: str, depth: int = DEPTH
) -> None:
    """The book is the one that a second client has, level by level, at the same time."""
    book, client = connected.book(symbol), ClientBook(depth)
    websocket = await raw.connect("/v2")
    await subscribe(websocket, "book", symbol, depth=depth)
    while True:
        text = (await websocket.receive()).data
        if not text.startswith('{"channel":"book"'):
            continue
        client.apply(text)
        reported_ns = instant_ns(json.loads(text)["data"][0]["timestamp"])
        await connected.until(
            lambda at_ns=reported_ns: book.venue_time_ns >= at_ns, "as late a book"
        )
        if book.venue_time_ns == reported_ns:
            assert as_written(book, book.book.bids()) == client.levels("bids")
            assert as_written(book, book.book.asks()) == client.levels("asks")
            break
    await websocket.close()


async def test_every_channel_delivers_and_books_equal_the_exchanges(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    wire = connected.venue.feed_protocols[0]
    await connected.until(lambda: all(connected.count(one) > 3 for one in wire.channels), "rows")
    for symbol in SYMBOLS:
        await check_book(connected, raw, symbol)
    assert connected.all_gaps == []


async def test_each_trade_is_published_once_in_order(connected: ConnectorUnderTest) -> None:
    await connected.until(lambda: len(trade_ids(connected, "BTC/USDT")) > 100, "trades")
    check_trades(connected)


@pytest.mark.parametrize(("fault", "count"), [("bad_checksum", 1), ("drop", LOST)])
async def test_a_broken_book_is_a_gap_and_recovers(
    base: str, raw: RawClient, fault: str, count: int
) -> None:
    async with connecting(base, DEPTH_SMALL) as connected:
        epoch = connected.book("BTC/USDT").epoch
        order = {"venue": "kraken", "fault": fault, "symbol": "BTC/USDT", "channel": "book"}
        await raw.order(**order, count=count)
        await connected.until(lambda: connected.all_gaps, "a gap")
        await connected.until(connected.synchronized, "synchronized books")
        assert {(gap.symbol, gap.reason) for gap in connected.all_gaps} == {
            ("BTC/USDT", types_pb2.GAP_REASON_CHECKSUM)
        }
        assert connected.book("BTC/USDT").epoch == epoch + len(connected.all_gaps)
        for symbol in SYMBOLS:
            await check_book(connected, raw, symbol, DEPTH_SMALL)


@pytest.mark.parametrize("fault", ["duplicate", "malformed", "unknown_event"])
async def test_harmless_faults_are_no_gaps(
    connected: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    order = {"venue": "kraken", "fault": fault, "symbol": "BTC/USDT", "channel": "book"}
    await raw.order(**order, count=3)
    started = connected.count(BOOK)
    await connected.until(lambda: connected.count(BOOK) > started + 30, "more")
    await check_book(connected, raw, "BTC/USDT")
    assert connected.all_gaps == []


async def test_after_a_lost_connection_books_are_new_and_no_trade_is_missing(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    await connected.until(lambda: all(trade_ids(connected, one) for one in SYMBOLS), "trades")
    await raw.order(venue="kraken", fault="disconnect", symbol="BTC/USDT", channel="book")
    await connected.until(lambda: not connected.synchronized(), "a doubt")
    await connected.until(connected.synchronized, "synchronized books")
    for symbol in SYMBOLS:
        await check_book(connected, raw, symbol)
    assert {gap.reason for gap in connected.all_gaps} == {types_pb2.GAP_REASON_RECONNECT}
    assert {gap.symbol for gap in connected.all_gaps} == set(SYMBOLS)
    check_trades(connected)


async def test_a_silent_symbol_does_not_silence_the_others(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(venue="kraken", fault="silence", symbol="BTC/USDT", seconds=0)
    silent = []
    for _ in range(2):
        started = connected.count(BOOK)
        await connected.until(lambda rows=started: connected.count(BOOK) > rows + 30, "more")
        silent.append(connected.book("BTC/USDT").venue_time_ns)
    assert silent[0] == silent[1]
    await raw.clear_faults()
    await connected.until(lambda: connected.all_gaps, "a gap")
    await connected.until(connected.synchronized, "synchronized books")
    await check_book(connected, raw, "BTC/USDT")


async def test_a_symbol_that_is_not_listed_takes_no_other_with_it(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    connected.add(["NOPE/USDT", "XRP/USDT"])
    book = connected.book("XRP/USDT")
    await connected.until(lambda: book.epoch == 1, "its book")
    await check_book(connected, raw, "XRP/USDT")
    assert connected.book("NOPE/USDT").epoch == 0
    assert connected.all_gaps == []
