"""Answers of the simulated Bybit on websockets and over REST."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestResponse, WebsocketSession
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.opened_market import OPENING_NS, SECOND_NS, get_public, opened_market
from venues.bybit.simulator import bybit_spot
from venues.bybit.simulator.websocket import PUBLIC_PATH

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def exchange() -> Dialect:
    return bybit_spot()


@pytest.fixture(scope="module")
def market_view(exchange: Dialect) -> SimulatedMarketView:
    return opened_market(exchange)


@pytest.fixture
def session(exchange: Dialect) -> WebsocketSession:
    session = exchange.open(PUBLIC_PATH, {})
    assert session is not None
    return session


async def say(
    exchange: Dialect, session: WebsocketSession, market_view: SimulatedMarketView, call
) -> list[dict]:
    text = call if isinstance(call, str) else json.dumps(call)
    return [json.loads(answer) for answer in await exchange.receive(session, text, market_view)]


async def ask(
    exchange: Dialect, market_view: SimulatedMarketView, name: str, **query: object
) -> RestResponse:
    return await get_public(exchange, market_view, f"/v5/market/{name}", **query)


async def asked(exchange: Dialect, market_view: SimulatedMarketView, name: str, **query: object):
    answer = await ask(exchange, market_view, name, **({"category": "spot"} | query))
    assert answer.status == 200
    envelope = json.loads(answer.body)
    assert (envelope["retCode"], envelope["retMsg"]) == (0, "OK")
    return envelope["result"]


def subscribe(*topics: str) -> dict[str, object]:
    return {"req_id": 7, "op": "subscribe", "args": topics}


async def test_subscribing_and_unsubscribing(exchange, market_view, session):
    (answer,) = await say(exchange, session, market_view, subscribe("publicTrade.BTCUSDT"))
    assert answer.pop("conn_id")
    assert answer == {"success": True, "ret_msg": "subscribe", "req_id": "7", "op": "subscribe"}
    assert list(session.streams) == ["publicTrade.BTCUSDT"]
    leave = {"op": "unsubscribe", "args": ["publicTrade.BTCUSDT"]}
    (answer,) = await say(exchange, session, market_view, leave)
    assert answer["success"]
    assert not session.streams


async def test_a_book_subscription_begins_with_a_snapshot(exchange, market_view, session):
    topics = ("orderbook.1.BTCUSDT", "orderbook.200.BTCUSDT", "publicTrade.BTCUSDT")
    answer, quote, book = await say(exchange, session, market_view, subscribe(*topics))
    assert answer["success"]
    assert (quote["topic"], quote["type"]) == (topics[0], "snapshot")
    assert (book["topic"], book["type"]) == (topics[1], "snapshot")
    assert quote["data"]["b"] == book["data"]["b"][:1]
    assert len(book["data"]["b"]) == len(book["data"]["a"]) == 200


async def test_ping_is_answered(exchange, market_view, session):
    (answer,) = await say(exchange, session, market_view, {"req_id": "3", "op": "ping"})
    assert (answer["ret_msg"], answer["op"], answer["req_id"]) == ("pong", "ping", "3")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("{", "Failed to decode incoming data:"),
        ('{"op":"subscribe","args":"publicTrade.BTCUSDT"}', "Failed to decode incoming data:"),
        ({"op": "dance"}, "error:invalid op"),
        (subscribe(*(f"kline.1.S{number}USDT" for number in range(11))), "args size >10"),
        (subscribe("tickers.NOPEUSDT"), "Invalid symbol :[tickers.NOPEUSDT]"),
        (subscribe("tickers.BTCUSDT", "tickers.NOPEUSDT"), "Invalid symbol :[tickers.NOPEUSDT]"),
        (
            subscribe("orderbook.30.BTCUSDT"),
            "error:handler not found,topic:orderbook.30.BTCUSDT",
        ),
        (subscribe("tickers.btcusdt"), "Invalid symbol :[tickers.btcusdt]"),
    ],
)
async def test_wrong_requests_are_rejected_as_a_whole(
    exchange, market_view, session, call, words: str
):
    (answer,) = await say(exchange, session, market_view, call)
    assert not answer["success"]
    assert answer["ret_msg"].startswith(words)
    assert not session.streams


async def test_a_second_subscription_to_a_topic_is_rejected(exchange, market_view, session):
    await say(exchange, session, market_view, subscribe("tickers.BTCUSDT"))
    (answer,) = await say(exchange, session, market_view, subscribe("tickers.BTCUSDT"))
    assert answer["ret_msg"] == "error:already subscribed,topic:tickers.BTCUSDT"


def test_only_spot_has_a_public_path(exchange):
    assert exchange.open("/v5/public/linear", {}) is None
    assert exchange.open("/v5/market/time", {}) is None


async def test_the_rest_book_has_the_update_id_of_the_topic_of_200_levels(
    exchange, market_view, session
):
    _, reported = await say(exchange, session, market_view, subscribe("orderbook.200.ETHUSDT"))
    book = await asked(exchange, market_view, "orderbook", symbol="ETHUSDT", limit=50)
    assert (book["u"], book["seq"]) == (reported["data"]["u"], reported["data"]["seq"])
    assert (book["b"], book["a"]) == (reported["data"]["b"][:50], reported["data"]["a"][:50])
    deep = await asked(exchange, market_view, "orderbook", symbol="ETHUSDT", limit=1000)
    assert deep["b"][:50] == book["b"]
    assert len(deep["b"]) > 200
    best = await asked(exchange, market_view, "orderbook", symbol="ETHUSDT")
    assert best["a"] == book["a"][:1]


async def test_recent_trades_are_sixty_newest_first(exchange, market_view):
    rows = (await asked(exchange, market_view, "recent-trade", symbol="BTCUSDT", limit=1000))[
        "list"
    ]
    ids = [int(row["execId"]) for row in rows]
    assert ids == list(range(ids[0], ids[0] - 60, -1))
    newest = market_view.history("BTCUSDT").latest(1)[0]
    assert Decimal(rows[0]["price"]) == Decimal(newest.price)
    assert rows[0]["side"] == ("Buy" if newest.taker_buys else "Sell")


@pytest.mark.parametrize(
    ("interval", "length_ms"),
    [("1", 60_000), ("5", 300_000), ("60", HOUR_MS), ("D", 24 * HOUR_MS)],
)
async def test_candles_follow_one_another_newest_first(exchange, market_view, interval, length_ms):
    rows = (await asked(exchange, market_view, "kline", symbol="BTCUSDT", interval=interval))[
        "list"
    ]
    starts = [int(row[0]) for row in rows]
    assert starts == list(range(starts[0], starts[-1] - 1, -length_ms))
    assert all(start % length_ms == 0 for start in starts)
    first = await asked(
        exchange,
        market_view,
        "kline",
        symbol="BTCUSDT",
        interval=interval,
        start=starts[-1],
        limit=1,
    )
    assert first["list"] == rows[-1:]


async def test_weeks_begin_on_monday_and_months_on_the_first(exchange, market_view):
    week, *_ = (await asked(exchange, market_view, "kline", symbol="BTCUSDT", interval="W"))["list"]
    assert (int(week[0]) // 86_400_000 + 3) % 7 == 0
    month, *_ = (await asked(exchange, market_view, "kline", symbol="BTCUSDT", interval="M"))[
        "list"
    ]
    assert month[0] == "1788220800000"


@pytest.mark.parametrize(
    ("name", "query", "words"),
    [
        ("orderbook", {"symbol": "BTCUSDT"}, "Illegal category"),
        ("orderbook", {"category": "spot"}, "Not supported symbols"),
        ("orderbook", {"category": "spot", "symbol": "NOPE"}, "Not supported symbols"),
        ("orderbook", {"category": "linear", "symbol": "BTCUSDT"}, "Not supported symbols"),
        ("orderbook", {"category": "spot", "symbol": "BTCUSDT", "limit": "x"}, "params error"),
        ("kline", {"category": "spot", "symbol": "BTCUSDT", "interval": "7"}, "Invalid period!"),
        ("instruments-info", {"category": "spot", "symbol": "NOPE"}, "Not supported symbols"),
    ],
)
async def test_wrong_calls_are_rejected_with_bybits_errors(
    exchange, market_view, name, query, words
):
    answer = await ask(exchange, market_view, name, **query)
    assert answer.status == 200
    envelope = json.loads(answer.body)
    assert envelope["retCode"] == 10001
    assert envelope["retMsg"].startswith(words)


async def test_instruments_have_all_members_that_clients_read(exchange, market_view):
    found = (await asked(exchange, market_view, "instruments-info"))["list"]
    symbols = {one["symbol"]: one for one in found}
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT"} <= symbols.keys()
    bitcoin = symbols["BTCUSDT"]
    assert bitcoin["priceFilter"]["tickSize"] == "0.1"
    assert bitcoin["lotSizeFilter"]["basePrecision"] == "0.000001"
    assert "simulator" not in bitcoin
    one = await asked(exchange, market_view, "instruments-info", symbol="ETHUSDT")
    assert one["list"] == [symbols["ETHUSDT"]]
    assert (await asked(exchange, market_view, "instruments-info", category="linear"))["list"] == []
    time = await asked(exchange, market_view, "time")
    assert time["timeNano"] == str(OPENING_NS + 5 * SECOND_NS)
    assert (await ask(exchange, market_view, "dance")).status == 404


def test_every_failure_has_a_body(exchange: Dialect):
    for status in (418, 429, 500):
        assert exchange.failures[status]
