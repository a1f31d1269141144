"""From OKX's frames to numbered batches, invalid frames included."""

import json
from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import Environment
from kit.connector.tests.feeding import Feed, expect_unproven, ids
from kit.connector.tests.frame_suite import (
    check_invalid_frame,
    check_missing_trades,
    invalid_frames,
)
from venues.okx.catalog import VENUES

SWAP = "BTC-USDT-SWAP"


def frame(channel: str, *rows: object, name: str = SWAP, **rest: object) -> bytes:
    message = {"arg": {"channel": channel, "instId": name}, **rest, "data": rows}
    return json.dumps(message, separators=(",", ":")).encode()


def trade(number: int, count: int = 1, price: str = "10.5", symbol: str = SWAP) -> bytes:
    row = {"instId": symbol, "tradeId": str(number), "px": price, "sz": "1", "side": "buy"}
    return frame("trades", row | {"ts": "5", "count": str(count)}, name=symbol)


def book(previous: int, last: int, price: str = "10.5", size: str = "1") -> bytes:
    row = {"asks": [], "bids": [[price, size, "0", "1"]], "ts": "5", "checksum": 0}
    action = "snapshot" if previous < 0 else "update"
    return frame("books", row | {"prevSeqId": previous, "seqId": last}, action=action)


def quote(time_ms: int, sequence: int) -> bytes:
    row = {"asks": [["11", "1", "0", "1"]], "bids": [["10", "1", "0", "1"]], "ts": str(time_ms)}
    return frame("bbo-tbt", row | {"seqId": sequence})


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    """Opens a connection with answers only."""
    feed = Feed(VENUES["okx_futures"](Environment("replay", "http://127.0.0.1:1")), SWAP)
    yield feed
    assert not feed.connection.breaks


@pytest.mark.parametrize(
    "invalid",
    invalid_frames(
        trade,
        "NEVER-LISTED-SWAP",
        frame("price-limit", {"instId": SWAP}),
        frame("trades", {"instId": SWAP}),
        b'{"arg":{"channel":"trades"},"data":"' + b"x" * 9_000_000 + b'"}',
    ),
)
async def test_an_invalid_frame_is_counted_and_the_others_are_read(
    feed: Feed, invalid: bytes
) -> None:
    check_invalid_frame(feed, trade, invalid)


async def test_a_gap_precedes_the_trade_after_missing_ones(feed: Feed) -> None:
    check_missing_trades(feed, trade)


async def test_a_trade_of_several_matches_is_no_hole(feed: Feed) -> None:
    assert ids(feed.take(trade(1), trade(5, count=4), trade(6))) == [1, 5, 6]
    assert feed.meter.gaps_total == 0
    (batch,) = feed.take(trade(10, count=3))
    assert (batch.gaps[0].last_id_before, batch.gaps[0].first_id_after) == (6, 8)


async def test_quotes_continue_when_ids_restart(feed: Feed) -> None:
    (before,) = feed.take(quote(1, 900), quote(2, 901))
    (after,) = feed.take(quote(3, 5), quote(4, 6))
    assert len(before.quotes.instrument) == len(after.quotes.instrument) == 2
    assert feed.meter.gaps_total == 0


async def test_updates_wait_for_a_snapshot(feed: Feed) -> None:
    expect_unproven(feed.take(book(1, 2), book(2, 3)), 2)
    assert feed.feed_handler.book_manager.wanting_snapshot() == [SWAP]
    assert feed.feed_handler.book_manager.snapshot_wanted.is_set()


async def test_a_book_follows_through_all_that_is_legal(feed: Feed) -> None:
    feed.take(book(-1, 10), book(10, 15, "10.6"), book(15, 15), book(15, 3), book(3, 5, "10.7"))
    kept = feed.book(SWAP)
    assert (kept.state, kept.last_sequence) == (BookState.SYNCHRONIZED, 5)
    assert len(kept.book.bids()) == 3
    assert feed.meter.gaps_total == 0


async def test_a_hole_in_a_book_is_a_gap_until_a_snapshot(feed: Feed) -> None:
    feed.take(book(-1, 10))
    (doubt,) = feed.take(book(12, 13, "10.6"))
    kept = feed.book(SWAP)
    assert [gap.reason for gap in doubt.gaps] == [types_pb2.GAP_REASON_SEQUENCE]
    assert kept.state is BookState.IN_DOUBT
    begun, went_on = feed.take(book(-1, 20, "10.8"), book(20, 21, "10.9"))
    assert [list(one.book.snapshot) for one in (begun, went_on)] == [[True], [False]]
    assert [list(one.book.book_epoch) for one in (begun, went_on)] == [[2], [2]]
    assert (kept.state, kept.last_sequence) == (BookState.SYNCHRONIZED, 21)


async def test_marks_and_candles_become_batches(feed: Feed) -> None:
    (mark,) = feed.take(frame("mark-price", {"instId": SWAP, "markPx": "10.51", "ts": "5"}))
    assert list(mark.marks.mark_price) == [1051]
    index = {"instId": "BTC-USDT", "idxPx": "10.52", "ts": "5"}
    (priced,) = feed.take(frame("index-tickers", index, name="BTC-USDT"))
    assert priced.instruments[0].symbol == SWAP
    assert list(priced.marks.index_price) == [1052]
    row = ["60000", "1", "3", "1", "2", "7", "7", "14", "1"]
    (candle,) = feed.take(frame("candle1m", row), wire=1)
    assert (list(candle.candles.high), list(candle.candles.closed)) == ([3], [True])
    assert feed.skipped == 0


async def test_a_notice_of_the_end_closes_the_connection(feed: Feed) -> None:
    feed.take(b"pong", b'{"event":"notice","code":"64008","msg":"x","connId":"a"}')
    assert [answer.is_closing for answer in feed.connection.answers] == [False, True]
    assert feed.skipped == 0
