"""The connector against the simulated Deribit: proven books, unbroken trades, and every fault."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.numbers import to_decimal
from kit.conformance.connector_under_test import ConnectorUnderTest
from kit.conformance.connector_under_test import connector as connector_of
from kit.connector.contract.venue import Environment
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import SimulatedMarketView
from tests.support.raw_client import RawClient
from tests.support.waiting import until
from venues.deribit.catalog import deribit
from venues.deribit.feed import DeribitFeedProtocol
from venues.deribit.simulator import deribit_futures
from venues.deribit.simulator.faults import TEST_REQUEST
from venues.deribit.simulator.tests.running import running
from venues.deribit.simulator.websocket import DeribitSession

BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"
BOOK, TRADES = types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_TRADES
OPENING_NS = 1_790_000_000_000_000_000
EVENTS_PER_SECOND = 60
"""Few, so that the feed and a REST answer often tell the same book."""


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=EVENTS_PER_SECOND) as base:
        yield base


def connected(base: str, *symbols: str) -> AbstractAsyncContextManager[ConnectorUnderTest]:
    """Connect without refills of missing trades."""
    place = Environment("simulate", base.rpartition("/")[0])
    return connector_of(deribit(place), symbols, refills=False)


@pytest.fixture
async def connector(base: str) -> AsyncIterator[ConnectorUnderTest]:
    async with connected(base, BTC, ETH) as connector:
        await until(lambda: connector.synchronized(BTC) and connector.synchronized(ETH))
        yield connector


async def check_book(connector: ConnectorUnderTest, raw: RawClient, symbol: str) -> None:
    """It equals what the exchange says, as soon as both are at the same change."""
    for _ in range(200):
        path = f"/api/v2/public/get_order_book?instrument_name={symbol}&depth=10000"
        reported = (await raw.get(path))["result"]
        connector.feed_handler.pipeline.flush()
        book = connector.book(symbol)
        if connector.synchronized(symbol) and book.last_sequence == reported["change_id"]:
            for ours, theirs in ((book.book.bids(), "bids"), (book.book.asks(), "asks")):
                levels = [
                    (Decimal(str(price)), Decimal(str(size))) for price, size in reported[theirs]
                ]
                assert [
                    (to_decimal(price, book.scale.price), to_decimal(size, book.scale.size))
                    for price, size in ours
                ] == levels
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the feed and the exchange never were at the same change")


def check_trades(connector: ConnectorUnderTest, symbol: str) -> None:
    numbers = connector.trade_ids(symbol)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_books_are_proven_and_trades_unbroken(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await until(lambda: len(connector.trade_ids(BTC)) > 20)
    for symbol in (BTC, ETH):
        await check_book(connector, raw, symbol)
        check_trades(connector, symbol)
        assert connector.book(symbol).epoch == 1
    assert not connector.all_gaps
    assert connector.skipped == 0


async def test_every_channel_speaks(connector: ConnectorUnderTest) -> None:
    (wire,) = connector.venue.feed_protocols
    await until(lambda: all(connector.row_count(channel, BTC) for channel in wire.channels))
    mark, row = next(connector.rows(types_pb2.CHANNEL_MARKS, BTC))
    assert mark.mark_price[row] > 0
    assert mark.index_price[row] > 0
    candle, row = next(connector.rows(types_pb2.CHANNEL_CANDLES, BTC))
    assert candle.interval_s[row] == 60


@pytest.mark.parametrize("fault", ["drop", "reorder", "omitted_channel", "previous_mismatch"])
async def test_a_hole_in_a_book_heals_and_disturbs_no_other(
    connector: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    await raw.order(venue="deribit", fault=fault, symbol=BTC, channel="book")
    await until(lambda: connector.gaps(BOOK, BTC))
    await until(lambda: connector.book(BTC).epoch == 2)
    await check_book(connector, raw, BTC)
    (gap,) = connector.gaps(BOOK, BTC)
    assert gap.reason == types_pb2.GAP_REASON_SEQUENCE
    assert not connector.gaps(BOOK, ETH)
    assert connector.book(ETH).epoch == 1
    refused = fault == "omitted_channel"
    assert connector.skipped == int(refused)


async def test_a_repeated_frame_changes_nothing(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    for channel in ("book", "trades"):
        await raw.order(venue="deribit", fault="duplicate", symbol=BTC, channel=channel)
    await until(lambda: connector.feed_handler.row_publisher.dropped_total() >= 2)
    await check_book(connector, raw, BTC)
    check_trades(connector, BTC)
    assert connector.book(BTC).epoch == 1


async def test_a_lost_trade_is_a_gap(connector: ConnectorUnderTest, raw: RawClient) -> None:
    await until(lambda: connector.trade_ids(BTC))
    await raw.order(venue="deribit", fault="drop", symbol=BTC, channel="trades")
    await until(lambda: connector.gaps(TRADES, BTC))
    (gap,) = connector.gaps(TRADES, BTC)
    assert gap.reason == types_pb2.GAP_REASON_SEQUENCE
    numbers = connector.trade_ids(BTC)
    missing = set(range(numbers[0], numbers[-1])) - set(numbers)
    assert missing == set(range(gap.last_id_before + 1, gap.first_id_after))
    assert not connector.gaps(TRADES, ETH)


async def test_an_exchange_that_sends_us_away_is_left_in_good_order(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(venue="deribit", fault="too_many_requests", symbol=BTC, channel="book")
    await until(lambda: connector.book(BTC).epoch > 1 and connector.book(ETH).epoch > 1)
    for symbol in (BTC, ETH):
        await check_book(connector, raw, symbol)
    assert connector.skipped == 1
    await until(lambda: connector.gaps(BOOK, BTC))


@pytest.mark.parametrize("fault", ["disconnect", "reset"])
async def test_after_a_reconnect_the_book_is_the_new_one(
    connector: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    await raw.order(venue="deribit", fault=fault, symbol=BTC, channel="book")
    for symbol in (BTC, ETH):
        await until(lambda symbol=symbol: connector.book(symbol).epoch == 2)
        await check_book(connector, raw, symbol)
        (gap,) = connector.gaps(BOOK, symbol)
        assert gap.reason == types_pb2.GAP_REASON_RECONNECT


async def test_a_test_request_changes_no_data(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(venue="deribit", fault="test_request", channel="book", count=3)
    before = connector.book(BTC).last_sequence
    await until(lambda: connector.book(BTC).last_sequence > before + 50)
    assert connector.skipped == 0
    assert not connector.gaps(BOOK, BTC)


async def test_the_exchange_is_content_with_the_answer_to_its_test_request() -> None:
    exchange, wire = deribit_futures(), DeribitFeedProtocol("ws://127.0.0.1:1")
    market_view = SimulatedMarketView(
        SimulatedMarket("1", OPENING_NS, 100, exchange.instruments), exchange
    )
    session = exchange.open("/ws/api/v2", {})
    assert isinstance(session, DeribitSession)
    (message,) = wire.subscribe([BTC], 1)
    for frame in await exchange.receive(session, message, market_view):
        if b'"result"' in frame:
            (wish,) = wire.read_control_message(frame).replies
            await exchange.receive(session, wish, market_view)
    assert session.heartbeat_s
    said: list[bytes] = []
    for _ in range(10 * session.heartbeat_s):
        said += exchange.tick(session, market_view)
        for frame in said[-1:]:
            for answer in wire.read_control_message(frame).replies:
                await exchange.receive(session, answer, market_view)
        assert not session.closing
    assert TEST_REQUEST in said


async def test_an_instrument_that_is_not_listed_is_rejected(base: str) -> None:
    async with connected(base, BTC, "NOPE-PERPETUAL") as connector:
        await until(lambda: connector.synchronized(BTC))
        await until(lambda: connector.skipped)
        assert connector.skipped == 1


async def test_a_burst_of_trades_loses_none(connector: ConnectorUnderTest, raw: RawClient) -> None:
    await raw.order(venue="deribit", fault="burst", symbol=BTC, value="3000")
    await until(lambda: len(connector.trade_ids(BTC)) > 3000)
    check_trades(connector, BTC)
    await check_book(connector, raw, BTC)
    assert not connector.all_gaps


async def test_an_instrument_can_be_listed_and_followed_later(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(venue="deribit", fault="list", symbol=BTC, value="PEPE")
    connector.add(["PEPE-PERPETUAL"])
    await until(lambda: connector.synchronized("PEPE-PERPETUAL"))
    await check_book(connector, raw, "PEPE-PERPETUAL")
    assert connector.book(BTC).epoch == 1


def test_paper_accounts_pay_funding_all_the_time() -> None:
    hours_ns = 3600 * NANOSECONDS_PER_SECOND
    schedule = deribit(Environment("live", "")).fee_schedule
    assert schedule.continuous_funding_period_ns == 8 * hours_ns
