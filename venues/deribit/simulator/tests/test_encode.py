"""Frames of a simulated market: the book that they make is the market's own."""

import json
from decimal import Decimal

import pytest

from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.deribit.simulator import deribit_futures
from venues.deribit.simulator.candles import number, plain
from venues.deribit.simulator.instruments import INSTRUMENTS

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
BTC = INSTRUMENTS[0]
SYMBOL = "BTC-PERPETUAL"
TRADES, QUOTE, BOOK = f"trades.{SYMBOL}.100ms", f"quote.{SYMBOL}", f"book.{SYMBOL}.100ms"
TICKER, CHART = f"ticker.{SYMBOL}.100ms", f"chart.trades.{SYMBOL}.1"
NAMES = [TRADES, QUOTE, BOOK, TICKER, CHART]


class Show:
    """A market and all its frames about Bitcoin."""

    def __init__(self, events_per_second: int = 1_000) -> None:
        self.exchange = deribit_futures()
        self.market = SimulatedMarket("1", OPENING_NS, events_per_second, self.exchange.instruments)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        session = self.exchange.open("/ws/api/v2", {})
        assert session is not None
        self.session = session
        self.said: dict[str, list] = {name: [] for name in NAMES}

    async def subscribe(self) -> None:
        call = json.dumps({"id": 1, "method": "public/subscribe", "params": {"channels": NAMES}})
        for text in (await self.exchange.receive(self.session, call, self.market_view))[1:]:
            self.hear(text)

    def hear(self, text: bytes) -> str:
        frame = json.loads(text, parse_float=Decimal)
        assert (frame["jsonrpc"], frame["method"]) == ("2.0", "subscription")
        name = frame["params"]["channel"]
        self.said[name].append(frame["params"]["data"])
        return name

    def run(self, until_ns: int) -> None:
        wanted = set(self.session.streams.values())
        while self.market.time_ns < until_ns:
            step = self.market.advance(self.market.time_ns + STEP_NS)
            self.market_view.happened(step)
            for stream, text in self.exchange.encode(step, wanted, self.market_view):
                assert self.hear(text) == stream.name


@pytest.fixture
async def show() -> Show:
    show = Show()
    show.run(OPENING_NS + SECOND_NS + 3 * STEP_NS)
    await show.subscribe()
    return show


def applied(books: list[dict]) -> dict[str, dict[Decimal, Decimal]]:
    """The book that a snapshot and its changes make, each action checked."""
    sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
    for update in books:
        for name, side in sides.items():
            for action, price, amount in update[name]:
                assert (action == "new") is (price not in side)
                side[price] = amount
                if action == "delete":
                    assert side.pop(price) == 0
    return sides


async def test_snapshot_and_changes_make_the_markets_book(show: Show):
    show.run(OPENING_NS + 4 * SECOND_NS)
    books = show.said[BOOK]
    assert [one["type"] for one in books[:2]] == ["snapshot", "change"]
    assert "prev_change_id" not in books[0]
    last = books[0]["change_id"]
    for change in books[1:]:
        assert change["prev_change_id"] == last
        assert change["change_id"] > last
        last = change["change_id"]
    now = await show.market_view.book(SYMBOL)
    assert now is not None
    assert last == now.sequence
    expected = [
        {Decimal(price): Decimal(size) for price, size in side} for side in (now.bids, now.asks)
    ]
    assert list(applied(books).values()) == expected


async def test_trades_are_consecutive_and_agree_with_history(show: Show):
    show.run(OPENING_NS + 4 * SECOND_NS)
    frames = show.said[TRADES]
    trades = [trade for frame in frames for trade in frame]
    assert len(trades) > len(frames)
    numbers = [trade["trade_seq"] for trade in trades]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    kept = show.market_view.history(SYMBOL).from_id(numbers[0], len(numbers))
    last = None
    for trade, past in zip(trades, kept, strict=True):
        assert (trade["price"], trade["amount"]) == (Decimal(past.price), Decimal(past.size))
        assert (trade["direction"] == "buy") is past.taker_buys
        assert trade["timestamp"] == past.time_ns // 10**6
        assert trade["contracts"] * 10 == trade["amount"]
        if last is not None:
            assert (trade["tick_direction"] in (0, 1)) or trade["price"] <= last
            assert (trade["tick_direction"] in (2, 3)) or trade["price"] >= last
        last = trade["price"]


async def test_quotes_are_the_best_of_the_book(show: Show):
    show.run(OPENING_NS + 2 * SECOND_NS)
    quotes = show.said[QUOTE]
    assert len(quotes) > 50
    assert all(one["best_bid_price"] < one["best_ask_price"] for one in quotes)
    now = await show.market_view.book(SYMBOL)
    assert now is not None
    last = quotes[-1]
    assert [str(last["best_bid_price"]), last["best_bid_amount"]] == [
        now.bids[0][0],
        Decimal(now.bids[0][1]),
    ]


async def test_tickers_have_figures_and_marks(show: Show):
    show.run(OPENING_NS + 3 * SECOND_NS)
    last = show.said[TICKER][-1]
    stats = last["stats"]
    assert stats["low"] <= last["last_price"] <= stats["high"]
    assert stats["low"] <= stats["volume_usd"] / stats["volume"] <= stats["high"]
    mark = show.market_view.mark(SYMBOL)
    assert mark is not None
    assert last["mark_price"] == Decimal(mark.mark_price)
    assert last["index_price"] == Decimal(mark.index_price)
    assert last["current_funding"] == Decimal(mark.funding_rate)


async def test_candles_are_sent_by_the_clock():
    show = Show(events_per_second=100)
    await show.subscribe()
    end_ns = OPENING_NS - OPENING_NS % MINUTE_NS + MINUTE_NS + 2 * SECOND_NS
    show.run(end_ns)
    begin_ms = (end_ns - 2 * SECOND_NS - MINUTE_NS) // 10**6
    candle = [one for one in show.said[CHART] if one["tick"] == begin_ms][-1]
    inside = [
        trade
        for frame in show.said[TRADES]
        for trade in frame
        if begin_ms <= trade["timestamp"] < begin_ms + 60_000
    ]
    assert candle["close"] == inside[-1]["price"]
    assert candle["high"] == max(trade["price"] for trade in inside)
    assert candle["cost"] == sum(trade["amount"] for trade in inside)
    base = sum(trade["amount"] / trade["price"] for trade in inside)
    assert abs(candle["volume"] - base) < Decimal("0.0001")


async def test_no_frames_without_subscribers():
    show = Show()
    show.run(OPENING_NS + 2 * SECOND_NS)
    assert not any(show.said.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("37240", b"37240.0"),
        ("0.50", b"0.5"),
        ("0", b"0.0"),
        ("0.0001", b"0.0001"),
        ("0.00005", b"5e-05"),
        ("-0.00000255", b"-2.55e-06"),
        ("254870.00", b"254870.0"),
    ],
)
def test_numbers_are_bare_and_exact(value: str, text: bytes):
    assert bytes(number(value)) == text
    assert Decimal(text.decode()) == Decimal(value)


@pytest.mark.parametrize(
    ("units", "scale", "text"),
    [(372405, 1, "37240.5"), (372400, 1, "37240.0"), (20, 0, "20.0"), (265050, 2, "2650.5")],
)
def test_prices_have_the_same_text_everywhere(units: int, scale: int, text: str):
    assert plain(units, scale) == text
