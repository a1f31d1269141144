"""From Coinbase's frames to numbered batches: what is missing, and what only looks like it."""

import json
from collections.abc import AsyncIterator, Callable

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import CHANNELS
from kit.connector.books.book_events import UNPROVEN_EPOCH
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import Environment
from kit.connector.tests.feeding import Connection, Feed, ids, reasons
from venues.coinbase.catalog import spot

AT = "2026-09-30T01:41:25.375232Z"
ERROR = b'{"type":"error","message":"failure to subscribe"}'


@pytest.fixture
async def open_feed() -> AsyncIterator[Callable[[str], Feed]]:
    """Opens one of Coinbase's two, to which nothing is to be said."""
    feeds: list[Feed] = []

    def opened(name: str) -> Feed:
        place = Environment("replay", "http://127.0.0.1:1", {"feed": name})
        feeds.append(Feed(spot(place), "BTC-USD", "ETH-USD"))
        return feeds[-1]

    yield opened
    assert not any(answer.replies for feed in feeds for answer in feed.connection.answers)


def envelope(channel: str, number: int, *events: dict) -> bytes:
    frame = {"channel": channel, "timestamp": AT, "sequence_num": number, "events": events}
    return json.dumps(frame, separators=(",", ":")).encode()


def advanced_trades(number: int, *ids: int, kind: str = "update") -> bytes:
    one = {"product_id": "BTC-USD", "price": "10.5", "size": "1", "side": "BUY", "time": AT}
    trades = [one | {"trade_id": str(trade_id)} for trade_id in ids]
    return envelope("market_trades", number, {"type": kind, "trades": trades})


def advanced_book(
    number: int, kind: str, *changes: tuple[str, str, str], product: str = "BTC-USD"
) -> bytes:
    updates = [
        {"side": side, "event_time": AT, "price_level": price, "new_quantity": size}
        for side, price, size in changes
    ]
    event = {"type": kind, "product_id": product, "updates": updates}
    return envelope("l2_data", number, event)


def match(trade_id: int, kind: str = "match") -> bytes:
    frame = {"type": kind, "trade_id": trade_id, "side": "buy", "size": "1", "price": "10.5"}
    return json.dumps(
        {**frame, "product_id": "BTC-USD", "time": AT}, separators=(",", ":")
    ).encode()


def snapshot(bid: str, ask: str) -> bytes:
    frame = {
        "type": "snapshot",
        "product_id": "BTC-USD",
        "asks": [[ask, "1"]],
        "bids": [[bid, "1"]],
    }
    return json.dumps(frame, separators=(",", ":")).encode()


def update(side: str, price: str, size: str = "1") -> bytes:
    frame = {"type": "l2update", "product_id": "BTC-USD", "changes": [[side, price, size]]}
    return json.dumps({**frame, "time": AT}, separators=(",", ":")).encode()


async def test_trades_of_advanced_are_published_oldest_first(open_feed) -> None:
    feed = open_feed("advanced")
    batches = feed.take(advanced_trades(0, 3, 2, 1, kind="snapshot"), advanced_trades(1, 5, 4))
    assert ids(batches) == [1, 2, 3, 4, 5]
    assert reasons(batches) == []


async def test_recent_trades_after_a_reconnect_close_the_hole(open_feed) -> None:
    feed = open_feed("advanced")
    feed.take(advanced_trades(0, 3, 2, 1, kind="snapshot"))
    feed.feed_handler.row_publisher.on_connection_lost(["BTC-USD"], CHANNELS, "lost")
    feed.connection = Connection()
    batches = feed.take(advanced_trades(0, 6, 5, 4, 3, 2, kind="snapshot"))
    assert ids(batches) == [4, 5, 6]
    assert types_pb2.GAP_REASON_SEQUENCE not in reasons(batches)


async def test_a_jump_in_the_numbers_breaks_the_connection(open_feed) -> None:
    feed = open_feed("advanced")
    assert ids(feed.take(advanced_trades(0, 1), advanced_trades(2, 3))) == [1]
    assert feed.connection.breaks == ["frame 1 of the connection is missing"]
    assert ids(feed.take(advanced_trades(3, 4))) == []
    assert len(feed.connection.breaks) == 1


async def test_a_repeated_frame_is_read_once(open_feed) -> None:
    feed = open_feed("advanced")
    first, second = advanced_trades(0, 1), advanced_trades(1, 2)
    assert ids(feed.take(first, first, second)) == [1, 2]
    assert ids(feed.take(second, advanced_trades(2, 3))) == [3]
    assert feed.connection.breaks == []


