"""Frames of a simulated market: the book that they make is the market's own, and proves itself."""

import json
from collections import defaultdict
from decimal import Decimal

import pytest

from kit.simulator.dialect import WebsocketSession
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.kraken.simulator import kraken_spot
from venues.kraken.simulator.instruments import INSTRUMENTS
from venues.kraken.simulator.tests.books import ClientBook

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
BTC = INSTRUMENTS[0]
CHANNELS = [
    {"channel": "trade"},
    {"channel": "ticker", "event_trigger": "bbo"},
    {"channel": "ticker", "event_trigger": "trades"},
    {"channel": "book", "depth": 10},
    {"channel": "book", "depth": 100},
    {"channel": "ohlc", "interval": 1},
]


class Show:
    """A market and all that it says about Bitcoin. Numbers are kept as the text that they were."""

    def __init__(self, events_per_second: int = 1_000) -> None:
        self.exchange = kraken_spot()
        self.market = SimulatedMarket("1", OPENING_NS, events_per_second, INSTRUMENTS)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        self.session = WebsocketSession()
        self.said: defaultdict[str, list[dict]] = defaultdict(list)

    async def subscribe(self) -> None:
        session = self.exchange.open("/v2", {})
        assert session is not None
        self.session = session
        for channel in CHANNELS:
            call = {"method": "subscribe", "params": {**channel, "symbol": ["BTC/USDT"]}}
            answers = await self.exchange.receive(session, json.dumps(call), self.market_view)
            name = list(session.streams)[-1]
            self.said[name] += [one for one in map(exact, answers) if one.get("type") == "snapshot"]

    def run(self, until_ns: int) -> None:
        wanted = set(self.session.streams.values())
        while self.market.time_ns < until_ns:
            step = self.market.advance(self.market.time_ns + STEP_NS)
            self.market_view.happened(step)
            for stream, text in self.exchange.encode(step, wanted, self.market_view):
                self.said[stream.name].append(exact(text))

    def rows(self, name: str) -> list[dict]:
        return [row for frame in self.said[name] for row in frame["data"]]


def exact(text: bytes) -> dict:
    return json.loads(text, parse_float=str)


@pytest.fixture
async def show() -> Show:
    show = Show()
    show.run(OPENING_NS + SECOND_NS)
    await show.subscribe()
    return show


@pytest.mark.parametrize("depth", [10, 100])
async def test_snapshot_and_updates_make_the_markets_book(show: Show, depth: int):
    show.run(OPENING_NS + 6 * SECOND_NS)
    frames = show.said[f"book-{depth} BTC/USDT"]
    assert [frame["type"] for frame in frames[:2]] == ["snapshot", "update"]
    assert len(frames) > 100
    book = ClientBook(depth)
    for frame in frames:
        book.apply_read(frame)
        assert book.checksum() == frame["data"][0]["checksum"]
    now = await show.market_view.book("BTC/USDT")
    assert now is not None
    for name, levels in (("bids", now.bids), ("asks", now.asks)):
        assert book.levels(name) == [tuple(level) for level in levels[:depth]]


async def test_a_level_beyond_the_depth_is_omitted_and_sent_again(show: Show):
    show.run(OPENING_NS + 6 * SECOND_NS)
    book, pushed, returned = ClientBook(10), set[str](), set[str]()
    for frame in show.said["book-10 BTC/USDT"]:
        before = set(book.sides["bids"])
        book.apply_read(frame)
        mentioned = {level["price"] for level in frame["data"][0]["bids"]}
        returned |= mentioned & pushed
        pushed |= before - set(book.sides["bids"]) - mentioned
    assert returned


