"""From Deribit's frames to numbered batches, rubbish included."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.clock import SystemClock
from kit.cursor import CHANNELS
from kit.numbers import to_decimal
from kit.telemetry import Meter
from kit.venue.books.books import BookState
from kit.venue.connections.subscriptions import Subscriptions
from kit.venue.contract import Answer, Place
from kit.venue.hub import Hub
from kit.venue.intake import Intake
from venues.deribit.catalog import deribit
from venues.deribit.feed import BOOK_STREAM, STREAMS

BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"


def framed(channel: str, data: object) -> bytes:
    head = '{"jsonrpc":"2.0","method":"subscription","params":{"channel":'
    return f'{head}{json.dumps(channel)},"data":{json.dumps(data)}}}}}'.encode()


def trades(*numbers: int, price: float = 10.5, symbol: str = BTC) -> bytes:
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


class Source:
    """A connection that writes down what it is told."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def answered(self, answer: Answer) -> None:
        self.answers.append(answer)

    def broken(self, detail: str) -> None:
        raise AssertionError(detail)


class Feed:
    """An intake, and what has come out of it."""

    def __init__(self, symbols: Sequence[str] = (BTC, ETH)) -> None:
        self.meter = Meter("deribit")
        self.source = Source()
        self._hub = Hub("deribit", 1, SystemClock(), self.meter)
        self.subscriptions = Subscriptions(CHANNELS)
        venue = deribit(Place("replay", "http://127.0.0.1:1"))
        self.wire = venue.wires[0]
        self.intake = Intake(venue, self._hub, self.subscriptions, self.meter, SystemClock())
        self.subscriptions.add(symbols)
        self.intake.bookkeeper.add(symbols)
        self.books = self.intake.bookkeeper.books
        self._reader = self._hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())

    def take(self, *frames: bytes) -> list[batch_pb2.MarketDataBatch]:
        self.intake.frames(list(frames), 7, self.wire, self.source)
        self.intake.flush()
        response = market_data_pb2.SubscribeResponse.FromString(self._reader.take())
        return list(response.batches)


@pytest.fixture
async def feed() -> Feed:
    return Feed()


def ids(batches: list[batch_pb2.MarketDataBatch]) -> list[int]:
    return [number for batch in batches for number in batch.trades.trade_id]


def gaps(batches: list[batch_pb2.MarketDataBatch]) -> list[int]:
    return [gap.reason for batch in batches for gap in batch.gaps]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"not json",
        b"",
        b"\xff\xfe",
        trades(9)[:-1],
        trades(9).replace(b"10.5", b"NaN"),
        trades(9).replace(b"10.5", b"1" * 40),
        trades(9, symbol="NEVER-LISTED"),
        framed("neverHeardOf", {}),
        framed(f"trades.{BTC}.100ms", {}),
        framed(f"trades.{BTC}.100ms", "x" * 9_000_000),
    ],
)
async def test_rubbish_is_counted_and_the_rest_goes_on(feed: Feed, rubbish: bytes) -> None:
    assert ids(feed.take(trades(1), rubbish, trades(2, 3))) == [1, 2, 3]
    assert ids(feed.take(trades(4))) == [4]
    assert feed.meter.counters["skipped_frames_total"] == 1
    assert feed.meter.gaps_total == 0


async def test_what_was_never_asked_for_is_no_rubbish(feed: Feed) -> None:
    grouped = framed(f"book.{BTC}.none.20.100ms", {"bids": [[1.0, 1.0]], "asks": []})
    assert feed.take(grouped, framed("platform_state", {"locked": "false"})) == []
    assert "skipped_frames_total" not in feed.meter.counters


async def test_an_exponent_does_not_spoil_numbers_that_come_later(feed: Feed) -> None:
    (odd,) = feed.take(trades(1, price=5e-05))
    (plain,) = feed.take(trades(2, price=61837.5))
    assert (list(odd.trades.price), odd.instruments[0].price_scale) == ([5], 5)
    assert (list(plain.trades.price), plain.instruments[0].price_scale) == ([618375], 1)


