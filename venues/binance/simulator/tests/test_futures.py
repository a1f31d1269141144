"""What is different with futures: routes, the chain of ``pu``, two times, marks."""

import itertools
import json
from decimal import Decimal
from pathlib import Path

import pytest

from kit.simulator.dialect import WebsocketSession
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from tests.support.raw_client import lines_of, raw_client
from venues.binance.simulator import binance_futures
from venues.binance.simulator.tests.running import ccxt_futures_client, running
from venues.binance.simulator.tests.test_public import ask, asked, say

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
NAMES = {
    "/public/stream": [
        "btcusdt@trade",
        "btcusdt@bookTicker",
        "btcusdt@depth@100ms",
    ],
    "/market/stream": [
        "btcusdt@aggTrade",
        "btcusdt@kline_1m",
        "btcusdt@miniTicker",
        "btcusdt@ticker",
        "btcusdt@markPrice@1s",
    ],
}
EVERYTHING = [name for names in NAMES.values() for name in names]


class Show:
    """A market, and what is said of it by each route to those who ask for everything."""

    def __init__(self) -> None:
        self.exchange = binance_futures()
        self.market = SimulatedMarket("1", OPENING_NS, 1_000, self.exchange.instruments)
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        self.sessions: dict[str, WebsocketSession] = {}
        self.said: dict[str, dict[str, list[dict]]] = {}

    async def subscribe(self, path: str) -> None:
        session = self.exchange.open(path, {})
        assert session is not None
        call = json.dumps({"method": "SUBSCRIBE", "params": EVERYTHING, "id": 1})
        assert await say(self.exchange, session, self.market_view, call) == {
            "result": None,
            "id": 1,
        }
        self.sessions[path] = session
        self.said[path] = {name: [] for name in EVERYTHING}

    def run(self, seconds: float) -> None:
        until_ns = self.market.time_ns + int(seconds * SECOND_NS)
        while self.market.time_ns < until_ns:
            step = self.market.advance(self.market.time_ns + STEP_NS)
            self.market_view.happened(step)
            wanted = {one for session in self.sessions.values() for one in session.streams.values()}
            for stream, text in self.exchange.encode(step, wanted, self.market_view):
                for path, session in self.sessions.items():
                    if stream in session.streams.values():
                        self.said[path][stream.name].append(json.loads(text)["data"])


@pytest.fixture
async def show() -> Show:
    show = Show()
    show.run(1)
    for path in (*NAMES, "/private/stream", "/stream"):
        await show.subscribe(path)
    return show


async def test_each_route_has_its_streams_and_is_silent_about_the_others(show: Show):
    show.run(4)
    for path, names in NAMES.items():
        assert {name for name, events in show.said[path].items() if events} == set(names)
        assert set(show.sessions[path].streams) == set(EVERYTHING)
    assert not any(show.said["/private/stream"].values())
    assert show.said["/stream"] == show.said["/public/stream"]
    assert show.exchange.open("/fapi/v1/time", {}) is None
    assert show.exchange.open("/neither/stream", {}) is None


async def test_snapshot_and_updates_make_the_markets_book(show: Show):
    show.run(0.15)
    snapshot = await show.market_view.book("BTCUSDT")
    assert snapshot is not None
    bids, asks = dict(snapshot.bids), dict(snapshot.asks)
    show.run(3.85)
    said = show.said["/public/stream"]["btcusdt@depth@100ms"]
    assert all(later["pu"] == earlier["u"] for earlier, later in itertools.pairwise(said))
    updates = [one for one in said if one["u"] >= snapshot.sequence]
    assert updates[0]["U"] <= snapshot.sequence <= updates[0]["u"]
    for update in updates:
        assert update["T"] == update["E"]
        for side, changes in ((bids, update["b"]), (asks, update["a"])):
            for price, size in changes:
                side[price] = size
                if Decimal(size) == 0:
                    del side[price]
    now = await show.market_view.book("BTCUSDT")
    assert now is not None
    assert updates[-1]["u"] == now.sequence
    assert (bids, asks) == (dict(now.bids), dict(now.asks))


