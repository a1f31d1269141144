"""Frames of a simulated market: a client that follows them has the book of the market."""

import itertools
import json
import zlib
from collections.abc import Callable
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, Frame, WebsocketSession
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.okx.simulator import DIALECTS
from venues.okx.simulator.encode import BOOK_LEVELS

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
PUBLIC = ("trades", "bbo-tbt", "books", "tickers")
MARKS = ("mark-price", "index-tickers", "funding-rate")
BUSINESS = ("candle1m",)


class SimulatedExchange:
    """A market and all its frames about one instrument."""

    def __init__(self, venue_id: str = "okx", events_per_second: float = 1_000) -> None:
        self.exchange: Dialect = DIALECTS[venue_id]()
        self.instrument = self.exchange.instruments[0]
        self.market = SimulatedMarket("1", OPENING_NS, events_per_second, self.exchange.instruments)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        self.symbol = self.exchange.list(self.instrument).symbol
        self.frames: dict[str, list[dict]] = {}
        self.sessions: list[WebsocketSession] = []
        self.fault: Callable[[Frame], list[Frame]] | None = None

    async def subscribe(self, access: str, *channels: str) -> list[dict]:
        """Return the first frames of the subscriptions."""
        session = self.exchange.open(f"/ws/v5/{access}", {})
        assert session is not None
        arguments = [
            {
                "channel": channel,
                "instId": self.symbol.removesuffix("-SWAP") if "index" in channel else self.symbol,
            }
            for channel in channels
        ]
        call = json.dumps({"op": "subscribe", "args": arguments})
        answers = map(json.loads, await self.exchange.receive(session, call, self.market_view))
        self.sessions.append(session)
        return [answer for answer in answers if "event" not in answer]

    async def subscribe_to_all(self) -> list[dict]:
        """Subscribe to every channel of the instrument."""
        marks = MARKS if self.symbol.endswith("SWAP") else ()
        first = await self.subscribe("public", *PUBLIC, *marks)
        return first + await self.subscribe("business", *BUSINESS)

    def run(self, seconds: float) -> None:
        until_ns = self.market.time_ns + int(seconds * SECOND_NS)
        wanted = {stream for session in self.sessions for stream in session.streams.values()}
        while self.market.time_ns < until_ns:
            now_ns = self.market.time_ns
            step = self.market.advance(now_ns - now_ns % STEP_NS + STEP_NS)
            self.market_view.happened(step)
            for frame in self.exchange.encode(step, wanted, self.market_view):
                for stream, text in self.fault(frame) if self.fault else [frame]:
                    said = json.loads(text)
                    channel = said["arg"]["channel"]
                    assert f"{channel}:{said['arg']['instId']}" == stream.name
                    self.frames.setdefault(channel, []).append(said)

    def rows(self, channel: str) -> list[dict]:
        return [row for said in self.frames[channel] for row in said["data"]]


class Follower:
    """A client that keeps the book by the rules, and checks each checksum."""

    def __init__(self, snapshot: dict) -> None:
        assert snapshot["action"] == "snapshot"
        self.sides: tuple[dict, dict] = ({}, {})
        self.sequence = -1
        self.checked = 0
        self.take(snapshot)

    def take(self, said: dict) -> None:
        (row,) = said["data"]
        assert row["prevSeqId"] == self.sequence
        self.sequence = row["seqId"]
        for side, name in zip(self.sides, ("bids", "asks"), strict=True):
            for price, size, zero, orders in row[name]:
                assert (zero, orders) == ("0", "0" if size == "0" else "1")
                side[Decimal(price)] = (price, size)
                if size == "0":
                    del side[Decimal(price)]
            assert len(side) <= BOOK_LEVELS
        if row["checksum"]:
            assert row["checksum"] & 0xFFFFFFFF == self.checksum()
            self.checked += 1

    def levels(self) -> list[list[tuple[str, str]]]:
        bids, asks = self.sides
        return [[bids[at] for at in sorted(bids, reverse=True)], [asks[at] for at in sorted(asks)]]

    def checksum(self) -> int:
        sides = [side[:25] for side in self.levels()]
        pairs = [side[place] for place in range(25) for side in sides if place < len(side)]
        return zlib.crc32(":".join(text for pair in pairs for text in pair).encode())


