"""The connector against the pretended Kraken, through the real kit: books are right or in doubt."""

import json
from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from venues.kraken.simulator.capture import time_of
from venues.kraken.simulator.tests.books import ClientBook
from venues.kraken.simulator.tests.running import RawClient, raw_client, running
from venues.kraken.tests.connecting import Connector, connected
from venues.kraken.tests.test_book import as_written

SYMBOLS = ("BTC/USDT", "ETH/USDT", "DOGE/USDT")


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=300) as base:
        yield base


@pytest.fixture
async def exchange(base: str) -> AsyncIterator[RawClient]:
    async with raw_client(base) as client:
        yield client


@pytest.fixture
async def connector(base: str) -> AsyncIterator[Connector]:
    async with connected(base, SYMBOLS) as connector:
        yield connector


async def check_book(connector: Connector, exchange: RawClient, symbol: str) -> None:
    """The book is the one that a second client has, level by level, at the same time."""
    book, client = connector.book(symbol), ClientBook(connector.depth)
    websocket = await exchange.connect()
    await exchange.subscribe(websocket, "book", symbol, depth=connector.depth)
    while True:
        text = (await websocket.receive()).data
        if not text.startswith('{"channel":"book"'):
            continue
        client.apply(text)
        told_ns = time_of(json.loads(text)["data"][0]["timestamp"])
        await connector.until(lambda at_ns=told_ns: book.venue_time_ns >= at_ns)
        if book.venue_time_ns == told_ns:
            assert as_written(book, book.book.bids()) == client.levels("bids")
            assert as_written(book, book.book.asks()) == client.levels("asks")
            break
    await websocket.close()


async def test_every_channel_comes_and_books_are_the_exchanges(
    connector: Connector, exchange: RawClient
) -> None:
    wire = connector.venue.wires[0]
    await connector.until(lambda: all(connector.rows[channel] > 3 for channel in wire.channels))
    for symbol in SYMBOLS:
        await check_book(connector, exchange, symbol)
    assert connector.gaps == []


async def test_trades_come_once_each_in_order(connector: Connector) -> None:
    await connector.until(lambda: len(connector.trade_ids.get("BTC/USDT", [])) > 100)
    for ids in connector.trade_ids.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))


@pytest.mark.parametrize(("fault", "count"), [("bad_checksum", 1), ("drop", 5)])
async def test_a_broken_book_is_a_gap_and_comes_back_right(
    base: str, exchange: RawClient, fault: str, count: int
) -> None:
    async with connected(base, SYMBOLS, depth=10) as connector:
        epoch = connector.book("BTC/USDT").epoch
        order = {"venue": "kraken", "fault": fault, "symbol": "BTC/USDT", "channel": "book"}
        await exchange.order(**order, count=count)
        await connector.until(lambda: connector.gaps)
        await connector.until(connector.proven)
        assert {(gap.symbol, gap.reason) for gap in connector.gaps} == {
            ("BTC/USDT", types_pb2.GAP_REASON_CHECKSUM)
        }
        assert connector.book("BTC/USDT").epoch == epoch + len(connector.gaps)
        for symbol in SYMBOLS:
            await check_book(connector, exchange, symbol)


@pytest.mark.parametrize("fault", ["duplicate", "malformed", "unknown_event"])
async def test_what_does_no_harm_is_no_gap(
    connector: Connector, exchange: RawClient, fault: str
) -> None:
    order = {"venue": "kraken", "fault": fault, "symbol": "BTC/USDT", "channel": "book"}
    await exchange.order(**order, count=3)
    started = connector.rows[types_pb2.CHANNEL_BOOK]
    await connector.until(lambda: connector.rows[types_pb2.CHANNEL_BOOK] > started + 30)
    await check_book(connector, exchange, "BTC/USDT")
    assert connector.gaps == []


async def test_after_a_lost_connection_books_are_new_and_no_trade_is_missing(
    connector: Connector, exchange: RawClient
) -> None:
    await connector.until(lambda: len(connector.trade_ids) == len(SYMBOLS))
    await exchange.order(venue="kraken", fault="disconnect", symbol="BTC/USDT", channel="book")
    await connector.until(lambda: not connector.proven())
    await connector.until(connector.proven)
    for symbol in SYMBOLS:
        await check_book(connector, exchange, symbol)
    assert {gap.reason for gap in connector.gaps} == {types_pb2.GAP_REASON_RECONNECT}
    assert {gap.symbol for gap in connector.gaps} == set(SYMBOLS)
    for ids in connector.trade_ids.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_silent_symbol_does_not_silence_the_others(
    connector: Connector, exchange: RawClient
) -> None:
    await exchange.order(venue="kraken", fault="silence", symbol="BTC/USDT", seconds=0)
    silent = []
    for _ in range(2):
        started = connector.rows[types_pb2.CHANNEL_BOOK]
        await connector.until(
            lambda rows=started: connector.rows[types_pb2.CHANNEL_BOOK] > rows + 30
        )
        silent.append(connector.book("BTC/USDT").venue_time_ns)
    assert silent[0] == silent[1]
    await exchange.clear_faults()
    await connector.until(lambda: connector.gaps)
    await connector.until(connector.proven)
    await check_book(connector, exchange, "BTC/USDT")


async def test_a_symbol_that_is_not_listed_takes_no_other_with_it(
    connector: Connector, exchange: RawClient
) -> None:
    connector.add(["NOPE/USDT", "XRP/USDT"])
    book = connector.book("XRP/USDT")
    await connector.until(lambda: book.epoch == 1)
    await check_book(connector, exchange, "XRP/USDT")
    assert connector.book("NOPE/USDT").epoch == 0
    assert connector.gaps == []
