"""The market of accounts on paper is what the process publishes, in the order of its coming."""

import asyncio
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
from kit.connector.process.hub_source import HubBooks, HubFeed
from kit.connector.publishing.hub import Hub
from kit.connector.tests.refilling import SYMBOL, trades
from kit.execution.paper.market import (
    BookInvalidated,
    BookLevelsChanged,
    MarketEventsLost,
    MarkPriceReported,
    TradeReported,
)
from kit.execution.paper.market_feed_adapter import MarketFeedAdapter
from kit.marketdata.codec import encode
from kit.marketdata.model.columns import BookRows, MarkRows, NumberColumn, PriceLevels, SymbolColumn
from tests.support.waiting import WAIT_SECONDS_MAX, until

TRADES, BOOK, MARKS = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_BOOK,
    types_pb2.CHANNEL_MARKS,
)
D = Decimal


def column(*numbers):
    return np.array(numbers, dtype=np.int64)


def book(bids, asks, last, *, snapshot=True, symbol=SYMBOL):
    """Pairs of price and size; prices have one decimal place."""

    def levels(pairs):
        prices, sizes = zip(*pairs, strict=True) if pairs else ((), ())
        return PriceLevels(
            column(len(pairs)), NumberColumn(column(*prices), 1), NumberColumn(column(*sizes), 0)
        )

    return BookRows(
        symbols=SymbolColumn.of([symbol]),
        first_sequence=column(last),
        last_sequence=column(last),
        previous_sequence=column(last - 1),
        snapshot=column(int(snapshot)),
        checksum=None,
        venue_time_ns=column(last),
        received_time_ns=column(last),
        bids=levels(bids),
        asks=levels(asks),
    )


class Listening:
    """A hub, its books, and a market whose events are kept."""

    def __init__(self, ring_bytes_max=1 << 20):
        self.hub = Hub("venue", 1, SystemClock(), Meter("venue"), ring_bytes_max)
        rules = BookRules(PreviousIdRule(), SnapshotSource.FEED)
        self.books = BookManager(rules, lambda draft: self.hub.publish(BOOK, draft))
        self.books.add([SYMBOL, "OTHER"])
        self.heard = []
        self.market = MarketFeedAdapter(HubFeed(self.hub), HubBooks(self.books), self.heard.extend)
        self.market.watch(frozenset([SYMBOL]))

    def trade(self, *ids, symbol=SYMBOL):
        self.hub.publish(TRADES, encode.rows(trades(ids, symbol=symbol)))


@pytest.fixture
def at():
    return Listening()


def test_it_tells_at_once_what_has_come_up_to_now(at):
    at.books.on_rows(book([(100, 5)], [(101, 2)], 1))
    at.trade(3)
    at.books.on_rows(book([(100, 4)], [(101, 0)], 2, snapshot=False))
    at.trade(1, symbol="OTHER")
    assert at.heard == []
    at.market.catch_up()
    whole, changed, trade = at.heard
    assert isinstance(whole, BookLevelsChanged)
    assert (whole.is_whole, len(whole.levels)) == (True, 2)
    assert changed.levels == [(True, D("10.0"), D(4)), (False, D("10.1"), D(0))]
    assert (changed.is_whole, changed.venue_time_ns) == (False, 2)
    assert trade == TradeReported(SYMBOL, D("3.0"), D(1), True, 3)
    at.market.catch_up()
    assert len(at.heard) == 3


def test_a_trade_that_came_first_is_reported_first(at):
    at.books.on_rows(book([(100, 5)], [(101, 2)], 5))
    at.trade(4, 5)
    at.trade(6)
    at.books.on_rows(book([(100, 4)], [], 6, snapshot=False))
    at.market.catch_up()
    order = [(type(event), event.venue_time_ns) for event in at.heard]
    assert order == [
        (TradeReported, 4),
        (TradeReported, 5),
        (BookLevelsChanged, 5),
        (TradeReported, 6),
        (BookLevelsChanged, 6),
    ]


def test_books_are_shown_while_they_can_be_relied_on(at):
    assert at.market.levels(SYMBOL, True, 5) is None
    at.books.on_rows(book([(100, 5), (99, 1)], [(101, 2)], 1))
    assert at.market.levels(SYMBOL, True, 1) == [(D("10.0"), D(5))]
    assert at.market.levels(SYMBOL, False, None) == [(D("10.1"), D(2))]
    assert at.market.book_time_ns(SYMBOL) == 1
    at.books.mark_in_doubt([SYMBOL], types_pb2.GAP_REASON_RECONNECT, 9, "lost")
    assert at.market.levels(SYMBOL, True, 5) is None
    at.market.catch_up()
    assert at.heard[-1] == BookInvalidated(SYMBOL)
    assert at.market.levels("never seen", True, 5) is None
    assert at.market.keeps(SYMBOL)
    assert not at.market.keeps("never seen")


def test_marks_say_what_they_know(at):
    rows = MarkRows(
        symbols=SymbolColumn.of([SYMBOL]),
        venue_time_ns=column(1),
        received_time_ns=column(2),
        mark_price=NumberColumn.parse(["61000.5"]),
        index_price=NumberColumn.parse(["0"]),
        funding_rate=NumberColumn.parse(["-0.0001"]),
        next_funding_time_ns=column(77),
    )
    at.hub.publish(MARKS, encode.rows(rows))
    at.market.catch_up()
    assert at.heard == [MarkPriceReported(SYMBOL, D("61000.5"), D("-0.0001"), 77, 1)]


def test_what_is_not_watched_is_not_read(at):
    at.market.watch(frozenset())
    at.trade(1)
    at.market.watch(frozenset([SYMBOL]))
    at.trade(2)
    at.market.catch_up()
    assert [event.venue_time_ns for event in at.heard] == [2]


def test_what_came_before_another_is_watched_too_is_reported(at):
    at.trade(1)
    at.market.watch(frozenset([SYMBOL, "OTHER"]))
    at.trade(2, symbol="OTHER")
    at.market.catch_up()
    assert [(event.symbol, event.venue_time_ns) for event in at.heard] == [
        (SYMBOL, 1),
        ("OTHER", 2),
    ]


async def test_it_tells_as_it_comes_and_ends_with_the_venue(at):
    running = asyncio.create_task(at.market.run())
    await asyncio.sleep(0)
    at.trade(7)
    await until(lambda: len(at.heard) == 1)
    at.market.watch(frozenset([SYMBOL, "OTHER"]))
    await asyncio.sleep(0)
    at.trade(8, symbol="OTHER")
    await until(lambda: len(at.heard) == 2)
    at.hub.end(ProcessDraining("the venue is stopping"))
    await asyncio.wait_for(running, WAIT_SECONDS_MAX)
    assert [event.symbol for event in at.heard] == [SYMBOL, "OTHER"]


@pytest.mark.parametrize("runs", [True, False])
async def test_a_reader_that_falls_behind_gets_an_event_and_goes_on(runs):
    at = Listening(ring_bytes_max=200)
    running = asyncio.create_task(at.market.run()) if runs else None
    await asyncio.sleep(0)
    for number in range(1, 50):
        at.trade(number)
    if runs:
        await until(lambda: at.heard)
    else:
        at.market.catch_up()
    assert isinstance(at.heard[0], MarketEventsLost)
    at.trade(99)
    if runs:
        await until(lambda: len(at.heard) == 2)
        running.cancel()
    else:
        at.market.catch_up()
    assert at.heard[1].venue_time_ns == 99
