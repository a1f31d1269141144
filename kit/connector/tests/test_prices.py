"""Prices as the process itself publishes them."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from kit.base.errors import ProcessDraining
from kit.base.telemetry import Meter
from kit.connector.books.book_manager import BookManager
from kit.connector.books.sequence_rules import PreviousIdRule
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.connector.process.hub_source import HubBooks, HubFeed, LastTrades
from kit.connector.publishing.hub import Hub
from kit.connector.tests.refilling import SYMBOL, FakeHistory, trades
from kit.execution.account_registry import no_data_problem
from kit.execution.prices.reference_prices import FeedPrices, MarkPrices, TimedPrice
from kit.marketdata.codec import encode
from kit.marketdata.model.columns import (
    BookRows,
    MarkRows,
    NumberColumn,
    PriceLevels,
    SymbolColumn,
)
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX, until

GAP = types_pb2.GAP_REASON_STALE


def book(bids, asks, last=1):
    """A whole book; prices have one decimal place."""

    def column(*numbers):
        return np.array(numbers, dtype=np.int64)

    def levels(prices):
        return PriceLevels(
            column(len(prices)),
            NumberColumn(column(*prices), 1),
            NumberColumn(column(*[1] * len(prices)), 0),
        )

    return BookRows(
        symbols=SymbolColumn.of([SYMBOL]),
        first_sequence=column(last),
        last_sequence=column(last),
        previous_sequence=column(0),
        snapshot=column(1),
        checksum=None,
        venue_time_ns=column(last),
        received_time_ns=column(last),
        bids=levels(bids),
        asks=levels(asks),
    )


@pytest.fixture
def books():
    keeper = BookManager(BookRules(PreviousIdRule(), SnapshotSource.FEED), lambda draft: None)
    keeper.add([SYMBOL])
    return keeper


@pytest.fixture
def hub():
    return Hub("venue", 1, SystemClock(), Meter("venue"))


def test_the_best_prices_are_those_of_a_proven_book(hub, books):
    prices = FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem)
    assert prices.best(SYMBOL) is None
    books.on_rows(book([100, 99], [101, 102]))
    assert prices.best(SYMBOL) == (Decimal("10.0"), Decimal("10.1"))
    books.mark_in_doubt([SYMBOL], GAP, 0, "lost")
    assert prices.best(SYMBOL) is None
    assert prices.best("other") is None


def test_a_book_with_one_side_has_no_best_prices(hub, books):
    books.on_rows(book([100], []))
    assert FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem).best(SYMBOL) is None


class TradeListener:
    """Records the prices of the trades it receives."""

    def __init__(self, *symbols):
        self.symbols = set(symbols)
        self.prices = []
        self.ages_ns = []

    def on_trade(self, symbol, price, age_ns):
        assert symbol in self.symbols
        self.prices.append(price)
        self.ages_ns.append(age_ns)


async def test_every_trade_is_delivered_in_order(hub, books):
    prices, listener = (
        FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem),
        TradeListener(SYMBOL),
    )
    prices.listen(listener)
    running = asyncio.create_task(prices.run())
    await asyncio.sleep(0)
    hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(trades([7, 8])))
    hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(trades([9], price="0.25")))
    await until(lambda: len(listener.prices) == 3)
    running.cancel()
    assert listener.prices == [Decimal(7), Decimal(8), Decimal("0.25")]


async def test_trade_has_its_age_where_the_venue_states_its_time(hub, books):
    prices = FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem)
    listener = TradeListener(SYMBOL)
    prices.listen(listener)
    running = asyncio.create_task(prices.run())
    await asyncio.sleep(0)
    for venue_time_ns in (40, 101, 0):
        times = np.array([venue_time_ns], dtype=np.int64)
        rows = replace(trades([7]), venue_time_ns=times, received_time_ns=times * 0 + 100)
        hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(rows))
    await until(lambda: len(listener.prices) == 3)
    running.cancel()
    assert listener.ages_ns == [60, 0, 0]


async def test_only_trades_of_wanted_symbols_are_delivered(hub, books):
    prices, listener, other = (
        FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem),
        TradeListener(),
        TradeListener("other"),
    )
    prices.listen(listener)
    prices.listen(other)
    running = asyncio.create_task(prices.run())
    await asyncio.sleep(0)
    hub.reader({}, earliest=(), latest=(), symbols=frozenset())  # only followers can be behind
    for number in (7, 8, 9):
        hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(trades([number])))
        await until(lambda: not hub.unread_bytes_share())
        listener.symbols ^= {SYMBOL}
    hub.end(ProcessDraining("the venue is stopping"))
    await asyncio.wait_for(running, WAIT_SECONDS_MAX)
    assert listener.prices == [Decimal(8)]
    assert other.prices == []


async def test_a_listener_that_falls_behind_gets_the_newest_trade(books):
    hub = Hub("venue", 1, SystemClock(), Meter("venue"), bytes_max=200)
    prices, listener = (
        FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem),
        TradeListener(SYMBOL),
    )
    prices.listen(listener)
    running = asyncio.create_task(prices.run())
    await asyncio.sleep(0)
    hub.reader({}, earliest=(), latest=(), symbols=frozenset())  # only followers can be behind
    for number in range(1, 50):
        hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(trades([number])))
    await asyncio.sleep(0)
    await until(lambda: not hub.unread_bytes_share())
    hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(trades([99])))
    await until(lambda: listener.prices)
    running.cancel()
    assert listener.prices == [Decimal(99)]


async def test_it_ends_with_the_venue(hub, books):
    prices, listener = (
        FeedPrices(HubFeed(hub), HubBooks(books), no_data_problem),
        TradeListener(SYMBOL),
    )
    prices.listen(listener)
    running = asyncio.create_task(prices.run())
    await asyncio.sleep(0)
    hub.publish(types_pb2.CHANNEL_TRADES, encode.rows(trades([7])))
    hub.end(ProcessDraining("the venue is stopping"))
    await asyncio.wait_for(running, WAIT_SECONDS_MAX)
    assert listener.prices == [Decimal(7)]


def marks(price, received_time_ns):
    """One row of marks."""
    times = np.array([received_time_ns], dtype=np.int64)
    return MarkRows(
        SymbolColumn.of([SYMBOL]),
        venue_time_ns=times * 0,
        received_time_ns=times,
        mark_price=NumberColumn.parse([price]),
        index_price=NumberColumn.parse(["0"]),
        funding_rate=NumberColumn.parse(["0"]),
        next_funding_time_ns=times * 0,
    )


async def test_the_newest_mark_price_is_known_once_it_is_asked_for(hub):
    prices = MarkPrices(HubFeed(hub), SystemClock(), stale_s=60)
    running = asyncio.create_task(prices.run())
    await asyncio.sleep(0)
    hub.publish(types_pb2.CHANNEL_MARKS, encode.rows(marks("6.5", 1)))
    await asyncio.sleep(0)
    assert await prices.find(SYMBOL) is None
    for price, time_ns in (("7.5", 2), ("8.25", 3)):
        hub.publish(types_pb2.CHANNEL_MARKS, encode.rows(marks(price, time_ns)))
    newest = TimedPrice(Decimal("8.25"), 3)
    while await prices.find(SYMBOL) != newest:
        await asyncio.sleep(0.01)
    assert await prices.find("other") is None
    running.cancel()


async def test_an_old_mark_price_is_not_known_any_more(hub):
    clock = ManualClock()
    prices = MarkPrices(HubFeed(hub), clock, stale_s=10)
    running = asyncio.create_task(prices.run())
    await prices.find(SYMBOL)
    await asyncio.sleep(0)
    hub.publish(types_pb2.CHANNEL_MARKS, encode.rows(marks("7.5", 2)))
    while await prices.find(SYMBOL) is None:
        await asyncio.sleep(0)
    await clock.advance(10)
    assert await prices.find(SYMBOL) is not None
    await clock.advance(1)
    assert await prices.find(SYMBOL) is None
    running.cancel()


async def test_the_last_trade_of_the_venue_is_the_newest():
    history = FakeHistory()
    assert await LastTrades(history).newest(SYMBOL) is None
    history.kept = {5, 6, 7}
    assert await LastTrades(history).newest(SYMBOL) == TimedPrice(Decimal(7), 7)
