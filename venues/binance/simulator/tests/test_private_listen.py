"""Listen keys, conditional orders and refusals of the simulated USD-M futures."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestRequest
from kit.simulator.matching.contract import (
    BalanceChanged,
    BalanceView,
    OrderStatus,
    PositionChanged,
    PositionView,
    RejectCode,
)
from kit.simulator.matching.tests.fake_engine import FakeMarketView, FakeMatchingEngine
from venues.binance.simulator import binance_futures
from venues.binance.simulator.tests.signing import signed

ROOT = "/fapi/v1"
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "50000",
}
STOP = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "algoType": "CONDITIONAL",
    "type": "STOP_MARKET",
    "quantity": "0.01",
    "triggerPrice": "45000",
}
HOUR_NS = 3_600 * 10**9


@pytest.fixture
def exchange() -> Dialect:
    return binance_futures()


@pytest.fixture
def engine() -> FakeMatchingEngine:
    return FakeMatchingEngine()


@pytest.fixture
def market_view(exchange: Dialect, engine: FakeMatchingEngine) -> FakeMarketView:
    return FakeMarketView(engine, [exchange.list(one) for one in exchange.instruments])


async def called(exchange: Dialect, market_view: FakeMarketView, request) -> tuple[int, dict]:
    answer = await exchange.answer(request, market_view)
    return answer.status, json.loads(answer.body)


async def listen_key(exchange: Dialect, market_view: FakeMarketView, method: str = "POST") -> dict:
    """It needs a key, and no signature."""
    request = RestRequest(method, f"{ROOT}/listenKey", headers={"X-MBX-APIKEY": "demo-key"})
    return (await called(exchange, market_view, request))[1]


def listening(exchange: Dialect, path: str, **query: str) -> tuple[object, list[dict]]:
    """A connection and the messages that it gets."""
    session = exchange.open(path, query)
    assert session is not None
    reported: list[dict] = []

    def tell(stream, payload: bytes) -> None:
        text = payload if session.shape is None else session.shape(payload)
        reported.append(json.loads(text))

    session.report = tell
    return session, reported


async def test_a_listen_key_lives_for_an_hour_unless_it_is_kept(exchange, market_view, engine):
    name = (await listen_key(exchange, market_view))["listenKey"]
    assert (await listen_key(exchange, market_view))["listenKey"] == name
    session, reported = listening(exchange, "/private/ws", listenKey=name)
    market_view.now_ns += HOUR_NS - 1
    assert (await listen_key(exchange, market_view, "PUT"))["listenKey"] == name
    market_view.now_ns += HOUR_NS - 1
    exchange.tick(session, market_view)
    assert not reported
    market_view.now_ns += 1
    exchange.tick(session, market_view)
    exchange.tick(session, market_view)
    assert [one["e"] for one in reported] == ["listenKeyExpired"]
    assert (await listen_key(exchange, market_view, "PUT"))["code"] == -1125
    engine.tell(BalanceChanged(BalanceView("demo", "USDT", Decimal(1), Decimal(0)), "fill"))
    assert len(reported) == 1
    assert (await listen_key(exchange, market_view))["listenKey"] != name


@pytest.mark.parametrize("path", ["/private/ws/{}", "/ws/{}"])
async def test_a_listen_key_in_the_path(exchange, market_view, engine, path):
    name = (await listen_key(exchange, market_view))["listenKey"]
    session, reported = listening(exchange, path.format(name))
    engine.tell(BalanceChanged(BalanceView("demo", "USDT", Decimal(5), Decimal(0)), "funding"))
    engine.tell(BalanceChanged(BalanceView("demo", "USDT", Decimal(5), Decimal(1)), "order"))
    assert [one["a"]["m"] for one in reported] == ["FUNDING_FEE"]
    assert reported[0]["a"]["B"] == [{"a": "USDT", "wb": "5", "cw": "5", "bc": "0"}]
    for forget in session.when_closed:
        forget()
    engine.tell(BalanceChanged(BalanceView("demo", "USDT", Decimal(5), Decimal(0)), "funding"))
    assert len(reported) == 1


async def test_a_combined_connection_names_the_listen_key(exchange, market_view, engine):
    name = (await listen_key(exchange, market_view))["listenKey"]
    _, reported = listening(exchange, "/private/stream", streams=name)
    held = PositionView(
        "demo", "BTCUSDT", Decimal("-0.5"), Decimal(50_000), Decimal(49_000), Decimal(500),
        None, Decimal(2_500), Decimal(0),
    )  # fmt: skip
    engine.tell(PositionChanged(held, "fill"))
    assert reported[0]["stream"] == name
    (position,) = reported[0]["data"]["a"]["P"]
    assert (position["pa"], position["ep"], position["up"]) == ("-0.5", "50000", "500")


async def test_an_unknown_listen_key_gets_no_events(exchange, market_view, engine):
    _, reported = listening(exchange, "/private/ws", listenKey="nobody")
    engine.tell(BalanceChanged(BalanceView("demo", "USDT", Decimal(5), Decimal(0)), "fill"))
    assert not reported
    request = RestRequest("POST", f"{ROOT}/listenKey", headers={"X-MBX-APIKEY": "nobodys"})
    status, body = await called(exchange, market_view, request)
    assert (status, body["code"]) == (401, -2015)


async def test_a_conditional_order_is_an_order_only_when_it_has_triggered(
    exchange, market_view, engine
):
    name = (await listen_key(exchange, market_view))["listenKey"]
    _, reported = listening(exchange, "/private/ws", listenKey=name)
    engine.status = OrderStatus.UNTRIGGERED
    plain = {name: text for name, text in STOP.items() if name != "algoType"}
    request = signed("POST", f"{ROOT}/order", **plain, stopPrice="45000")
    assert (await called(exchange, market_view, request))[1]["code"] == -4120
    _, placed = await called(exchange, market_view, signed("POST", f"{ROOT}/algoOrder", **STOP))
    assert (placed["algoStatus"], placed["triggerPrice"]) == ("NEW", "45000")
    symbol = {"symbol": "BTCUSDT"}
    _, found = await called(exchange, market_view, signed("GET", f"{ROOT}/openOrders", **symbol))
    assert found == []
    hidden = signed("GET", f"{ROOT}/order", **symbol, orderId=1)
    assert (await called(exchange, market_view, hidden))[1]["code"] == -2013
    ids = {"algoId": placed["algoId"]}
    _, shown = await called(exchange, market_view, signed("GET", f"{ROOT}/algoOrder", **ids))
    assert shown["clientAlgoId"] == placed["clientAlgoId"]
    _, gone = await called(exchange, market_view, signed("DELETE", f"{ROOT}/algoOrder", **ids))
    assert (gone["code"], gone["msg"]) == ("200", "success")
    assert [(one["e"], one["o"]["X"]) for one in reported] == [
        ("ALGO_UPDATE", "NEW"),
        ("ALGO_UPDATE", "CANCELED"),
    ]


@pytest.mark.parametrize("refusal", list(RejectCode))
async def test_every_refusal_of_the_engine_has_a_code(exchange, market_view, engine, refusal):
    engine.refuses = refusal
    status, body = await called(exchange, market_view, signed("POST", f"{ROOT}/order", **LIMIT))
    assert status == 400
    assert body["code"] <= -1000
    assert body["msg"]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (RejectCode.FUNDS, -2019),
        (RejectCode.WOULD_TAKE, -5022),
        (RejectCode.REDUCE_ONLY, -2022),
        (RejectCode.DUPLICATE_ID, -4116),
        (RejectCode.NOTIONAL_MIN, -4164),
        (RejectCode.STOP_WOULD_TRIGGER, -2021),
        (RejectCode.TICK, -4014),
    ],
)
async def test_refusals_by_their_codes(exchange, market_view, engine, refusal, code):
    engine.refuses = refusal
    _, body = await called(exchange, market_view, signed("POST", f"{ROOT}/order", **LIMIT))
    assert body["code"] == code


async def test_cancels_of_a_batch_are_independent(exchange, market_view):
    third = signed("POST", f"{ROOT}/order", **LIMIT, newClientOrderId="third")
    _, placed = await called(exchange, market_view, third)
    assert placed["clientOrderId"] == "third"
    wrong = signed("POST", f"{ROOT}/order", **(LIMIT | {"side": "HOLD"}))
    assert (await called(exchange, market_view, wrong))[1]["code"] == -1117
    named = json.dumps(["third", "fourth"])
    request = signed("DELETE", f"{ROOT}/batchOrders", symbol="BTCUSDT", origClientOrderIdList=named)
    _, rows = await called(exchange, market_view, request)
    assert [row.get("code", row.get("status")) for row in rows] == ["CANCELED", -2011]


async def test_an_acknowledgement_has_no_fills(exchange, market_view, engine):
    engine.status = OrderStatus.EXPIRED
    request = signed("POST", f"{ROOT}/order", **LIMIT)
    assert (await called(exchange, market_view, request))[1]["status"] == "NEW"
    request = signed("POST", f"{ROOT}/order", **LIMIT, newOrderRespType="RESULT")
    assert (await called(exchange, market_view, request))[1]["status"] == "EXPIRED"


async def test_a_request_that_cannot_be_answered_is_not_executed(exchange, market_view, engine):
    request = signed("POST", f"{ROOT}/order", **LIMIT, newOrderRespType="SOME")
    assert (await called(exchange, market_view, request))[1]["code"] == -1130
    assert not engine.found


async def test_a_change_must_change_something(exchange, market_view):
    await called(exchange, market_view, signed("POST", f"{ROOT}/order", **LIMIT))
    change = {name: LIMIT[name] for name in ("symbol", "side", "quantity", "price")}
    same = signed("PUT", f"{ROOT}/order", **change, orderId=1)
    assert (await called(exchange, market_view, same))[1]["code"] == -5027
    dearer = signed("PUT", f"{ROOT}/order", **(change | {"price": "51000"}), orderId=1)
    assert (await called(exchange, market_view, dearer))[1]["price"] == "51000"


async def test_a_countdown_reaches_the_engine(exchange, market_view, engine):
    path = f"{ROOT}/countdownCancelAll"
    request = signed("POST", path, symbol="BTCUSDT", countdownTime=1_500)
    _, body = await called(exchange, market_view, request)
    assert body == {"symbol": "BTCUSDT", "countdownTime": "1500"}
    assert engine.countdown == ("demo", 1.5)


async def test_a_wrong_signature_is_rejected(exchange, market_view, engine):
    request = signed("POST", f"{ROOT}/order", "wrong", **LIMIT)
    status, body = await called(exchange, market_view, request)
    assert (status, body["code"]) == (400, -1022)
    assert not engine.found
