"""Frames of a simulated market: the book that they make is the market's own."""

import json
from collections import defaultdict
from decimal import Decimal

import pytest

from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.coinbase.simulator import coinbase_spot
from venues.coinbase.simulator.websocket import CoinbaseSession

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
ADVANCED = ("level2", "market_trades", "ticker", "candles")
EXCHANGE = ("level2_batch", "matches", "ticker")


class Show:
    """A market and all that it says about Bitcoin, on both feeds."""

    def __init__(self, events_per_second: int = 1_000) -> None:
        self.exchange = coinbase_spot()
        self.market = SimulatedMarket("1", OPENING_NS, events_per_second, self.exchange.instruments)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        self.sessions: list[CoinbaseSession] = []
        self.said: defaultdict[str, list[dict]] = defaultdict(list)

    async def subscribe(self) -> None:
        for channel in ADVANCED:
            await self.say({"channel": channel, "product_ids": ["BTC-USD"]}, "advanced")
        await self.say({"channels": EXCHANGE, "product_ids": ["BTC-USD"]}, "exchange")

    async def say(self, message: dict, feed: str) -> None:
        session = self.exchange.open("/", {})
        assert isinstance(session, CoinbaseSession)
        text = json.dumps({"type": "subscribe", **message})
        for answer in await self.exchange.receive(session, text, self.market_view):
            self._hear(feed, answer)
        self.sessions.append(session)

    def run(self, until_ns: int) -> None:
        wanted = {stream for session in self.sessions for stream in session.streams.values()}
        while self.market.time_ns < until_ns:
            next_ns = self.market.time_ns - self.market.time_ns % STEP_NS + STEP_NS
            step = self.market.advance(next_ns)
            self.market_view.happened(step)
            for stream, text in self.exchange.encode(step, wanted, self.market_view):
                self._hear(stream.name.split(".")[0], text)

    def _hear(self, feed: str, text: bytes) -> None:
        frame = json.loads(text.replace(b'"sequence_num":#', b'"sequence_num":0'))
        self.said[f"{feed} {frame.get('channel', frame.get('type'))}"].append(frame)

    def rows(self, channel: str, member: str) -> list[dict]:
        events = [event for frame in self.said[f"advanced {channel}"] for event in frame["events"]]
        return [row for event in events for row in event[member]]


@pytest.fixture
async def show() -> Show:
    show = Show()
    show.run(OPENING_NS + SECOND_NS)
    await show.subscribe()
    return show


async def whole_book(show: Show) -> dict[str, dict[Decimal, Decimal]]:
    now = await show.market_view.book("BTC-USD")
    assert now is not None
    return {
        name: {Decimal(price): Decimal(size) for price, size in side}
        for name, side in (("bid", now.bids), ("offer", now.asks))
    }


async def test_whole_books_and_updates_of_advanced_make_the_markets_book(show: Show) -> None:
    show.run(OPENING_NS + 5 * SECOND_NS)
    frames = show.said["advanced l2_data"]
    assert [frame["events"][0]["type"] for frame in frames].count("snapshot") == 1
    book: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "offer": {}}
    for change in show.rows("l2_data", "updates"):
        side = book[change["side"]]
        side[Decimal(change["price_level"])] = Decimal(change["new_quantity"])
        assert not change["price_level"].endswith(".0")
    assert {
        name: {price: size for price, size in side.items() if size} for name, side in book.items()
    } == await whole_book(show)


async def test_whole_books_and_updates_of_exchange_make_the_markets_book(show: Show) -> None:
    show.run(OPENING_NS + 5 * SECOND_NS)
    (whole,) = show.said["exchange snapshot"]
    sides = {"bid": dict(whole["bids"]), "offer": dict(whole["asks"])}
    for frame in show.said["exchange l2update"]:
        for side, price, size in frame["changes"]:
            sides["bid" if side == "buy" else "offer"][price] = size
    book = {
        name: {Decimal(price): Decimal(size) for price, size in side.items() if Decimal(size)}
        for name, side in sides.items()
    }
    assert book == await whole_book(show)


async def test_trades_of_both_feeds_are_the_same_and_agree_with_history(show: Show) -> None:
    show.run(OPENING_NS + 4 * SECOND_NS)
    matches = [*show.said["exchange last_match"], *show.said["exchange match"]]
    ids = [match["trade_id"] for match in matches]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    kept = show.market_view.history("BTC-USD").from_id(ids[0], len(ids))
    for match, past in zip(matches, kept, strict=True):
        assert (Decimal(match["price"]), Decimal(match["size"])) == (
            Decimal(past.price),
            Decimal(past.size),
        )
        assert match["side"] == ("sell" if past.taker_buys else "buy")
    trades = {int(row["trade_id"]): row for row in show.rows("market_trades", "trades")}
    for match in matches:
        row = trades[match["trade_id"]]
        assert (row["price"], row["size"], row["time"]) == (
            match["price"],
            match["size"],
            match["time"],
        )
        assert row["side"].lower() == match["side"]


async def test_trades_of_advanced_are_newest_first_and_none_twice(show: Show) -> None:
    show.run(OPENING_NS + 4 * SECOND_NS)
    frames = show.said["advanced market_trades"]
    assert [frame["events"][0]["type"] for frame in frames][:2] == ["snapshot", "update"]
    seen = 0
    for frame in frames:
        ids = [int(trade["trade_id"]) for trade in frame["events"][0]["trades"]]
        assert ids == sorted(ids, reverse=True)
        assert ids[-1] > seen
        seen = ids[0]


async def test_tickers_are_sent_with_trades_and_have_the_best_prices(show: Show) -> None:
    show.run(OPENING_NS + 4 * SECOND_NS)
    tickers = show.said["exchange ticker"]
    sequences = [ticker["sequence"] for ticker in tickers]
    assert sequences == sorted(set(sequences))
    by_id = {match["trade_id"]: match for match in show.said["exchange match"]}
    for ticker in tickers[1:]:
        assert ticker["price"] == by_id[ticker["trade_id"]]["price"]
        assert ticker["side"] != by_id[ticker["trade_id"]]["side"]
        assert Decimal(ticker["best_bid"]) < Decimal(ticker["best_ask"])
        last = Decimal(ticker["price"])
        assert Decimal(ticker["low_24h"]) <= last <= Decimal(ticker["high_24h"])
    of_advanced = show.rows("ticker", "tickers")
    assert [row["price"] for row in of_advanced] == [one["price"] for one in tickers]


async def test_five_minute_candles_are_sent_every_second(show: Show) -> None:
    show.run(OPENING_NS + 4 * SECOND_NS)
    first, *later = [frame["events"][0] for frame in show.said["advanced candles"]]
    assert (first["type"], len(first["candles"])) == ("snapshot", 100)
    assert len(later) == 3
    newest = later[-1]["candles"][-1]
    trades = show.market_view.history("BTC-USD").latest(1)
    assert Decimal(newest["close"]) == Decimal(trades[0].price)
    assert newest["product_id"] == "BTC-USD"


async def test_a_subscription_before_the_opening_gets_snapshots() -> None:
    show = Show()
    await show.subscribe()
    show.run(OPENING_NS + SECOND_NS)
    (whole,) = show.said["exchange snapshot"]
    kinds = [frame["events"][0]["type"] for frame in show.said["advanced l2_data"]]
    assert len(whole["bids"]) > 10
    assert kinds == ["snapshot", *["update"] * (len(kinds) - 1)]


def test_no_frames_without_subscribers() -> None:
    show = Show()
    show.run(OPENING_NS + 2 * SECOND_NS)
    assert not show.said
