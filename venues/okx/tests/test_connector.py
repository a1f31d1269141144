"""The connector against the simulated OKX, through the real kit: books are right or in doubt."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import rescale
from kit.conformance.connector_under_test import ConnectorUnderTest
from kit.conformance.connector_under_test import connector as connector_of
from kit.connector.contract.venue import Environment
from tests.support.raw_client import RawClient
from venues.okx.catalog import VENUES
from venues.okx.simulator.tests.running import running

SPOT = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
SWAPS = tuple(f"{symbol}-SWAP" for symbol in SPOT)
FIRST = "BTC-USDT"


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=1_000) as base:
        yield base


@asynccontextmanager
async def connected(base: str, symbols: Iterable[str]) -> AsyncIterator[ConnectorUnderTest]:
    """Connect without refills and wait until every book is proven."""
    address, _, venue_id = base.rpartition("/")
    venue = VENUES[venue_id](Environment("simulate", address))
    async with connector_of(venue, symbols, refills=False) as connector:
        await connector.until(connector.synchronized, "synchronized books")
        yield connector


@pytest.fixture
async def connector(base: str) -> AsyncIterator[ConnectorUnderTest]:
    async with connected(base, SPOT) as connector:
        yield connector


async def check_book(connector: ConnectorUnderTest, symbol: str) -> None:
    """The book is the one that the exchange tells over REST, at the same seqId."""
    book = connector.book(symbol)
    theirs = await connector.venue.history.book(symbol)
    while book.last_sequence != theirs.last_sequence:
        await connector.next_batch()
        theirs = await connector.venue.history.book(symbol)
    for ours, levels in ((book.book.bids(), theirs.bids), (book.book.asks(), theirs.asks)):
        price = rescale(levels.price.unscaled, levels.price.decimals, book.scale.price)
        size = rescale(levels.size.unscaled, levels.size.decimals, book.scale.size)
        assert ours == list(zip(price.tolist(), size.tolist(), strict=True))


async def check_all(connector: ConnectorUnderTest, symbols: tuple[str, ...] = SPOT) -> None:
    for symbol in symbols:
        await check_book(connector, symbol)


@pytest.mark.parametrize(("venue_id", "symbols"), [("okx", SPOT), ("okx_futures", SWAPS)])
async def test_every_channel_delivers_and_books_equal_the_exchanges(venue_id, symbols) -> None:
    async with (
        running("simulate", venue_id, events_per_second=1_000) as base,
        connected(base, symbols) as connector,
    ):
        channels = {channel for wire in connector.venue.feed_protocols for channel in wire.channels}
        assert (types_pb2.CHANNEL_MARKS in channels) is (venue_id == "okx_futures")
        await connector.until(lambda: all(connector.count(channel) > 3 for channel in channels))
        await check_all(connector, symbols)
        assert connector.all_gaps == []
        assert connector.skipped == 0


async def test_all_that_swaps_are_valued_at_reaches_the_swap() -> None:
    async with (
        running("simulate", "okx_futures", events_per_second=200) as base,
        connected(base, SWAPS[:1]) as connector,
    ):
        reported: dict[str, int] = {}

        def complete() -> bool:
            for columns, row in connector.rows(types_pb2.CHANNEL_MARKS, SWAPS[0]):
                for name in ("mark_price", "index_price", "funding_rate", "next_funding_time_ns"):
                    reported[name] = max(reported.get(name, 0), abs(getattr(columns, name)[row]))
            return len(reported) == 4 and all(reported.values())

        await connector.until(complete)
        assert reported["next_funding_time_ns"] % (8 * 3_600_000_000_000) == 0


async def test_each_trade_is_published_once_in_order(connector: ConnectorUnderTest) -> None:
    await connector.until(lambda: len(connector.trade_ids(FIRST)) > 100)
    for symbol in SPOT:
        ids = connector.trade_ids(symbol)
        assert ids == sorted(set(ids))
    assert connector.all_gaps == []


async def test_a_lost_trade_is_a_gap_with_both_ids(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await connector.until(lambda: connector.trade_ids(FIRST))
    await raw.order(venue="okx", fault="drop", symbol=FIRST, channel="trades")
    await connector.until(lambda: connector.all_gaps)
    (gap,) = connector.all_gaps
    assert (gap.symbol, gap.reason) == (FIRST, types_pb2.GAP_REASON_SEQUENCE)
    ids = connector.trade_ids(FIRST)
    history = await connector.venue.history.trades(FIRST, gap.last_id_before + 1, 0, 50)
    missing = range(gap.last_id_before + 1, gap.first_id_after)
    assert missing
    assert not set(missing) & set(ids)
    assert [int(trade.trade_id) for trade in history][: len(missing)] == list(missing)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("drop", types_pb2.GAP_REASON_SEQUENCE),
        ("reorder", types_pb2.GAP_REASON_SEQUENCE),
        ("checksum_wrong", types_pb2.GAP_REASON_CHECKSUM),
    ],
)
async def test_a_broken_book_is_a_gap_and_recovers(
    connector: ConnectorUnderTest, raw: RawClient, fault: str, reason: int
) -> None:
    epoch = connector.book(FIRST).epoch
    await raw.order(venue="okx", fault=fault, symbol=FIRST, channel="book")
    await connector.until(lambda: connector.all_gaps)
    await connector.until(connector.synchronized)
    assert [(gap.symbol, gap.reason) for gap in connector.all_gaps] == [(FIRST, reason)]
    assert connector.book(FIRST).epoch == epoch + 1
    await check_all(connector)


@pytest.mark.parametrize(
    "fault",
    [
        "duplicate",
        "malformed",
        "unknown_event",
        "empty_update",
        "sequence_restart",
        "checksum_zero",
        "error_without_id",
    ],
)
async def test_harmless_faults_are_no_gaps(
    connector: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    await raw.order(venue="okx", fault=fault, symbol=FIRST, channel="book", count=3)
    started = connector.count(types_pb2.CHANNEL_BOOK)
    await connector.until(lambda: connector.count(types_pb2.CHANNEL_BOOK) > started + 30)
    await check_all(connector)
    assert connector.all_gaps == []
    if fault == "sequence_restart":
        assert connector.book(FIRST).last_sequence < 10_000


async def test_a_missed_restart_of_the_numbering_is_a_hole(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    """All ids that follow are below the book's: they must not pass for old."""
    await raw.order(venue="okx", fault="sequence_restart", symbol=FIRST, channel="book")
    await connector.until(lambda: connector.book(FIRST).last_sequence < 10_000)
    connector.book(FIRST).last_sequence += 10**9
    await connector.until(lambda: connector.all_gaps)
    await connector.until(connector.synchronized)
    assert connector.all_gaps[0].reason == types_pb2.GAP_REASON_SEQUENCE
    await check_all(connector)