def market_book(show: SimulatedExchange) -> list[list[tuple[Decimal, Decimal]]]:
    instrument = show.instrument
    return [
        [
            (Decimal(instrument.price_text(ticks)), Decimal(instrument.size_text(lots)))
            for ticks, lots in show.market.levels(instrument, is_bid, BOOK_LEVELS)
        ]
        for is_bid in (True, False)
    ]


def numbers(levels: list[list[tuple[str, str]]]) -> list[list[tuple[Decimal, Decimal]]]:
    return [[(Decimal(price), Decimal(size)) for price, size in side] for side in levels]


async def with_book(show: SimulatedExchange) -> Follower:
    """A client that has subscribed to the book between two updates."""
    show.run(1.03)
    (snapshot,) = await show.subscribe("public", "books")
    return Follower(snapshot)


def follow(show: SimulatedExchange, follower: Follower, seconds: float) -> None:
    show.frames.clear()
    show.run(seconds)
    for said in show.frames.get("books", []):
        follower.take(said)


@pytest.mark.parametrize("venue_id", ["okx", "okx_futures"])
async def test_a_snapshot_and_updates_make_the_book_of_the_market(venue_id: str):
    show = SimulatedExchange(venue_id, events_per_second=3_000)
    follower = await with_book(show)
    follow(show, follower, 4.97)
    assert follower.checked > 40
    assert numbers(follower.levels()) == market_book(show)
    assert follower.sequence == show.market.sequence(show.instrument)


async def test_a_later_subscriber_joins_the_same_stream():
    show = SimulatedExchange()
    first = await with_book(show)
    follow(show, first, 1.02)
    (snapshot,) = await show.subscribe("public", "books")
    second = Follower(snapshot)
    assert (second.sequence, second.levels()) == (first.sequence, first.levels())
    follow(show, second, 0.95)
    for said in show.frames["books"]:
        first.take(said)
    assert second.levels() == first.levels()
    assert numbers(second.levels()) == market_book(show)


async def test_a_subscription_before_the_opening_gets_data_at_the_opening():
    show = SimulatedExchange("okx_futures")
    assert await show.subscribe("public", "books", "funding-rate", "tickers") == []
    show.run(1)
    snapshot, *updates = show.frames["books"]
    follower = Follower(snapshot)
    for update in updates:
        follower.take(update)
    assert numbers(follower.levels()) == market_book(show)
    assert len(show.rows("funding-rate")) == 1


async def test_a_book_without_subscribers_is_removed():
    show = SimulatedExchange()
    await with_book(show)
    show.sessions.clear()
    show.run(1.03)
    show.frames.clear()
    (snapshot,) = await show.subscribe("public", "books")
    follower = Follower(snapshot)
    assert numbers(follower.levels()) == market_book(show)
    follow(show, follower, 1)


async def test_a_quiet_book_gets_an_empty_update_every_minute():
    show = SimulatedExchange(events_per_second=1e-6)
    follower = await with_book(show)
    before = follower.sequence
    follow(show, follower, 125)
    first, second = show.rows("books")
    for row in (first, second):
        assert (row["bids"], row["asks"]) == ([], [])
        assert row["prevSeqId"] == row["seqId"] == before
    assert int(second["ts"]) - int(first["ts"]) == 60_000


def once(show: SimulatedExchange, name: str) -> None:
    """Apply a fault to the next book frame."""

    def act(frame: Frame) -> list[Frame]:
        changed = list(show.exchange.faults[name](frame))
        if changed != [frame]:
            show.fault = None
        return changed

    show.fault = act


async def test_a_restart_of_the_ids_is_one_valid_update():
    show = SimulatedExchange()
    follower = await with_book(show)
    once(show, "sequence_restart")
    follow(show, follower, 2)
    sequences = [row["seqId"] for row in show.rows("books")]
    assert sequences.count(1) == 1
    place = sequences.index(1)
    assert sequences[:place] == sorted(sequences[:place])
    assert sequences[place:] == sorted(sequences[place:])
    assert place > 0
    follow(show, follower, 0.97)
    assert numbers(follower.levels()) == market_book(show)
    (snapshot,) = await show.subscribe("public", "books")
    assert snapshot["data"][0]["seqId"] == follower.sequence