async def test_trades_and_quotes_have_both_times_and_their_own_digits(show: Show):
    show.run(2)
    said = show.said["/public/stream"]
    ids = [trade["t"] for trade in said["btcusdt@trade"]]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    trade = said["btcusdt@trade"][-1]
    assert (trade["X"], trade["E"]) == ("MARKET", trade["T"])
    assert [len(trade[key].partition(".")[2]) for key in ("p", "q")] == [2, 3]
    assert Decimal(trade["p"]) % Decimal("0.10") == 0
    quote = said["btcusdt@bookTicker"][-1]
    assert (quote["e"], quote["E"]) == ("bookTicker", quote["T"])
    aggregate = show.said["/market/stream"]["btcusdt@aggTrade"][-1]
    assert aggregate["l"] == trade["t"]


async def test_marks_are_sent_by_the_clock_and_on_request(show: Show):
    show.run(6)
    said = show.said["/market/stream"]
    assert len(said["btcusdt@markPrice@1s"]) == 6
    mark = said["btcusdt@markPrice@1s"][-1]
    assert mark["e"] == "markPriceUpdate"
    assert mark["T"] > mark["E"]
    path = "/fapi/v1/premiumIndex"
    answer = await asked(show.exchange, show.market_view, path, symbol="BTCUSDT")
    assert [answer[key] for key in ("markPrice", "indexPrice", "lastFundingRate")] == [
        mark[key] for key in ("p", "i", "r")
    ]
    everything = await asked(show.exchange, show.market_view, path)
    assert [one["symbol"] for one in everything] == [
        one.symbol for one in show.market_view.listings()
    ]


async def test_exchange_info_lists_perpetuals(show: Show):
    info = await asked(show.exchange, show.market_view, "/fapi/v1/exchangeInfo")
    bitcoin = info["symbols"][0]
    filters = {one["filterType"]: one for one in bitcoin["filters"]}
    assert bitcoin["contractType"] == "PERPETUAL"
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
    assert (await ask(show.exchange, show.market_view, "/api/v3/time")).status == 404


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("depth", {"symbol": "BTCUSDT", "limit": 7}, -4021),
        ("premiumIndex", {"symbol": "NOPE"}, -1121),
        ("aggTrades", {"symbol": "BTCUSDT", "startTime": 0, "endTime": 3_600_001}, -1127),
    ],
)
async def test_wrong_calls_are_rejected_with_errors_of_binance(show: Show, path, query, code):
    answer = await ask(show.exchange, show.market_view, f"/fapi/v1/{path}", **query)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, code)


async def test_depth_has_its_transaction_time(show: Show):
    book = await asked(show.exchange, show.market_view, "/fapi/v1/depth", symbol="BTCUSDT", limit=5)
    assert list(book) == ["lastUpdateId", "E", "T", "bids", "asks"]
    assert [len(book["bids"]), len(book["asks"])] == [5, 5]