async def test_answers_and_heartbeats_are_counted_too(open_feed) -> None:
    feed = open_feed("advanced")
    heartbeat = envelope("heartbeats", 1, {"current_time": "now", "heartbeat_counter": 5})
    answer = envelope("subscriptions", 2, {"subscriptions": {"level2": ["BTC-USD"]}})
    assert ids(feed.take(advanced_trades(0, 1), heartbeat, answer, advanced_trades(3, 2))) == [1, 2]
    assert feed.connection.breaks == []
    assert "skipped_frames_total" not in feed.meter.counters


@pytest.mark.parametrize("rubbish", [ERROR, b"not json", b"", b"\xff", advanced_trades(1, 2)[:80]])
async def test_frames_without_a_number_are_counted_and_the_others_are_read(
    open_feed, rubbish
) -> None:
    feed = open_feed("advanced")
    assert ids(feed.take(advanced_trades(0, 1), rubbish, advanced_trades(1, 2))) == [1, 2]
    assert feed.connection.breaks == []
    assert feed.meter.counters["skipped_frames_total"] == 1


async def test_a_damaged_frame_breaks_the_connection_with_the_next(open_feed) -> None:
    feed = open_feed("advanced")
    feed.take(advanced_trades(0, 1), advanced_trades(1, 2)[:-9])
    assert feed.connection.breaks == []
    assert ids(feed.take(advanced_trades(2, 3))) == []
    assert feed.connection.breaks == ["frame 1 of the connection is missing"]


async def test_a_book_of_advanced_begins_with_a_whole_one(open_feed) -> None:
    feed = open_feed("advanced")
    feed.take(advanced_book(0, "update", ("bid", "9", "1")))
    assert feed.book("BTC-USD").state is BookState.EMPTY
    whole = advanced_book(1, "snapshot", ("bid", "10", "1"), ("offer", "11", "1"))
    (first,) = feed.take(whole)
    assert list(first.book.snapshot) == [True]
    assert (list(first.book.bid_count), list(first.book.ask_count)) == ([1], [1])
    (second,) = feed.take(advanced_book(2, "update", ("bid", "10", "0"), ("bid", "9.5", "2")))
    assert list(second.book.snapshot) == [False]
    assert feed.book("BTC-USD").state is BookState.SYNCHRONIZED
    assert feed.book("ETH-USD").state is BookState.EMPTY


@pytest.mark.parametrize("feed_name", ["advanced", "exchange"])
async def test_a_crossed_book_is_in_doubt_until_a_new_snapshot(open_feed, feed_name) -> None:
    frames = {
        "advanced": (
            advanced_book(0, "snapshot", ("bid", "10", "1"), ("offer", "11", "1")),
            advanced_book(1, "update", ("bid", "11", "1")),
            advanced_book(2, "snapshot", ("bid", "11", "1"), ("offer", "12", "1")),
        ),
        "exchange": (snapshot("10", "11"), update("buy", "11"), snapshot("11", "12")),
    }
    whole, crossing, again = frames[feed_name]
    feed = open_feed(feed_name)
    feed.take(whole)
    assert reasons(feed.take(crossing)) == [types_pb2.GAP_REASON_CROSSED]
    assert feed.book("BTC-USD").state is BookState.IN_DOUBT
    assert feed.feed_handler.book_manager.wanting_snapshot() == ["BTC-USD"]
    (healed,) = feed.take(again)
    assert list(healed.book.book_epoch) == [2]
    assert feed.book("BTC-USD").state is BookState.SYNCHRONIZED


async def test_an_update_before_the_whole_book_is_not_applied_to_it(open_feed) -> None:
    feed = open_feed("exchange")
    begun, went_on = feed.take(update("buy", "9", "7"), snapshot("10", "11"), update("sell", "12"))
    assert list(begun.book.book_epoch) == [UNPROVEN_EPOCH, 1]
    assert (list(begun.book.snapshot), list(begun.book.price)) == ([False, True], [9, 10, 11])
    assert (list(went_on.book.snapshot), list(went_on.book.price)) == ([False], [12])
    assert feed.book("BTC-USD").state is BookState.SYNCHRONIZED


async def test_last_match_shows_missed_trades(open_feed) -> None:
    feed = open_feed("exchange")
    assert ids(feed.take(match(1, "last_match"), match(2))) == [1, 2]
    feed.feed_handler.row_publisher.on_connection_lost(["BTC-USD"], CHANNELS, "lost")
    batches = feed.take(match(5, "last_match"))
    (gap,) = [gap for batch in batches for gap in batch.gaps]
    assert (gap.reason, gap.last_id_before, gap.first_id_after) == (
        types_pb2.GAP_REASON_RECONNECT,
        2,
        5,
    )
    assert ids(feed.take(match(5), match(6))) == [6]