async def test_a_hole_within_a_frame_is_told_before_the_trade_after_it(feed: Feed) -> None:
    first, second = feed.take(trades(1, 2, 5))
    assert (ids([first]), ids([second])) == ([1, 2], [5])
    assert gaps([second]) == [types_pb2.GAP_REASON_SEQUENCE]
    assert (second.gaps[0].last_id_before, second.gaps[0].first_id_after) == (2, 5)
    assert ids(feed.take(trades(1, 2, 5, 6))) == [6]


async def test_a_book_begins_with_the_whole_of_it(feed: Feed) -> None:
    assert feed.take(book(20, 15)) == []
    assert feed.books[BTC].state is BookState.EMPTY
    begun, went_on = feed.take(book(15), book(20, 15), book(31, 20))
    assert (list(begun.book.last_sequence), list(begun.book.snapshot)) == ([15], [True])
    assert list(went_on.book.last_sequence) == [20, 31]
    assert feed.books[BTC].state is BookState.PROVEN


async def test_a_broken_chain_is_a_gap_of_that_book_alone(feed: Feed) -> None:
    feed.take(book(15), book(16, symbol=ETH))
    batches = feed.take(book(31, 20), book(32, 16, symbol=ETH))
    assert gaps(batches) == [types_pb2.GAP_REASON_SEQUENCE]
    assert feed.intake.bookkeeper.wanting_snapshot() == [BTC]
    assert feed.books[ETH].state is BookState.PROVEN
    feed.take(book(40, bid=11.5), book(44, 40, bid=12.5))
    assert (feed.books[BTC].state, feed.books[BTC].epoch) == (BookState.PROVEN, 2)
    assert [price for price, _ in feed.books[BTC].book.bids()] == [125, 115]


async def test_a_snapshot_leaves_nothing_of_the_book_before(feed: Feed) -> None:
    feed.take(book(15, bid=19.5), book(20, 15, bid=18.5))
    feed.take(book(50, bid=11.5))
    assert [price for price, _ in feed.books[BTC].book.bids()] == [115]
    assert feed.books[BTC].state is BookState.PROVEN


async def test_a_test_request_goes_to_its_own_connection(feed: Feed) -> None:
    feed.take(b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}')
    (answer,) = feed.source.answers
    assert json.loads(answer.say[0])["method"] == "public/test"


async def test_a_refused_symbol_is_shown_as_refused(feed: Feed) -> None:
    accepted = [stream.format(BTC) for stream in STREAMS]
    asked = json.loads(feed.wire.subscribe([BTC, ETH], 1)[0])["id"]
    feed.take(json.dumps({"jsonrpc": "2.0", "id": asked, "result": accepted}).encode())
    rows = feed.subscriptions.rows([], connected=True)
    refused = {row.symbol for row in rows if row.state == admin_pb2.SUBSCRIPTION_STATE_REFUSED}
    assert refused == {ETH}


async def test_captured_books_are_proven_to_the_end(captures: Path) -> None:
    lines = (captures / "deribit/options_4_2021/frames.jsonl").read_bytes().splitlines()
    sides: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for line in lines:
        params = json.loads(line, parse_float=Decimal).get("params", {"channel": ""})
        if params["channel"].startswith("book."):
            found = sides.setdefault(params["data"]["instrument_name"], {"bids": {}, "asks": {}})
            for name, side in found.items():
                side.update({price: amount for _, price, amount in params["data"][name]})
    feed = Feed(list(sides))
    feed.take(*lines)
    assert len(sides) == 4
    for symbol, expected in sides.items():
        kept = feed.books[symbol]
        assert (kept.state, kept.epoch) == (BookState.PROVEN, 1)
        for ours, name in ((kept.book.bids(), "bids"), (kept.book.asks(), "asks")):
            scale = kept.scale
            left = {price: amount for price, amount in expected[name].items() if amount}
            assert left == {
                to_decimal(price, scale.price): to_decimal(size, scale.size) for price, size in ours
            }
    assert feed.meter.gaps_total == 0
