"""From Binance's frames to numbered batches, invalid frames included."""

import json
from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.contract.venue import Environment
from kit.connector.tests.feeding import Feed, expect_unproven, ids
from kit.connector.tests.frame_suite import (
    check_invalid_frame,
    check_missing_trades,
    invalid_frames,
)
from venues.binance.catalog import futures, spot

PLACE = Environment("replay", "http://127.0.0.1:1")


def trade(number: int, price: str = "10.50", symbol: str = "BTCUSDT") -> bytes:
    data = {"e": "trade", "s": symbol, "t": number, "p": price, "q": "1", "T": number, "m": False}
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data}).encode()


def futures_trade(number: int, kind: str = "MARKET", price: str = "10.50") -> bytes:
    data = {"e": "trade", "E": number, "T": number, "s": "BTCUSDT", "t": number, "p": price}
    data |= {"q": "1" if price != "0" else "0", "X": kind, "m": False}
    return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()


def depth(first: int, last: int, price: str = "10.50") -> bytes:
    data = {"E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": [[price, "1"]], "a": []}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode()


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    """Opens a connection without messages."""
    feed = Feed(spot(PLACE), "BTCUSDT")
    yield feed
    assert not feed.connection.reported


@pytest.mark.parametrize(
    "invalid",
    invalid_frames(
        trade,
        "NEVERLISTED",
        b'{"stream":"btcusdt@miniTicker","data":{}}',
        b'{"stream":"btcusdt@kline_1m","data":{}}',
        b'{"stream":"btcusdt@trade","data":[]}',
        b'{"stream":"btcusdt@trade","data":"' + b"x" * 9_000_000 + b'"}',
    ),
)
async def test_an_invalid_frame_is_counted_and_the_others_are_read(
    feed: Feed, invalid: bytes
) -> None:
    check_invalid_frame(feed, trade, invalid)


async def test_an_odd_number_does_not_change_later_numbers(feed: Feed) -> None:
    (odd,) = feed.take(trade(1, price="1e-17"))
    (plain,) = feed.take(trade(2, price="61837.63000000"))
    assert (list(odd.trades.price), odd.instruments[0].price_scale) == ([1], 17)
    assert (list(plain.trades.price), plain.instruments[0].price_scale) == ([6183763000000], 8)


async def test_a_number_that_does_not_fit_is_not_counted_as_seen(feed: Feed) -> None:
    feed.take(trade(1))
    assert ids(feed.take(trade(2, price="123456789012345678"), trade(3, price="0.5"))) == [2, 3]
    assert feed.meter.gaps_total == 0


async def test_a_gap_precedes_the_trade_after_missing_ones(feed: Feed) -> None:
    check_missing_trades(feed, trade)


async def test_updates_wait_for_a_snapshot(feed: Feed) -> None:
    expect_unproven(feed.take(depth(1, 2), depth(3, 4)), 2)
    assert feed.feed_handler.book_manager.wanting_snapshot() == ["BTCUSDT"]
    assert feed.feed_handler.book_manager.snapshot_wanted.is_set()


async def test_a_channel_that_is_not_declared_does_not_stop_others(feed: Feed) -> None:
    feed.subscriptions.remove(["BTCUSDT"])
    feed.subscriptions.channels = (types_pb2.CHANNEL_BOOK,)
    feed.subscriptions.add(["BTCUSDT"])
    expect_unproven(feed.take(trade(1), depth(1, 2)), 1)
    assert feed.skipped == 1


async def test_an_id_without_a_trade_is_no_hole_and_no_trade() -> None:
    feed = Feed(futures(PLACE), "BTCUSDT")
    spent = futures_trade(2, "NA", "0")
    assert ids(feed.take(futures_trade(1), spent, futures_trade(3))) == [1, 3]
    assert feed.take(futures_trade(4, "NA", "0"), futures_trade(5, "INSURANCE_FUND", "99")) == []
    assert ids(feed.take(futures_trade(6))) == [6]
    assert feed.meter.gaps_total == 0
    assert [len(batch.gaps) for batch in feed.take(futures_trade(8))] == [1]
    assert not feed.connection.reported