async def test_an_empty_update_is_valid():
    show = SimulatedExchange()
    follower = await with_book(show)
    once(show, "empty_update")
    follow(show, follower, 1)
    (empty,) = [row for row in show.rows("books") if row["prevSeqId"] == row["seqId"]]
    assert (empty["bids"], empty["asks"]) == ([], [])
    assert follower.checked == 12


async def test_faults_make_checksums_zero_or_wrong():
    show = SimulatedExchange()
    follower = await with_book(show)
    once(show, "checksum_zero")
    follow(show, follower, 1)
    assert follower.checked == 10
    once(show, "checksum_wrong")
    with pytest.raises(AssertionError):
        follow(show, follower, 1)


@pytest.mark.parametrize(
    ("name", "event", "code"),
    [("service_upgrade", "notice", "64008"), ("error_without_id", "error", "60018")],
)
async def test_announcements_to_a_connection_have_no_id(name: str, event: str, code: str):
    show = SimulatedExchange()
    await show.subscribe_to_all()
    faults = show.exchange.faults
    stream = next(iter(show.sessions[0].streams.values()))
    frame = (stream, b'{"arg":{}}')
    notice, same = faults[name](frame)
    assert same == frame
    said = json.loads(notice[1])
    assert (said["event"], said["code"]) == (event, code)
    assert "id" not in said
    assert faults["empty_update"](frame) == [frame]
    assert faults["sequence_restart"](frame) == [frame]


async def test_trades_and_quotes_agree_with_history():
    show = SimulatedExchange(events_per_second=6_000)
    await show.subscribe_to_all()
    show.run(4)
    trades = show.rows("trades")
    counts = [int(trade["count"]) for trade in trades]
    assert max(counts) > 1
    first_id = int(trades[0]["tradeId"]) - counts[0] + 1
    history = show.market_view.history(show.symbol)
    matches = iter(history.from_id(first_id, sum(counts)))
    for trade, count in zip(trades, counts, strict=True):
        group = [next(matches) for _ in range(count)]
        assert trade["tradeId"] == str(group[-1].trade_id)
        assert int(trade["ts"]) == group[-1].time_ns // 10**6
        assert Decimal(trade["sz"]) == sum(Decimal(one.size) for one in group)
        price, buys = Decimal(trade["px"]), trade["side"] == "buy"
        assert {(Decimal(one.price), one.taker_buys) for one in group} == {(price, buys)}
    ids = [int(trade["tradeId"]) for trade in trades]
    assert ids == [first_id - 1 + total for total in itertools.accumulate(counts)]
    quotes = show.rows("bbo-tbt")
    assert [row["seqId"] for row in quotes] == sorted({row["seqId"] for row in quotes})
    assert len(quotes) > 100
    assert all(Decimal(one["bids"][0][0]) < Decimal(one["asks"][0][0]) for one in quotes)


async def test_candles_and_tickers_are_sent_by_the_clock():
    show = SimulatedExchange(events_per_second=100)
    await show.subscribe_to_all()
    show.run(62 - OPENING_NS // SECOND_NS % 60)
    rows = show.rows("candle1m")
    (closed,) = [row for row in rows if row[8] == "1"]
    start_ms = int(closed[0])
    trades = [one for one in show.rows("trades") if start_ms <= int(one["ts"]) < start_ms + 60_000]
    assert closed[4] == trades[-1]["px"]
    assert rows[-1][0] == str(start_ms + 60_000)
    assert rows[-1][4] == show.rows("tickers")[-1]["last"]


async def test_mark_index_and_funding_of_swaps_have_three_channels():
    show = SimulatedExchange("okx_futures", events_per_second=100)
    show.run(1)
    begun = await show.subscribe_to_all()
    first = {frame["arg"]["channel"]: frame["data"][0] for frame in begun}
    assert set(MARKS) <= first.keys()
    show.run(60)
    assert len(show.rows("mark-price")) == len(show.rows("index-tickers")) == 300
    assert len(show.rows("funding-rate")) == 1
    assert first["index-tickers"]["instId"] == "BTC-USDT"
    price = Decimal(show.rows("trades")[-1]["px"])
    for row, key in ((show.rows("mark-price")[-1], "markPx"), (first["index-tickers"], "idxPx")):
        assert abs(Decimal(row[key]) / price - 1) < Decimal("0.02")


async def test_no_frames_without_subscribers():
    show = SimulatedExchange()
    show.run(2)
    assert not show.frames
