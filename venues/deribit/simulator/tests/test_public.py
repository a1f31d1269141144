"""Answers of the simulated Deribit on websockets and over REST."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestResponse, WebsocketSession
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.opened_market import OPENING_NS, get_public, opened_market
from venues.deribit.simulator import deribit_futures
from venues.deribit.simulator.faults import TEST_REQUEST
from venues.deribit.simulator.websocket import HEARTBEAT

HOUR_MS = 3_600_000
BTC = "BTC-PERPETUAL"


@pytest.fixture(scope="module")
def exchange() -> Dialect:
    return deribit_futures()


@pytest.fixture(scope="module")
def market_view(exchange: Dialect) -> SimulatedMarketView:
    return opened_market(exchange)


@pytest.fixture
def session(exchange: Dialect) -> WebsocketSession:
    session = exchange.open("/ws/api/v2", {})
    assert session is not None
    return session


async def say(exchange, session, market_view, method: str, **params) -> list[dict]:
    call = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answers = await exchange.receive(session, json.dumps(call), market_view)
    return [json.loads(answer, parse_float=Decimal) for answer in answers]


async def ask(
    exchange: Dialect, market_view: SimulatedMarketView, method: str, **query: object
) -> RestResponse:
    return await get_public(exchange, market_view, f"/api/v2/public/{method}", **query)


async def asked(exchange: Dialect, market_view: SimulatedMarketView, method: str, **query: object):
    answer = await ask(exchange, market_view, method, **query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body, parse_float=Decimal)["result"]


async def test_subscribing_and_unsubscribing(exchange, session, market_view):
    names = [f"trades.{BTC}.100ms", f"quote.{BTC}"]
    (answer,) = await say(exchange, session, market_view, "public/subscribe", channels=names)
    assert (answer["id"], answer["result"]) == (7, names)
    assert answer["testnet"] is False
    (answer,) = await say(exchange, session, market_view, "public/unsubscribe", channels=names[:1])
    assert answer["result"] == names[:1]
    assert list(session.streams) == names[1:]
    (answer,) = await say(exchange, session, market_view, "public/unsubscribe_all")
    assert answer["result"] == "ok"
    assert not session.streams


@pytest.mark.parametrize(
    "name",
    [
        "trades.NOPE-PERPETUAL.100ms",
        f"trades.{BTC}.raw",
        f"trades.{BTC}",
        f"chart.trades.{BTC}.7",
        f"book.{BTC}.none.7.100ms",
        "neverHeardOf",
        "",
    ],
)
async def test_a_wrong_channel_is_left_out_of_the_answer(exchange, session, market_view, name: str):
    names = [name, f"quote.{BTC}"]
    (answer,) = await say(exchange, session, market_view, "public/subscribe", channels=names)
    assert answer["result"] == names[1:]
    assert list(session.streams) == names[1:]


async def test_a_book_begins_with_a_snapshot_each_time(exchange, session, market_view):
    channels = [f"book.{BTC}.100ms"]
    for _ in range(2):
        _, first = await say(exchange, session, market_view, "public/subscribe", channels=channels)
        data = first["params"]["data"]
        assert (first["params"]["channel"], data["type"]) == (channels[0], "snapshot")
        assert len(data["bids"]) > 100
        assert {level[0] for level in data["bids"] + data["asks"]} == {"new"}
        assert data["bids"][0][1] < data["asks"][0][1]
        again = await say(exchange, session, market_view, "public/subscribe", channels=channels)
        assert len(again) == 1
        await say(exchange, session, market_view, "public/unsubscribe", channels=channels)


async def test_methods_are_the_same_over_the_websocket(exchange, session, market_view):
    (answer,) = await say(
        exchange, session, market_view, "public/get_order_book", instrument_name=BTC, depth=5
    )
    book = await asked(exchange, market_view, "get_order_book", instrument_name=BTC, depth=5)
    assert answer["result"] == book


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", -32700),
        ('{"id":1,"method":"public/subscribe"}', -32602),
        ('{"id":1,"method":"public/subscribe","params":{"channels":"x"}}', -32602),
        ('{"id":1,"method":"public/set_heartbeat","params":{"interval":5}}', -32602),
        ('{"id":1,"method":"public/dance"}', -32601),
        ('{"id":1,"method":"public/ticker","params":{"instrument_name":"NOPE"}}', -32602),
    ],
)
async def test_wrong_requests_are_rejected(exchange, session, market_view, text: str, code: int):
    (answer,) = await exchange.receive(session, text, market_view)
    assert json.loads(answer)["error"]["code"] == code
    assert not session.streams


async def test_a_connection_without_credits_gets_an_error_and_is_closed(
    exchange, session, market_view
):
    channels = [f"quote.{BTC}"]
    for _ in range(10):
        (answer,) = await say(exchange, session, market_view, "public/subscribe", channels=channels)
        assert answer["result"] == channels
    exchange.tick(session, market_view)
    for _ in range(3):
        await say(exchange, session, market_view, "public/subscribe", channels=channels)
    await say(exchange, session, market_view, "public/test")
    assert not session.closing
    (answer,) = await say(exchange, session, market_view, "public/subscribe", channels=channels)
    assert answer["error"]["code"] == 10028
    assert session.closing


async def test_a_silent_client_gets_test_requests(exchange, session, market_view):
    def seconds(count: int) -> list[bytes]:
        return [said for _ in range(count) for said in exchange.tick(session, market_view)]

    assert not seconds(60)
    (answer,) = await say(exchange, session, market_view, "public/set_heartbeat", interval=10)
    assert answer["result"] == "ok"
    assert not seconds(9)
    assert seconds(1) == [HEARTBEAT]
    assert seconds(10) == [HEARTBEAT, TEST_REQUEST]
    await say(exchange, session, market_view, "public/test")
    assert seconds(10) == [HEARTBEAT]
    assert seconds(10) == [HEARTBEAT, TEST_REQUEST]
    assert not session.closing
    seconds(10)
    assert session.closing


async def test_the_book_is_cut_to_the_depth(exchange, market_view):
    book = await asked(exchange, market_view, "get_order_book", instrument_name=BTC, depth=5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    bids, asks = ([price for price, _ in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert (book["best_bid_price"], book["best_bid_amount"]) == tuple(book["bids"][0])
    whole = await asked(exchange, market_view, "get_order_book", instrument_name=BTC, depth=10000)
    assert whole["bids"][:5] == book["bids"]
    assert all(price % Decimal("0.5") == 0 for price, _ in whole["bids"])
    assert all(amount % 10 == 0 for _, amount in whole["bids"])


async def test_trades_by_number_are_consecutive(exchange, market_view):
    method = "get_last_trades_by_instrument"
    newest = await asked(
        exchange, market_view, method, instrument_name=BTC, count=50, sorting="asc"
    )
    numbers = [trade["trade_seq"] for trade in newest["trades"]]
    assert numbers == list(range(numbers[0], numbers[0] + 50))
    assert newest["has_more"] is True
    again = await asked(
        exchange, market_view, method, instrument_name=BTC,
        start_seq=numbers[10], end_seq=numbers[29], count=100,
    )  # fmt: skip
    assert [trade["trade_seq"] for trade in again["trades"]] == numbers[10:30]
    few = await asked(exchange, market_view, method, instrument_name=BTC)
    assert [trade["trade_seq"] for trade in few["trades"]] == numbers[:-11:-1]


async def test_trades_of_a_time(exchange, market_view):
    start_ms = OPENING_NS // 10**6 + 1_000
    found = await asked(
        exchange, market_view, "get_last_trades_by_instrument_and_time", instrument_name=BTC,
        start_timestamp=start_ms, end_timestamp=start_ms + 999, count=1000, sorting="asc",
    )  # fmt: skip
    times = [trade["timestamp"] for trade in found["trades"]]
    assert times
    assert times == sorted(times)
    assert all(start_ms <= at <= start_ms + 999 for at in times)


@pytest.mark.parametrize(
    ("resolution", "length_ms"),
    [("1", 60_000), ("5", 300_000), ("60", HOUR_MS), ("1D", 24 * HOUR_MS)],
)
async def test_candles_follow_one_another(exchange, market_view, resolution: str, length_ms: int):
    now_ms = OPENING_NS // 10**6
    chart = await asked(
        exchange, market_view, "get_tradingview_chart_data", instrument_name=BTC,
        resolution=resolution,
        start_timestamp=now_ms - 24 * HOUR_MS, end_timestamp=now_ms,
    )  # fmt: skip
    ticks = chart["ticks"]
    assert chart["status"] == "ok"
    assert ticks == list(range(ticks[0], ticks[-1] + 1, length_ms))
    assert all(tick % length_ms == 0 for tick in ticks)
    names = ("open", "high", "low", "close", "volume", "cost")
    assert all(len(chart[name]) == len(ticks) for name in names)
    bounds = zip(chart["low"], chart["high"], strict=True)
    for (low, high), volume, cost in zip(bounds, chart["volume"], chart["cost"], strict=True):
        assert low <= round(cost / volume, 1) <= high


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("get_order_book", {}, -32602),
        ("get_order_book", {"instrument_name": "NOPE"}, -32602),
        ("get_order_book", {"instrument_name": BTC, "depth": "many"}, -32602),
        ("get_last_trades_by_instrument", {"instrument_name": BTC, "count": "1001"}, -32602),
        ("get_tradingview_chart_data", {"instrument_name": BTC, "resolution": "7"}, -32602),
        ("dance", {}, -32601),
    ],
)
async def test_wrong_calls_are_rejected_with_deribits_errors(
    exchange, market_view, method, query, code
):
    answer = await ask(exchange, market_view, method, **query)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["code"] == code


async def test_instruments_have_all_members_that_clients_read(exchange, market_view):
    entries = await asked(exchange, market_view, "get_instruments", currency="any", kind="future")
    instruments = {one["instrument_name"]: one for one in entries}
    one = instruments[BTC]
    assert (one["tick_size"], one["min_trade_amount"], one["contract_size"]) == (
        Decimal("0.5"),
        Decimal(10),
        Decimal(10),
    )
    assert (one["kind"], one["settlement_period"], one["future_type"]) == (
        "future",
        "perpetual",
        "reversed",
    )
    assert instruments["ETH-PERPETUAL"]["tick_size"] == Decimal("0.05")
    assert "simulator" not in one
    assert await asked(exchange, market_view, "get_instrument", instrument_name=BTC) == one
    assert await asked(exchange, market_view, "get_instruments", currency="SOL") == []
    assert await asked(exchange, market_view, "get_time") == OPENING_NS // 10**6 + 5_000


async def test_a_halted_instrument_has_the_state_halted():
    exchange = deribit_futures()
    market_view = SimulatedMarketView(
        SimulatedMarket("1", OPENING_NS, 100, exchange.instruments), exchange
    )
    market_view.relist("ETH-PERPETUAL", halted=True, tick_size="0.5")
    one = await asked(exchange, market_view, "get_instrument", instrument_name="ETH-PERPETUAL")
    assert (one["is_active"], one["state"], one["tick_size"]) == (False, "halted", Decimal("0.5"))
    ticker = await asked(exchange, market_view, "ticker", instrument_name="ETH-PERPETUAL")
    assert ticker["state"] == "halted"


def test_every_failure_has_a_body(exchange: Dialect):
    for status in (418, 429, 500):
        assert json.loads(exchange.failures[status])["error"]["code"] > 0
