"""From Kraken's frames to numbered batches, invalid frames included."""

import json
from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.books.book_events import UNPROVEN_EPOCH
from kit.connector.contract.venue import Environment
from kit.connector.tests.feeding import Feed, expect_unproven, ids, reasons
from kit.connector.tests.frame_suite import (
    check_invalid_frame,
    check_missing_trades,
    invalid_frames,
    refused_subscriptions,
)
from venues.kraken.catalog import spot
from venues.kraken.simulator.tests.books import BookPublisher
from venues.kraken.tests.test_parse import CANDLE, CANDLES, TICKER

TIME = "2026-09-04T00:21:20.564568Z"


def trades(
    *numbers: int, price: str = "10.50", symbol: str = "BTC/USDT", kind: str = "update"
) -> bytes:
    rows = [
        f'{{"symbol":"{symbol}","side":"buy","price":{price},"qty":1.00000000,"ord_type":"limit",'
        f'"trade_id":{number},"timestamp":"{TIME}"}}'
        for number in numbers
    ]
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'.encode()


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    """Opens a connection without messages."""
    feed = Feed(spot(Environment("replay", "http://127.0.0.1:1")), "BTC/USDT")
    yield feed
    assert not feed.connection.reported


@pytest.mark.parametrize(
    "invalid",
    invalid_frames(
        trades,
        "NEVER/LISTED",
        trades(9, price='"NaN"'),
        b'{"channel":"level3","type":"update","data":[]}',
        b'{"channel":"trade","type":"update","data":5}',
        b'{"channel":"trade","data":"' + b"x" * 9_000_000 + b'"}',
    ),
)
async def test_an_invalid_frame_is_counted_and_the_others_are_read(
    feed: Feed, invalid: bytes
) -> None:
    check_invalid_frame(feed, trades, invalid)


async def test_heartbeats_change_nothing(feed: Feed) -> None:
    status = b'{"channel":"status","type":"update","data":[{"system":"online"}]}'
    pong = b'{"method":"pong","req_id":1,"time_in":"x","time_out":"x"}'
    assert feed.take(b'{"channel":"heartbeat"}', status, pong) == []
    assert not feed.meter.counters.get("skipped_frames_total")


async def test_a_gap_precedes_the_trade_after_missing_ones(feed: Feed) -> None:
    check_missing_trades(feed, trades)


async def test_the_trades_that_a_subscription_begins_with_fill_a_hole(feed: Feed) -> None:
    feed.take(trades(*range(1, 11)))
    feed.reconnect()
    batches = feed.take(trades(*range(3, 53), kind="snapshot"), trades(53))
    assert ids(batches) == list(range(11, 54))
    assert reasons(batches) == []


async def test_a_hole_that_is_too_long_is_a_gap(feed: Feed) -> None:
    feed.take(trades(*range(1, 11)))
    feed.reconnect()
    batches = feed.take(trades(*range(13, 63), kind="snapshot"))
    assert ids(batches) == list(range(13, 63))
    (gap,) = [gap for batch in batches for gap in batch.gaps]
    assert gap.reason == types_pb2.GAP_REASON_RECONNECT
    assert (gap.last_id_before, gap.first_id_after) == (10, 13)


async def test_a_ticker_is_a_quote_too(feed: Feed) -> None:
    quotes, tickers = feed.take(TICKER.replace(b"BTC/USD", b"BTC/USDT"))
    assert list(quotes.quotes.bid_price) == [812050]
    assert list(tickers.tickers.open_price) == [853717]


async def test_a_candle_is_published(feed: Feed) -> None:
    (batch,) = feed.take(CANDLES % CANDLE)
    assert list(batch.candles.interval_s) == [60]
    assert list(batch.candles.closed) == [False]


async def test_updates_wait_for_a_snapshot(feed: Feed) -> None:
    book = BookPublisher()
    begin, update = book.begin("10.0"), book.go_on("11.0")
    expect_unproven(feed.take(update), 1)
    assert feed.feed_handler.book_manager.wanting_snapshot() == ["BTC/USDT"]
    begun, went_on = feed.take(begin, update)
    assert (list(begun.book.snapshot), list(went_on.book.snapshot)) == ([True], [False])
    assert feed.feed_handler.book_manager.wanting_snapshot() == []


async def test_a_missed_update_is_found_by_the_next(feed: Feed) -> None:
    book = BookPublisher()
    feed.take(book.begin("10.0"), book.go_on("11.0"))
    book.go_on("12.0")
    batches = feed.take(book.go_on("13.0"), book.go_on("14.0"))
    assert reasons(batches) == [types_pb2.GAP_REASON_CHECKSUM]
    assert {epoch for one in batches for epoch in one.book.book_epoch} == {UNPROVEN_EPOCH}
    begun, went_on = feed.take(book.begin("15.0"), book.go_on("16.0"))
    assert (list(begun.book.book_epoch), list(went_on.book.book_epoch)) == ([2], [2])
    assert (list(begun.book.snapshot), list(went_on.book.snapshot)) == ([True], [False])


async def test_kept_updates_are_older_than_the_snapshot(feed: Feed) -> None:
    book = BookPublisher()
    feed.take(book.begin("10.0"))
    feed.reconnect()
    feed.take()
    late = book.go_on("11.0")
    begun, went_on = feed.take(late, book.begin("12.0"), book.go_on("13.0"))
    assert list(begun.book.book_epoch) == [UNPROVEN_EPOCH, 2]
    assert (list(begun.book.price), list(went_on.book.price)) == ([110, 120, 200], [130])


async def test_a_rejected_symbol_has_the_state_refused(feed: Feed) -> None:
    refusal = {
        "error": "Currency pair not supported BTC/USDT",
        "method": "subscribe",
        "success": False,
        "symbol": "BTC/USDT",
    }
    feed.take(json.dumps(refusal).encode())
    assert types_pb2.CHANNEL_BOOK in {row.channel for row in refused_subscriptions(feed)}
