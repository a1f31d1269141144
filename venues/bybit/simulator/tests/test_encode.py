"""Frames of a simulated market: the book that they make is the market's own."""

import json

import pytest

from kit.simulator.dialect import Channel, WebsocketSession
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.bybit.simulator import bybit_spot
from venues.bybit.simulator.instruments import INSTRUMENTS
from venues.bybit.simulator.websocket import PUBLIC_PATH

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
BTC = INSTRUMENTS[0]
DEPTHS = (1, 50, 200, 1000)
TOPICS = [
    "publicTrade.BTCUSDT",
    *(f"orderbook.{depth}.BTCUSDT" for depth in DEPTHS),
    "kline.1.BTCUSDT",
    "tickers.BTCUSDT",
]


class Show:
    """A market and all its frames about Bitcoin."""

    def __init__(self, events_per_second: int = 1_000) -> None:
        self.exchange = bybit_spot()
        self.market = SimulatedMarket("1", OPENING_NS, events_per_second, self.exchange.instruments)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        session = self.exchange.open(PUBLIC_PATH, {})
        assert session is not None
        self.session: WebsocketSession = session
        self.said: dict[str, list[dict]] = {name: [] for name in TOPICS}

    async def say(self, operation: str, *topics: str) -> None:
        call = json.dumps({"op": operation, "args": topics})
        answer, *snapshots = await self.exchange.receive(self.session, call, self.market_view)
        assert json.loads(answer)["success"]
        for text in snapshots:
            self.hear(text)

    def hear(self, text: bytes) -> None:
        frame = json.loads(text)
        self.said[frame["topic"]].append(frame)

    def run(self, until_ns: int, change=lambda frame: [frame]) -> None:
        wanted = set(self.session.streams.values())
        while self.market.time_ns < until_ns:
            step = self.market.advance(self.market.time_ns + STEP_NS)
            self.market_view.happened(step)
            for frame in self.exchange.encode(step, wanted, self.market_view):
                for stream, text in change(frame):
                    assert json.loads(text)["topic"] == stream.name
                    self.hear(text)

    def best(self, depth: int) -> list[dict[str, str]]:
        return [
            {
                BTC.price_text(ticks).rstrip("0").rstrip("."): lots / 10**BTC.size_scale
                for ticks, lots in self.market.levels(BTC, is_bid, depth)
            }
            for is_bid in (True, False)
        ]


@pytest.fixture
async def show() -> Show:
    show = Show()
    show.run(OPENING_NS + SECOND_NS)
    await show.say("subscribe", *TOPICS)
    return show


def book_of(frames: list[dict], depth: int) -> list[dict[str, float]]:
    """The book that the frames make. Each update id follows the one before."""
    sides: list[dict[str, float]] = [{}, {}]
    last = 0
    for frame in frames:
        data = frame["data"]
        if frame["type"] == "snapshot":
            sides = [{}, {}]
        else:
            assert data["u"] == last + 1
        last = data["u"]
        for side, changes in zip(sides, (data["b"], data["a"]), strict=True):
            for price, size in changes:
                if size == "0":
                    del side[price]
                else:
                    side[price] = float(size)
        assert all(len(side) <= depth for side in sides)
    return sides


@pytest.mark.parametrize("depth", DEPTHS)
async def test_snapshot_and_updates_make_the_markets_book(show: Show, depth: int):
    show.run(OPENING_NS + 5 * SECOND_NS)
    frames = show.said[f"orderbook.{depth}.BTCUSDT"]
    assert [frame["type"] for frame in frames].count("snapshot") == (
        len(frames) if depth == 1 else 1
    )
    assert len(frames) > 10
    assert book_of(frames, depth) == show.best(depth)
    assert frames[-1]["data"]["seq"] <= show.market.sequence(BTC)


async def test_a_new_subscription_gets_a_new_snapshot(show: Show):
    topic = "orderbook.200.BTCUSDT"
    show.run(OPENING_NS + 2 * SECOND_NS)
    await show.say("unsubscribe", topic)
    show.run(OPENING_NS + 3 * SECOND_NS)
    await show.say("subscribe", topic)
    show.run(OPENING_NS + 4 * SECOND_NS)
    assert [frame["type"] for frame in show.said[topic]].count("snapshot") == 2
    assert book_of(show.said[topic], 200) == show.best(200)