async def test_unmodified_ccxt_trades_on_a_simulated_market():
    async with (
        running("simulate", "binance_futures", events_per_second=1_000) as base,
        ccxt_futures_client(base) as client,
    ):
        await client.load_markets()
        market = client.markets["BTC/USDT:USDT"]
        assert (market["swap"], market["precision"]["price"]) == (True, 0.1)
        trades = await client.watch_trades("BTC/USDT:USDT")
        while len(trades) < 5:
            trades += await client.watch_trades("BTC/USDT:USDT")
        ids = [int(trade["id"]) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert await client.fetch_trades("BTC/USDT:USDT", limit=1000)
        nonces = []
        for _ in range(10):
            book = await client.watch_order_book("BTC/USDT:USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            nonces.append(book["nonce"])
        # ccxt returns the book again for an update that ends where the snapshot was taken.
        assert nonces == sorted(nonces)
        assert len(set(nonces)) > 5
        quotes = await client.watch_bids_asks(["ETH/USDT:USDT"])
        assert quotes["ETH/USDT:USDT"]["bid"] < quotes["ETH/USDT:USDT"]["ask"]
        candles = await client.fetch_ohlcv("BTC/USDT:USDT", "1m", limit=10)
        assert candles[1][0] - candles[0][0] == 60_000
        assert (await client.watch_ticker("SOL/USDT:USDT"))["last"] > 0
        assert (await client.watch_ohlcv("BTC/USDT:USDT", "1m"))[-1][0] % 60_000 == 0
        assert (await client.watch_mark_price("BTC/USDT:USDT"))["markPrice"] > 0
        assert (await client.fetch_funding_rate("BTC/USDT:USDT"))["markPrice"] > 0


async def test_unmodified_ccxt_follows_a_replayed_book(captures: Path):
    """The capture has ``depth@0ms``, and ccxt asks for ``depth@100ms``."""
    file = captures / "binance_futures" / "btcusdt_20240808" / "frames.jsonl.gz"
    async with (
        running("replay", "binance_futures", replay=[f"binance_futures={file}"], speed="5") as base,
        ccxt_futures_client(base) as client,
    ):
        await client.load_markets()
        nonces = set()
        while len(nonces) < 20:
            book = await client.watch_order_book("BTC/USDT:USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            nonces.add(book["nonce"])
        assert min(nonces) >= 5_123_107_852_948


def with_frames(captures: Path) -> list[Path]:
    folder = captures / "binance_futures"
    return sorted([*folder.glob("*/frames.jsonl"), *folder.glob("*/frames.jsonl.gz")])


async def test_every_frame_of_every_capture_arrives_once_in_order(captures: Path):
    """By two routes, each with its own streams, as the captures are older than the routes."""
    for file in with_frames(captures):
        frames = [line for line in lines_of(file) if line.startswith(b'{"stream"')]
        streams = {json.loads(line)["stream"] for line in frames}
        slow = {name for name in streams if "aggTrade" in name or "kline" in name}
        async with (
            running(
                "replay", "binance_futures", replay=[f"binance_futures={file}"], speed="max"
            ) as base,
            raw_client(base) as client,
        ):
            routes = {"public": streams - slow, "market": slow}
            for route, names in routes.items():
                if not names:
                    continue
                websocket = await client.connect(f"/{route}/stream?streams={'/'.join(names)}")
                routes[route] = websocket
            for route, wanted in (("public", streams - slow), ("market", slow)):
                for frame in frames:
                    if json.loads(frame)["stream"] in wanted:
                        assert (await routes[route].receive()).data.encode() == frame
            status = await client.get("/../replay/status")
            assert status["venues"][0]["frames_sent"] == len(frames)


async def test_the_snapshot_of_a_capture_is_the_answer_to_depth(captures: Path):
    folder = captures / "binance_futures" / "sushi_akro_2021"
    capture_file = f"binance_futures={folder / 'frames.jsonl'}"
    async with (
        running("replay", "binance_futures", replay=[capture_file], speed="max") as base,
        raw_client(base) as client,
    ):
        recorded = json.loads((folder / "rest" / "fapi_v1_exchangeInfo.json").read_text())
        assert await client.get("/fapi/v1/exchangeInfo") == recorded
        websocket = await client.connect("/public/stream?streams=akrousdt@depth@100ms")
        for symbol in ("AKROUSDT", "SUSHIUSDT"):
            name = f"fapi_v1_depth_symbol_{symbol}_limit_1000.json"
            expected = json.loads((folder / "rest" / name).read_text())
            answer = await client.get(f"/fapi/v1/depth?symbol={symbol}&limit=1000")
            assert answer | {"E": 0, "T": 0} == expected | {"E": 0, "T": 0}
        assert not websocket.closed
