"""Answers of the simulated Kraken on websockets and over REST."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestRequest, WebsocketSession
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.opened_market import OPENING_NS, SECOND_NS, get_public, opened_market
from venues.kraken.simulator import kraken_spot
from venues.kraken.simulator.streams import make_stream
from venues.kraken.simulator.websocket import HEARTBEAT

PAIR = "XBTUSDT"


@pytest.fixture(scope="module")
def exchange() -> Dialect:
    return kraken_spot()


@pytest.fixture(scope="module")
def market_view(exchange: Dialect) -> SimulatedMarketView:
    return opened_market(exchange)


@pytest.fixture
async def session(exchange: Dialect) -> WebsocketSession:
    session = exchange.open("/v2", {})
    assert session is not None
    return session


async def say(
    exchange: Dialect, session: WebsocketSession, market_view: SimulatedMarketView, **call
) -> list[dict]:
    answers = await exchange.receive(session, json.dumps(call), market_view)
    return [one for one in map(json.loads, answers) if one.get("channel") != "status"]


async def asked(exchange: Dialect, market_view: SimulatedMarketView, name: str, **query: object):
    answer = await get_public(exchange, market_view, f"/0/public/{name}", **query)
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)
    assert found["error"] == []
    return found["result"]


async def test_a_connection_is_greeted_once(exchange, market_view, session: WebsocketSession):
    (status,) = exchange.tick(session, market_view)
    assert json.loads(status)["data"][0]["system"] == "online"
    assert exchange.tick(session, market_view) == []
    assert exchange.open("/v1", {}) is None


async def test_the_greeting_is_sent_before_the_first_answer(
    exchange, market_view, session: WebsocketSession
):
    first, second = await exchange.receive(session, '{"method":"ping"}', market_view)
    assert json.loads(first)["channel"] == "status"
    assert json.loads(second)["method"] == "pong"


async def test_each_symbol_is_acknowledged_before_its_book(exchange, market_view, session):
    params = {"channel": "book", "depth": 25, "symbol": ["BTC/USDT", "ETH/USDT"]}
    answers = await say(exchange, session, market_view, method="subscribe", params=params, req_id=7)
    replies, books = answers[:2], answers[2:]
    assert [one["result"]["symbol"] for one in replies] == ["ETH/USDT", "BTC/USDT"]
    assert all(one["success"] and one["req_id"] == 7 for one in replies)
    assert {one["result"]["depth"] for one in replies} == {25}
    assert [one["type"] for one in books] == ["snapshot", "snapshot"]
    assert {one["data"][0]["symbol"] for one in books} == {"BTC/USDT", "ETH/USDT"}
    assert all(len(one["data"][0]["bids"]) == 25 for one in books)
    assert list(session.streams) == ["book-25 ETH/USDT", "book-25 BTC/USDT"]


async def test_heartbeats_begin_with_a_subscription(
    exchange, market_view, session: WebsocketSession
):
    exchange.tick(session, market_view)
    params = {"channel": "trade", "symbol": ["BTC/USDT"], "snapshot": False}
    (reply,) = await say(exchange, session, market_view, method="subscribe", params=params)
    assert reply["success"] is True
    assert exchange.tick(session, market_view) == [HEARTBEAT]
    (reply,) = await say(exchange, session, market_view, method="unsubscribe", params=params)
    assert reply["success"] is True
    assert exchange.tick(session, market_view) == []


async def test_a_trade_subscription_begins_with_fifty_trades(
    exchange, market_view, session: WebsocketSession
):
    params = {"channel": "trade", "symbol": ["BTC/USDT"]}
    _, snapshot = await say(exchange, session, market_view, method="subscribe", params=params)
    ids = [trade["trade_id"] for trade in snapshot["data"]]
    assert snapshot["type"] == "snapshot"
    assert ids == list(range(ids[-1] - 49, ids[-1] + 1))


async def test_tickers_and_candles_begin_with_a_snapshot(
    exchange, market_view, session: WebsocketSession
):
    params = {"channel": "ticker", "symbol": ["SOL/USDT"], "event_trigger": "bbo"}
    _, ticker = await say(exchange, session, market_view, method="subscribe", params=params)
    figures = ticker["data"][0]
    assert figures["bid"] < figures["ask"]
    assert figures["low"] <= figures["last"] <= figures["high"]
    params = {"channel": "ohlc", "symbol": ["SOL/USDT"], "interval": 1}
    _, candles = await say(exchange, session, market_view, method="subscribe", params=params)
    begins = [candle["interval_begin"] for candle in candles["data"]]
    assert begins == sorted(begins)
    assert len(begins) == 12


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({"method": "dance"}, "Unsupported method dance"),
        ({"method": "subscribe", "params": {"channel": "gossip"}}, "Subscription name invalid"),
        (
            {"method": "subscribe", "params": {"channel": "book", "depth": 7}},
            "Subscription depth not supported",
        ),
        (
            {"method": "subscribe", "params": {"channel": "ohlc", "interval": 2}},
            "Subscription ohlc interval not supported",
        ),
        (
            {"method": "subscribe", "params": {"channel": "trade", "symbol": ["XBT/USDT"]}},
            "Currency pair not supported XBT/USDT",
        ),
        (
            {"method": "unsubscribe", "params": {"channel": "trade", "symbol": ["BTC/USDT"]}},
            "Subscription Not Found",
        ),
        ({"method": "subscribe", "params": {"channel": 5}}, "Malformed request"),
    ],
)
async def test_wrong_requests_are_rejected(exchange, market_view, session, call: dict, error: str):
    (answer,) = await say(exchange, session, market_view, **call)
    assert (answer["error"], answer["success"]) == (error, False)
    assert not session.streams


async def test_a_wrong_symbol_does_not_affect_the_others(
    exchange, market_view, session: WebsocketSession
):
    params = {"channel": "trade", "symbol": ["BTC/USDT", "NOPE/USDT"], "snapshot": False}
    refused, done = await say(exchange, session, market_view, method="subscribe", params=params)
    assert (refused["symbol"], refused["success"]) == ("NOPE/USDT", False)
    assert (done["result"]["symbol"], done["success"]) == ("BTC/USDT", True)
    (again,) = await say(
        exchange,
        session,
        market_view,
        method="subscribe",
        params={**params, "symbol": ["BTC/USDT"]},
    )
    assert again["error"] == "Already subscribed"


async def test_depth_is_the_book_now_cut_to_the_count(exchange, market_view):
    book = (await asked(exchange, market_view, "Depth", pair=PAIR, count=5))[PAIR]
    assert len(book["bids"]) == len(book["asks"]) == 5
    bids, asks = ([Decimal(row[0]) for row in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(len(row[1].partition(".")[2]) == 3 for row in book["bids"])


async def test_trades_since_a_time_are_consecutive(exchange, market_view):
    newest = await asked(exchange, market_view, "Trades", pair=PAIR, count=50)
    ids = [row[6] for row in newest[PAIR]]
    assert ids == list(range(ids[0], ids[0] + 50))
    since = OPENING_NS + SECOND_NS
    first = await asked(exchange, market_view, "Trades", pair=PAIR, since=since, count=100)
    then = await asked(exchange, market_view, "Trades", pair=PAIR, since=first["last"], count=100)
    ids = [row[6] for row in first[PAIR] + then[PAIR]]
    assert ids == sorted(set(ids))
    assert all(row[2] >= since / SECOND_NS for row in first[PAIR])
    in_seconds = await asked(
        exchange, market_view, "Trades", pair=PAIR, since=since // SECOND_NS, count=100
    )
    assert in_seconds == first


@pytest.mark.parametrize("minutes", [1, 5, 60, 1440])
async def test_candles_follow_one_another(exchange, market_view, minutes: int):
    rows = (await asked(exchange, market_view, "OHLC", pair=PAIR, interval=minutes))[PAIR]
    starts = [row[0] for row in rows]
    assert starts == list(range(starts[0], starts[-1] + 1, minutes * 60))
    assert all(start % (minutes * 60) == 0 for start in starts)
    assert len(rows) <= 720
    rest = (
        await asked(exchange, market_view, "OHLC", pair=PAIR, interval=minutes, since=starts[0])
    )[PAIR]
    assert rest == rows[1:] or len(rows) == 720


async def test_a_pair_is_found_by_each_of_its_names(exchange, market_view):
    pairs = await asked(exchange, market_view, "AssetPairs")
    assert pairs["XBTUSDT"]["wsname"] == "XBT/USDT"
    assert pairs["XETHXXBT"]["altname"] == "ETHXBT"
    assert (pairs["XDGUSDT"]["base"], pairs["SOLUSDT"]["base"]) == ("XXDG", "SOL")
    assert pairs["XBTUSDT"]["tick_size"] == "0.1"
    assert (pairs["XBTUSDT"]["pair_decimals"], pairs["XBTUSDT"]["lot_decimals"]) == (1, 8)
    for name in ("XETHXXBT", "ETHXBT", "ETH/XBT", "ETH/BTC"):
        assert list(await asked(exchange, market_view, "AssetPairs", pair=name)) == ["XETHXXBT"]
    assert {"XXBT", "XETH", "USDT"} <= (await asked(exchange, market_view, "Assets")).keys()
    assert (await asked(exchange, market_view, "Time"))["unixtime"] == OPENING_NS // SECOND_NS + 5
    assert (await asked(exchange, market_view, "SystemStatus"))["status"] == "online"
    assert PAIR in await asked(exchange, market_view, "Ticker", pair=PAIR)


@pytest.mark.parametrize(
    ("name", "query", "error"),
    [
        ("Depth", {}, "EGeneral:Invalid arguments"),
        ("Depth", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ("Depth", {"pair": PAIR, "count": "many"}, "EGeneral:Invalid arguments"),
        ("OHLC", {"pair": PAIR, "interval": "7"}, "EGeneral:Invalid arguments"),
        ("Gossip", {}, "EGeneral:Unknown method"),
    ],
)
async def test_wrong_calls_are_rejected_with_krakens_errors(
    exchange, market_view, name, query, error
):
    answer = await exchange.answer(RestRequest("GET", f"/0/public/{name}", query), market_view)
    assert answer.status == 200
    assert json.loads(answer.body) == {"error": [error]}


def test_every_failure_has_a_body(exchange: Dialect):
    for status in (418, 429, 500):
        assert json.loads(exchange.failures[status])["error"][0].startswith("E")


def test_a_bad_checksum_changes_only_the_checksum(exchange: Dialect):
    stream = StreamRegistry(make_stream).get("book-10 BTC/USDT")
    frame = b'{"channel":"book","data":[{"bids":[],"checksum":681655668}]}'
    ((_, wrong),) = exchange.faults["bad_checksum"]((stream, frame))
    assert wrong == frame.replace(b"681655668", b"681655669")
