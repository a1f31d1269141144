"""Frames of a simulated market: the book that they make is the market's own."""

import json

import pytest

from kit.simulator.dialect import WebsocketSession
from kit.simulator.market import INSTRUMENTS, SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.binance.simulator import binance_spot

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
BTC = INSTRUMENTS[0]
NAMES = [
    "btcusdt@trade",
    "btcusdt@aggTrade",
    "btcusdt@bookTicker",
    "btcusdt@depth@100ms",
    "btcusdt@kline_1m",
    "btcusdt@miniTicker",
    "btcusdt@ticker",
]


class Show:
    """A market and all its frames about Bitcoin."""

    def __init__(self, events_per_second: int = 1_000) -> None:
        self.exchange = binance_spot()
        self.market = SimulatedMarket("1", OPENING_NS, events_per_second, self.exchange.instruments)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        self.session = WebsocketSession()
        self.said: dict[str, list[dict]] = {name: [] for name in NAMES}

    async def subscribe(self) -> None:
        call = json.dumps({"method": "SUBSCRIBE", "params": NAMES, "id": 1})
        session = self.exchange.open("/stream", {})
        assert session is not None
        await self.exchange.receive(session, call, self.market_view)
        self.session = session

    def run(self, until_ns: int) -> None:
        wanted = set(self.session.streams.values())
        while self.market.time_ns < until_ns:
            step = self.market.advance(self.market.time_ns + STEP_NS)
            self.market_view.happened(step)
            for stream, text in self.exchange.encode(step, wanted, self.market_view):
                frame = json.loads(text)
                assert frame["stream"] == stream.name
                self.said[stream.name].append(frame["data"])


@pytest.fixture
async def show() -> Show:
    show = Show()
    show.run(OPENING_NS + SECOND_NS)
    await show.subscribe()
    return show


def levels(rows) -> dict[str, str]:
    return dict(rows)


async def test_snapshot_and_updates_make_the_markets_book(show: Show):
    show.run(OPENING_NS + SECOND_NS + 150_000_000)
    snapshot = await show.market_view.book("BTCUSDT")
    assert snapshot is not None
    bids, asks = levels(snapshot.bids), levels(snapshot.asks)
    show.run(OPENING_NS + 5 * SECOND_NS)
    updates = [one for one in show.said["btcusdt@depth@100ms"] if one["u"] > snapshot.sequence]
    assert updates[0]["U"] <= snapshot.sequence + 1 <= updates[0]["u"]
    last = updates[0]["U"] - 1
    for update in updates:
        assert update["U"] == last + 1
        last = update["u"]
        for side, changes in ((bids, update["b"]), (asks, update["a"])):
            for price, size in changes:
                short = price[:-6], size[:-3]
                assert (price[-6:], size[-3:]) == ("000000", "000")
                side[short[0]] = short[1]
                if float(size) == 0:
                    del side[short[0]]
    now = await show.market_view.book("BTCUSDT")
    assert now is not None
    assert last == now.sequence
    assert (bids, asks) == (levels(now.bids), levels(now.asks))


async def test_trades_and_quotes_are_consecutive_and_agree_with_history(show: Show):
    show.run(OPENING_NS + 4 * SECOND_NS)
    trades = show.said["btcusdt@trade"]
    ids = [trade["t"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    kept = show.market_view.history("BTCUSDT").from_id(ids[0], len(ids))
    assert [one.trade_id for one in kept] == ids
    for trade, past in zip(trades, kept, strict=True):
        assert (trade["p"], trade["q"]) == (past.price + "000000", past.size + "000")
        assert trade["m"] is not past.taker_buys
        assert trade["T"] == past.time_ns // 10**6
    assert [one["a"] for one in show.said["btcusdt@aggTrade"]] == ids
    sequences = [quote["u"] for quote in show.said["btcusdt@bookTicker"]]
    assert sequences == sorted(sequences)
    assert len(sequences) > 100
    assert all(float(one["b"]) < float(one["a"]) for one in show.said["btcusdt@bookTicker"])


async def test_candles_and_tickers_are_sent_by_the_clock():
    show = Show(events_per_second=100)
    await show.subscribe()
    minute_ns = 60 * SECOND_NS
    end_ns = OPENING_NS - OPENING_NS % minute_ns + minute_ns + 2 * SECOND_NS
    show.run(end_ns)
    closed = [one for one in show.said["btcusdt@kline_1m"] if one["k"]["x"]]
    assert len(closed) == 1
    candle = closed[0]["k"]
    assert candle["T"] - candle["t"] == 59_999
    trades = [one for one in show.said["btcusdt@trade"] if candle["t"] <= one["T"] <= candle["T"]]
    assert candle["L"] == trades[-1]["t"]
    assert candle["c"] == trades[-1]["p"]
    mini, full = show.said["btcusdt@miniTicker"][-1], show.said["btcusdt@ticker"][-1]
    assert mini["c"] == full["c"]
    assert len(show.said["btcusdt@ticker"]) == len(show.said["btcusdt@miniTicker"])


async def test_no_frames_without_subscribers():
    show = Show()
    show.run(OPENING_NS + 2 * SECOND_NS)
    assert not any(show.said.values())