async def test_a_quiet_best_quote_is_sent_again_with_its_id():
    show = Show(events_per_second=1)
    show.run(OPENING_NS + SECOND_NS)
    await show.say("subscribe", "orderbook.1.BTCUSDT")
    show.run(OPENING_NS + 30 * SECOND_NS)
    reported = [frame["data"]["u"] for frame in show.said["orderbook.1.BTCUSDT"]]
    assert len(reported) > len(set(reported))
    assert reported == sorted(reported)


async def test_trades_are_consecutive_and_agree_with_history(show: Show):
    show.run(OPENING_NS + 4 * SECOND_NS)
    trades = [row for frame in show.said["publicTrade.BTCUSDT"] for row in frame["data"]]
    ids = [int(trade["i"]) for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    kept = show.market_view.history("BTCUSDT").from_id(ids[0], len(ids))
    for trade, past in zip(trades, kept, strict=True):
        assert (float(trade["p"]), float(trade["v"])) == (float(past.price), float(past.size))
        assert trade["S"] == ("Buy" if past.taker_buys else "Sell")
        assert trade["T"] == past.time_ns // 10**6
    assert any(len(frame["data"]) > 1 for frame in show.said["publicTrade.BTCUSDT"])


async def test_numbers_have_no_trailing_zeros(show: Show):
    show.run(OPENING_NS + 2 * SECOND_NS)
    texts = [
        text
        for frame in show.said["orderbook.50.BTCUSDT"]
        for side in ("b", "a")
        for level in frame["data"][side]
        for text in level
    ]
    assert not [text for text in texts if "." in text and text[-1] in "0."]


async def test_candles_and_tickers_are_sent_by_the_clock():
    show = Show(events_per_second=100)
    show.run(OPENING_NS + SECOND_NS)
    await show.say("subscribe", "kline.1.BTCUSDT", "tickers.BTCUSDT", "publicTrade.BTCUSDT")
    minute_ns = 60 * SECOND_NS
    show.run(OPENING_NS - OPENING_NS % minute_ns + 2 * minute_ns + 2 * SECOND_NS)
    candles = [frame["data"][0] for frame in show.said["kline.1.BTCUSDT"]]
    closed = [candle for candle in candles if candle["confirm"]]
    assert len(closed) == 2
    candle = closed[-1]
    assert candle["end"] - candle["start"] == 59_999
    trades = [row for frame in show.said["publicTrade.BTCUSDT"] for row in frame["data"]]
    inside = [row for row in trades if candle["start"] <= row["T"] <= candle["end"]]
    assert candle["close"] == inside[-1]["p"]
    assert float(candle["volume"]) == pytest.approx(sum(float(row["v"]) for row in inside))
    ticker = show.said["tickers.BTCUSDT"][-1]["data"]
    assert float(ticker["lowPrice24h"]) <= float(ticker["lastPrice"])


async def test_update_ids_restart_with_the_service(show: Show):
    topic = "orderbook.200.BTCUSDT"
    restart = show.exchange.faults["service_restart"]
    show.run(OPENING_NS + 2 * SECOND_NS)
    pending = [topic]

    def change(frame):
        if frame[0].name in pending:
            pending.remove(frame[0].name)
            return restart(frame)
        return [frame]

    show.run(OPENING_NS + 3 * SECOND_NS, change)
    begun = [frame for frame in show.said[topic] if frame["data"]["u"] == 1]
    assert [frame["type"] for frame in begun] == ["snapshot"]
    assert show.said[topic][-1]["data"]["u"] > 1
    assert book_of(show.said[topic], 200) == show.best(200)


async def test_the_other_faults_take_only_their_own_frames(show: Show):
    frames = {}
    show.run(
        OPENING_NS + 2 * SECOND_NS, lambda frame: frames.update({frame[0].channel: frame}) or []
    )
    book, quote = frames[Channel.BOOK], frames[Channel.QUOTES]
    assert show.exchange.faults["update_id_skip"](book) == []
    assert show.exchange.faults["update_id_skip"](quote) == [quote]
    assert show.exchange.faults["same_update_id"](quote) == [quote, quote]
    assert show.exchange.faults["same_update_id"](book) == [book]


async def test_no_frames_without_subscribers():
    show = Show()
    show.run(OPENING_NS + 2 * SECOND_NS)
    assert not any(show.said.values())
