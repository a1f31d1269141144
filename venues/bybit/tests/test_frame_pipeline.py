"""From Bybit's frames to numbered batches, invalid frames included."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import to_decimal
from kit.connector.books.book_events import UNPROVEN_EPOCH
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import Environment
from kit.connector.tests.feeding import Feed, expect_unproven, ids, reasons
from kit.connector.tests.frame_suite import (
    check_invalid_frame,
    invalid_frames,
    refused_subscriptions,
)
from venues.bybit.catalog import spot


def trade(number: int, price: str = "10.50", symbol: str = "BTCUSDT") -> bytes:
    row = {"i": str(number), "T": number, "p": price, "v": "1", "S": "Buy", "s": symbol}
    return json.dumps({"topic": f"publicTrade.{symbol}", "data": [row]}).encode()


def book(number: int, price: str = "10.50", kind: str = "delta") -> bytes:
    data = {"s": "BTCUSDT", "b": [[price, "1"]], "a": [["20", "1"]], "u": number, "seq": 1}
    frame = {"topic": "orderbook.200.BTCUSDT", "type": kind, "data": data, "cts": number}
    return json.dumps(frame).encode()


def quote(sequence: int, number: int) -> bytes:
    data = {"s": "BTCUSDT", "b": [["1", "1"]], "a": [["2", "1"]], "u": number, "seq": sequence}
    frame = {"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "data": data, "cts": sequence}
    return json.dumps(frame).encode()


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    """Opens a connection without messages."""
    feed = Feed(spot(Environment("replay", "http://127.0.0.1:1")), "BTCUSDT")
    yield feed
    assert not feed.connection.reported


@pytest.mark.parametrize(
    "invalid",
    invalid_frames(
        trade,
        "NEVERLISTED",
        b'{"topic":"liquidation.BTCUSDT","data":{}}',
        b'{"topic":"publicTrade.BTCUSDT","data":{}}',
        b'{"topic":"publicTrade.BTCUSDT","data":"' + b"x" * 9_000_000 + b'"}',
    ),
)
async def test_an_invalid_frame_is_counted_and_the_others_are_read(
    feed: Feed, invalid: bytes
) -> None:
    check_invalid_frame(feed, trade, invalid)


async def test_a_repeated_trade_is_dropped(feed: Feed) -> None:
    assert ids(feed.take(trade(1), trade(5), trade(1))) == [1, 5]
    assert reasons(feed.take(trade(5))) == []


async def test_missing_trades_after_a_reconnect_are_a_gap(feed: Feed) -> None:
    feed.take(trade(1))
    feed.reconnect()
    batches = feed.take(trade(1), trade(2))
    assert ids(batches) == [2]
    assert reasons(batches) == [types_pb2.GAP_REASON_RECONNECT]


async def test_a_repeated_best_quote_is_dropped(feed: Feed) -> None:
    (batch,) = feed.take(quote(7, 70), quote(7, 70), quote(9, 71))
    assert list(batch.quotes.sequence) == [7, 9]
    assert reasons([batch]) == []


async def test_quotes_continue_when_update_ids_restart(feed: Feed) -> None:
    feed.take(quote(7, 70))
    (batch,) = feed.take(quote(9, 1))
    assert (list(batch.quotes.sequence), reasons([batch])) == ([9], [])


def bid_prices(feed: Feed) -> list[Decimal]:
    kept = feed.book("BTCUSDT")
    return [to_decimal(price, kept.scale.price) for price, _ in kept.book.bids()]


async def test_a_book_begins_with_the_whole_of_it(feed: Feed) -> None:
    expect_unproven(feed.take(book(101)), 1)
    assert feed.book("BTCUSDT").state is BookState.EMPTY
    batches = feed.take(book(100, kind="snapshot"), book(101), book(102))
    assert [one for batch in batches for one in batch.book.last_sequence] == [100, 101, 102]
    assert [one for batch in batches for one in batch.book.snapshot] == [True, False, False]
    assert feed.book("BTCUSDT").state is BookState.SYNCHRONIZED


async def test_a_skipped_update_is_a_gap_until_the_next_snapshot(feed: Feed) -> None:
    feed.take(book(100, kind="snapshot"), book(101))
    (batch,) = feed.take(book(103, price="11"))
    assert reasons([batch]) == [types_pb2.GAP_REASON_SEQUENCE]
    assert feed.feed_handler.book_manager.wanting_snapshot() == ["BTCUSDT"]
    (batch,) = feed.take(book(104))
    assert list(batch.book.book_epoch) == [UNPROVEN_EPOCH]
    feed.take(book(104, price="12", kind="snapshot"), book(105, price="13"))
    assert (feed.book("BTCUSDT").state, feed.book("BTCUSDT").epoch) == (BookState.SYNCHRONIZED, 2)
    assert bid_prices(feed) == [13, 12]


@pytest.mark.parametrize("before", [[], [103, 104]])
async def test_a_restart_of_the_service_replaces_the_book(feed: Feed, before: list[int]) -> None:
    feed.take(book(100, kind="snapshot"), book(101), *map(book, before))
    batches = feed.take(book(1, price="12", kind="snapshot"), book(2, price="13"))
    expected = [] if before else [types_pb2.GAP_REASON_VENUE_RESET]
    assert reasons(batches) == expected
    kept = feed.book("BTCUSDT")
    assert (kept.state, kept.epoch, kept.last_sequence) == (BookState.SYNCHRONIZED, 2, 2)
    assert bid_prices(feed) == [13, 12]


async def test_a_rejected_symbol_has_the_state_refused(feed: Feed) -> None:
    refusal = {"success": False, "ret_msg": "Invalid symbol :[tickers.BTCUSDT]", "op": "subscribe"}
    feed.take(json.dumps(refusal).encode())
    assert types_pb2.CHANNEL_TRADES in {row.channel for row in refused_subscriptions(feed)}