async def test_a_lost_connection_is_a_gap_and_is_reopened(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(venue="okx", fault="disconnect", symbol=FIRST, channel="book")
    await connector.until(lambda: not connector.synchronized())
    await connector.until(connector.synchronized)
    await check_all(connector)
    assert {gap.reason for gap in connector.all_gaps} == {types_pb2.GAP_REASON_RECONNECT}
    assert {gap.symbol for gap in connector.all_gaps} == set(SPOT)


async def connections(raw: RawClient) -> int:
    (venue,) = (await raw.get("/../status"))["venues"]
    return venue["connections"]


async def test_no_event_is_missed_after_the_notice_of_a_service_upgrade(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await connector.until(lambda: connector.trade_ids(FIRST))
    assert await connections(raw) == 2
    await raw.order(venue="okx", fault="service_upgrade", symbol=FIRST, channel="book")
    for count in (3, 2):
        while await connections(raw) != count:
            await connector.next_batch()
    await check_all(connector)
    ids = connector.trade_ids(FIRST)
    assert ids == sorted(set(ids))
    assert connector.all_gaps == []


async def test_a_symbol_that_is_not_listed_takes_no_other_with_it(
    connector: ConnectorUnderTest,
) -> None:
    connector.add(["NO-SUCH", "XRP-USDT"])
    book = connector.book("XRP-USDT")
    await connector.until(lambda: book.epoch == 1)
    await check_book(connector, "XRP-USDT")
    assert connector.book("NO-SUCH").epoch == 0
    assert connector.all_gaps == []