async def test_a_second_subscription_joins_the_first(show: Show):
    show.run(OPENING_NS + 2 * SECOND_NS)
    late = show.exchange.open("/v2", {})
    assert late is not None
    call = {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USDT"]}}
    answers = await show.exchange.receive(late, json.dumps(call), show.market_view)
    book = ClientBook(10)
    book.apply_read(exact(answers[-1]))
    heard = len(show.said["book-10 BTC/USDT"])
    show.run(OPENING_NS + 3 * SECOND_NS)
    for frame in show.said["book-10 BTC/USDT"][heard:]:
        book.apply_read(frame)
        assert book.checksum() == frame["data"][0]["checksum"]


async def test_a_subscription_before_the_opening_gets_the_whole_book():
    show = Show()
    await show.subscribe()
    show.run(OPENING_NS + 2 * SECOND_NS)
    for depth in (10, 100):
        book = ClientBook(depth)
        for frame in show.said[f"book-{depth} BTC/USDT"]:
            book.apply_read(frame)
            assert book.checksum() == book.claimed
        assert len(book.levels("bids")) == depth


async def test_numbers_have_all_their_decimal_places(show: Show):
    show.run(OPENING_NS + 2 * SECOND_NS)
    for row in show.rows("book-10 BTC/USDT"):
        for level in row["bids"] + row["asks"]:
            assert [len(level[key].partition(".")[2]) for key in ("price", "qty")] == [1, 8]
    for row in show.rows("trade BTC/USDT"):
        assert [len(row[key].partition(".")[2]) for key in ("price", "qty")] == [1, 8]


async def test_trades_are_consecutive_and_agree_with_history(show: Show):
    show.run(OPENING_NS + 4 * SECOND_NS)
    trades = show.rows("trade BTC/USDT")
    assert show.said["trade BTC/USDT"][0]["type"] == "snapshot"
    ids = [trade["trade_id"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    kept = show.market_view.history("BTC/USDT").from_id(ids[0], len(ids))
    assert [one.trade_id for one in kept] == ids
    for trade, past in zip(trades, kept, strict=True):
        assert (trade["price"], trade["qty"]) == (past.price, past.size)
        assert (trade["side"] == "buy") is past.taker_buys
    many = [frame for frame in show.said["trade BTC/USDT"][1:] if len(frame["data"]) > 1]
    assert many


async def test_quotes_follow_the_best_of_the_book(show: Show):
    show.run(OPENING_NS + 4 * SECOND_NS)
    quotes = show.rows("ticker-bbo BTC/USDT")
    assert len(quotes) > 100
    assert len(show.rows("ticker-trades BTC/USDT")) < len(quotes)
    bid, ask = (show.market.levels(BTC, is_bid, 1)[0] for is_bid in (True, False))
    last = quotes[-1]
    assert (last["bid"], last["bid_qty"]) == (BTC.price_text(bid[0]), BTC.size_text(bid[1]))
    assert (last["ask"], last["ask_qty"]) == (BTC.price_text(ask[0]), BTC.size_text(ask[1]))
    trades = show.rows("trade BTC/USDT")
    assert last["last"] == trades[-1]["price"]
    assert all(Decimal(one["low"]) <= Decimal(one["last"]) for one in quotes)


async def test_candles_are_sent_every_second_and_when_they_close():
    show = Show(events_per_second=100)
    await show.subscribe()
    minute_ns = 60 * SECOND_NS
    show.run(OPENING_NS - OPENING_NS % minute_ns + minute_ns + 2 * SECOND_NS)
    candles = show.rows("ohlc-1 BTC/USDT")
    assert {candle["interval"] for candle in candles} == {1}
    over = candles[-1]["interval_begin"]
    past = [candle for candle in candles if candle["interval_begin"] < over][-1]
    trades = [
        trade
        for trade in show.rows("trade BTC/USDT")
        if past["interval_begin"] <= trade["timestamp"] < over
    ]
    assert past["close"] == trades[-1]["price"]
    volume = sum(Decimal(trade["qty"]) for trade in trades)
    assert Decimal(past["volume"]) == volume


async def test_no_frames_without_subscribers():
    show = Show()
    show.run(OPENING_NS + 2 * SECOND_NS)
    assert not show.said
