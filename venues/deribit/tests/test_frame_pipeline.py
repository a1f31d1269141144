"""From Deribit's frames to numbered batches, invalid frames included."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import to_decimal
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import Environment
from kit.connector.tests.feeding import Feed, expect_unproven, ids, reasons
from kit.connector.tests.frame_suite import (
    check_invalid_frame,
    invalid_frames,
    refused_subscriptions,
)
from venues.deribit.catalog import deribit
from venues.deribit.feed import BOOK_STREAM, STREAMS

PLACE = Environment("replay", "http://127.0.0.1:1")
BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"


def framed(channel: str, data: object) -> bytes:
    head = '{"jsonrpc":"2.0","method":"subscription","params":{"channel":'
    return f'{head}{json.dumps(channel)},"data":{json.dumps(data)}}}}}'.encode()


def trades(*numbers: int, price: float | str = 10.5, symbol: str = BTC) -> bytes:
    rows = [
        {
            "trade_seq": number,
            "timestamp": number,
            "price": price,
            "instrument_name": symbol,
            "direction": "buy",
            "amount": 10.0,
        }
        for number in numbers
    ]
    return framed(f"trades.{symbol}.100ms", rows)


def book(change_id: int, previous: int = 0, bid: float = 10.5, symbol: str = BTC) -> bytes:
    data: dict[str, object] = {"type": "snapshot", "timestamp": change_id}
    if previous:
        data = {"type": "change", "timestamp": change_id, "prev_change_id": previous}
    data |= {"instrument_name": symbol, "change_id": change_id}
    data |= {"bids": [["new", bid, 10.0]], "asks": [["new", 20.0, 10.0]]}
    return framed(BOOK_STREAM.format(symbol), data)


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    """Opens a connection with answers only."""
    feed = Feed(deribit(PLACE), BTC, ETH)
    yield feed
    assert not feed.connection.breaks


@pytest.mark.parametrize(
    "invalid",
    invalid_frames(
        trades,
        "NEVER-LISTED",
        trades(9).replace(b"10.5", b"NaN"),
        trades(9).replace(b"10.5", b"1" * 40),
        framed("neverHeardOf", {}),
        framed(f"trades.{BTC}.100ms", {}),
        framed(f"trades.{BTC}.100ms", "x" * 9_000_000),
    ),
)
async def test_an_invalid_frame_is_counted_and_the_others_are_read(
    feed: Feed, invalid: bytes
) -> None:
    check_invalid_frame(feed, trades, invalid)


async def test_unrequested_channels_are_not_invalid(feed: Feed) -> None:
    grouped = framed(f"book.{BTC}.none.20.100ms", {"bids": [[1.0, 1.0]], "asks": []})
    assert feed.take(grouped, framed("platform_state", {"locked": "false"})) == []
    assert "skipped_frames_total" not in feed.meter.counters


async def test_an_exponent_does_not_change_later_numbers(feed: Feed) -> None:
    (odd,) = feed.take(trades(1, price=5e-05))
    (plain,) = feed.take(trades(2, price=61837.5))
    assert (list(odd.trades.price), odd.instruments[0].price_scale) == ([5], 5)
    assert (list(plain.trades.price), plain.instruments[0].price_scale) == ([618375], 1)


async def test_a_gap_for_a_hole_within_a_frame_precedes_the_next_trade(feed: Feed) -> None:
    first, second = feed.take(trades(1, 2, 5))
    assert (ids([first]), ids([second])) == ([1, 2], [5])
    assert reasons([second]) == [types_pb2.GAP_REASON_SEQUENCE]
    assert (second.gaps[0].last_id_before, second.gaps[0].first_id_after) == (2, 5)
    assert ids(feed.take(trades(1, 2, 5, 6))) == [6]


async def test_a_book_begins_with_the_whole_of_it(feed: Feed) -> None:
    expect_unproven(feed.take(book(20, 15)), 1)
    assert feed.book(BTC).state is BookState.EMPTY
    begun, went_on = feed.take(book(15), book(20, 15), book(31, 20))
    assert (list(begun.book.last_sequence), list(begun.book.snapshot)) == ([15], [True])
    assert list(went_on.book.last_sequence) == [20, 31]
    assert feed.book(BTC).state is BookState.SYNCHRONIZED


async def test_a_broken_chain_is_a_gap_of_that_book_alone(feed: Feed) -> None:
    feed.take(book(15), book(16, symbol=ETH))
    batches = feed.take(book(31, 20), book(32, 16, symbol=ETH))
    assert reasons(batches) == [types_pb2.GAP_REASON_SEQUENCE]
    assert feed.feed_handler.book_manager.wanting_snapshot() == [BTC]
    assert feed.book(ETH).state is BookState.SYNCHRONIZED
    feed.take(book(40, bid=11.5), book(44, 40, bid=12.5))
    assert (feed.book(BTC).state, feed.book(BTC).epoch) == (BookState.SYNCHRONIZED, 2)
    assert [price for price, _ in feed.book(BTC).book.bids()] == [125, 115]


async def test_a_snapshot_replaces_the_whole_book(feed: Feed) -> None:
    feed.take(book(15, bid=19.5), book(20, 15, bid=18.5))
    feed.take(book(50, bid=11.5))
    assert [price for price, _ in feed.book(BTC).book.bids()] == [115]
    assert feed.book(BTC).state is BookState.SYNCHRONIZED


async def test_a_test_request_goes_to_its_own_connection(feed: Feed) -> None:
    feed.take(b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}')
    (answer,) = feed.connection.answers
    assert json.loads(answer.replies[0])["method"] == "public/test"


async def test_a_rejected_symbol_has_the_state_refused(feed: Feed) -> None:
    accepted = [stream.format(BTC) for stream in STREAMS]
    asked = json.loads(feed.venue.feed_protocols[0].subscribe([BTC, ETH], 1)[0])["id"]
    feed.take(json.dumps({"jsonrpc": "2.0", "id": asked, "result": accepted}).encode())
    assert {row.symbol for row in refused_subscriptions(feed)} == {ETH}


async def test_captured_books_are_proven_to_the_end(captures: Path) -> None:
    lines = (captures / "deribit/options_4_2021/frames.jsonl").read_bytes().splitlines()
    sides: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for line in lines:
        params = json.loads(line, parse_float=Decimal).get("params", {"channel": ""})
        if params["channel"].startswith("book."):
            found = sides.setdefault(params["data"]["instrument_name"], {"bids": {}, "asks": {}})
            for name, side in found.items():
                side.update({price: amount for _, price, amount in params["data"][name]})
    feed = Feed(deribit(PLACE), *sides)
    feed.take(*lines)
    assert len(sides) == 4
    for symbol, expected in sides.items():
        kept = feed.book(symbol)
        assert (kept.state, kept.epoch) == (BookState.SYNCHRONIZED, 1)
        for ours, name in ((kept.book.bids(), "bids"), (kept.book.asks(), "asks")):
            scale = kept.scale
            left = {price: amount for price, amount in expected[name].items() if amount}
            assert left == {
                to_decimal(price, scale.price): to_decimal(size, scale.size) for price, size in ours
            }
    assert feed.meter.gaps_total == 0
    assert not feed.connection.breaks
