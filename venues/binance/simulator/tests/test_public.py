"""Answers of the simulated Binance on websockets and over REST."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestResponse, WebsocketSession
from kit.simulator.faults import FaultInjector
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.opened_market import OPENING_NS, get_public, opened_market
from venues.binance.simulator import binance_spot

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def exchange() -> Dialect:
    return binance_spot()


@pytest.fixture(scope="module")
def market_view(exchange: Dialect) -> SimulatedMarketView:
    return opened_market(exchange)


async def say(
    exchange: Dialect, session: WebsocketSession, market_view: SimulatedMarketView, text: str
) -> dict:
    (answer,) = await exchange.receive(session, text, market_view)
    return json.loads(answer)


async def ask(
    exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object
) -> RestResponse:
    return await get_public(exchange, market_view, path, **query)


async def asked(exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object):
    answer = await ask(exchange, market_view, path, **query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def test_subscribing_and_unsubscribing(exchange: Dialect, market_view: SimulatedMarketView):
    session = exchange.open("/stream", {"streams": "ethusdt@trade"})
    assert session is not None
    subscribe = '{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@depth@100ms"],"id":7}'
    assert await say(exchange, session, market_view, subscribe) == {"result": None, "id": 7}
    unsubscribe = '{"method":"UNSUBSCRIBE","params":["ethusdt@trade"],"id":"x"}'
    assert await say(exchange, session, market_view, unsubscribe) == {"result": None, "id": "x"}
    assert list(session.streams) == ["btcusdt@trade", "btcusdt@depth@100ms"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[5],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["BTC USDT"],"id":1}', 2),
        ('{"method":"DANCE","id":1}', 2),
    ],
)
async def test_wrong_requests_are_rejected(exchange, market_view, text: str, code: int):
    session = exchange.open("/ws", {})
    answer = await say(exchange, session, market_view, text)
    assert answer.get("error", answer)["code"] == code
    assert not session.streams


async def test_too_many_streams_are_rejected(exchange: Dialect, market_view: SimulatedMarketView):
    session = exchange.open("/ws", {})
    assert session is not None
    names = [f"s{number}@trade" for number in range(1_025)]
    call = json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1})
    assert (await say(exchange, session, market_view, call))["error"]["code"] == 2


async def test_a_raw_connection_gets_the_data_only(exchange: Dialect):
    whole = b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'
    for path in ("/ws/btcusdt@trade", "/stream/ws/0"):
        session = exchange.open(path, {})
        assert session is not None
        assert session.shape is not None
        assert session.shape(whole) == b'{"e":"trade"}'
    session = exchange.open("/stream", {})
    assert session is not None
    assert session.shape is None
    assert exchange.open("/api/v3/time", {}) is None


async def test_depth_is_the_book_now_cut_to_the_limit(exchange, market_view):
    book = await asked(exchange, market_view, "/api/v3/depth", symbol="BTCUSDT", limit=5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    whole = await asked(exchange, market_view, "/api/v3/depth", symbol="BTCUSDT", limit=5000)
    assert whole["bids"][:5] == book["bids"]
    assert whole["lastUpdateId"] == book["lastUpdateId"]


async def test_trades_by_id_leave_no_hole(exchange, market_view):
    newest = await asked(exchange, market_view, "/api/v3/trades", symbol="BTCUSDT", limit=50)
    ids = [trade["id"] for trade in newest]
    assert ids == list(range(ids[0], ids[0] + 50))
    path = "/api/v3/historicalTrades"
    again = await asked(exchange, market_view, path, symbol="BTCUSDT", fromId=ids[10], limit=20)
    assert again == newest[10:30]
    together = await asked(
        exchange, market_view, "/api/v3/aggTrades", symbol="BTCUSDT", fromId=ids[0], limit=50
    )
    assert [(one["a"], one["p"], one["q"], one["m"]) for one in together] == [
        (one["id"], one["price"], one["qty"], one["isBuyerMaker"]) for one in newest
    ]
    for trade in newest:
        value = Decimal(trade["price"]) * Decimal(trade["qty"])
        assert abs(Decimal(trade["quoteQty"]) - value) < Decimal("1e-8")


async def test_trades_of_a_time(exchange, market_view):
    start_ms = OPENING_NS // 10**6 + 1_000
    found = await asked(
        exchange, market_view, "/api/v3/aggTrades", symbol="BTCUSDT",
        startTime=start_ms, endTime=start_ms + 999, limit=1000,
    )  # fmt: skip
    assert found
    assert all(start_ms <= one["T"] <= start_ms + 999 for one in found)


@pytest.mark.parametrize(
    ("interval", "length_ms"),
    [("1m", 60_000), ("5m", 300_000), ("1h", HOUR_MS), ("1d", 24 * HOUR_MS)],
)
async def test_candles_follow_one_another(exchange, market_view, interval: str, length_ms: int):
    rows = await asked(exchange, market_view, "/api/v3/klines", symbol="BTCUSDT", interval=interval)
    starts = [row[0] for row in rows]
    assert starts == list(range(starts[0], starts[-1] + 1, length_ms))
    assert all(start % length_ms == 0 for start in starts)
    assert all(row[6] == row[0] + length_ms - 1 for row in rows)
    first = await asked(
        exchange, market_view, "/api/v3/klines", symbol="BTCUSDT", interval=interval,
        startTime=starts[0], limit=1,
    )  # fmt: skip
    assert first == rows[:1]


async def test_weeks_begin_on_monday_and_months_on_the_first(exchange, market_view):
    (*_, week) = await asked(
        exchange, market_view, "/api/v3/klines", symbol="BTCUSDT", interval="1w"
    )
    assert (week[0] // 86_400_000 + 3) % 7 == 0
    (*_, month) = await asked(
        exchange, market_view, "/api/v3/klines", symbol="BTCUSDT", interval="1M"
    )
    assert month[0] == 1_788_220_800_000
    assert month[6] == 1_790_812_800_000 - 1


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/api/v3/depth", {}, -1102),
        ("/api/v3/depth", {"symbol": "NOPE"}, -1121),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "many"}, -1100),
        ("/api/v3/historicalTrades", {"symbol": "BTCUSDT", "fromId": "-5"}, -1100),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("/api/v3/exchangeInfo", {"symbol": "NOPE"}, -1121),
        ("/api/v3/exchangeInfo", {"symbols": "NOPE"}, -1100),
    ],
)
async def test_wrong_calls_are_rejected_with_errors_of_binance(
    exchange, market_view, path, query, code
):
    answer = await ask(exchange, market_view, path, **query)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code


async def test_exchange_info_has_all_members_that_clients_read(exchange, market_view):
    info = await asked(exchange, market_view, "/api/v3/exchangeInfo")
    symbols = {one["symbol"]: one for one in info["symbols"]}
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT"} <= symbols.keys()
    filters = {one["filterType"]: one for one in symbols["BTCUSDT"]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert "simulator" not in symbols["BTCUSDT"]
    (one,) = (await asked(exchange, market_view, "/api/v3/exchangeInfo", symbol="ETHUSDT"))[
        "symbols"
    ]
    assert one == symbols["ETHUSDT"]
    assert (await asked(exchange, market_view, "/fapi/v1/exchangeInfo"))["symbols"] == []
    time = await asked(exchange, market_view, "/api/v3/time")
    assert time == {"serverTime": OPENING_NS // 10**6 + 5_000}


async def test_a_halted_symbol_is_listed_as_halted(exchange, market_view):
    market_view.relist("ETHUSDT", halted=True)
    info = await asked(exchange, market_view, "/api/v3/exchangeInfo")
    market_view.relist("ETHUSDT", halted=False)
    statuses = {one["symbol"]: one["status"] for one in info["symbols"]}
    assert (statuses["ETHUSDT"], statuses["BTCUSDT"]) == ("HALT", "TRADING")


def test_every_failure_has_words(exchange: Dialect):
    assert FaultInjector("binance", 1).quiet
    for status in (418, 429, 500):
        assert json.loads(exchange.failures[status])["code"] < 0
