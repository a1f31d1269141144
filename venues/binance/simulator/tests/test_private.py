"""Keys, signatures and refusals of the simulated Binance's spot market."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from kit.simulator.dialect import Dialect
from kit.simulator.matching.contract import OrderStatus, RejectCode
from kit.simulator.matching.tests.fake_engine import NOW_MS, FakeMarketView, FakeMatchingEngine
from venues.binance.simulator import binance_spot
from venues.binance.simulator.authentication import ed25519_credentials
from venues.binance.simulator.tests.signing import by_ed25519, signed

ORDER = "/api/v3/order"
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "50000",
}


@pytest.fixture
def exchange() -> Dialect:
    return binance_spot()


@pytest.fixture
def engine() -> FakeMatchingEngine:
    return FakeMatchingEngine()


@pytest.fixture
def market_view(exchange: Dialect, engine: FakeMatchingEngine) -> FakeMarketView:
    return FakeMarketView(engine, [exchange.list(one) for one in exchange.instruments])


async def called(exchange: Dialect, market_view: FakeMarketView, request) -> tuple[int, dict]:
    answer = await exchange.answer(request, market_view)
    return answer.status, json.loads(answer.body)


async def error_of(exchange: Dialect, market_view: FakeMarketView, request) -> int:
    status, body = await called(exchange, market_view, request)
    assert status >= 400, body
    return body["code"]


async def test_a_signed_order_is_taken(exchange, market_view, engine):
    status, body = await called(exchange, market_view, signed("POST", ORDER, **LIMIT))
    assert (status, body["status"], body["fills"]) == (200, "NEW", [])
    (order,) = engine.orders("demo")
    assert str(order.ticket.size) == "0.01"
    assert order.ticket.client_order_id == body["clientOrderId"]
    assert len(body["clientOrderId"]) == 22


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "another-secret"}, -1022),
        ({"key": ""}, -2014),
        ({"key": "not a key"}, -2014),
        ({"key": "nobodys-key"}, -2015),
        ({"key": "other-key"}, -1022),
        ({"timestamp": NOW_MS + 1_000}, -1021),
        ({"timestamp": NOW_MS - 5_001}, -1021),
        ({"timestamp": NOW_MS - 9, "recvWindow": 8}, -1021),
        ({"recvWindow": 60_001}, -1131),
        ({"timestamp": ""}, -1102),
        ({"timestamp": "²"}, -1102),
        ({"recvWindow": "²"}, -1131),
    ],
)
async def test_a_request_without_valid_credentials_is_rejected(
    exchange, market_view, engine, changes, code
):
    request = signed("POST", ORDER, **(LIMIT | changes))
    assert await error_of(exchange, market_view, request) == code
    assert not engine.found


async def test_a_request_that_cannot_be_answered_is_not_executed(exchange, market_view, engine):
    request = signed("POST", ORDER, **LIMIT, newOrderRespType="SOME")
    assert await error_of(exchange, market_view, request) == -1102
    assert not engine.found
    assert (await called(exchange, market_view, signed("POST", ORDER, **LIMIT)))[0] == 200
    mode = {"cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": 1, "newOrderRespType": "SOME"}
    request = signed("POST", f"{ORDER}/cancelReplace", **LIMIT, **mode)
    assert await error_of(exchange, market_view, request) == -1102
    assert [order.is_final for order in engine.orders("demo")] == [False]


@pytest.mark.parametrize("timestamp", [NOW_MS + 999, NOW_MS - 5_000])
async def test_a_small_clock_error_is_accepted(exchange, market_view, timestamp):
    request = signed("POST", ORDER, **LIMIT, timestamp=timestamp)
    assert (await called(exchange, market_view, request))[0] == 200


async def test_an_unsigned_request_is_rejected(exchange, market_view, engine):
    request = signed("POST", ORDER, **LIMIT)
    forged = replace(request, body=request.body.replace(b"0.01", b"9.01"))
    assert await error_of(exchange, market_view, forged) == -1022
    added = replace(request, raw_query="quantity=9")
    assert await error_of(exchange, market_view, added) == -1022
    assert not engine.found


@pytest.mark.parametrize("refusal", list(RejectCode))
async def test_every_refusal_of_the_engine_has_a_code(exchange, market_view, engine, refusal):
    engine.refuses = refusal
    request = signed("POST", ORDER, **LIMIT)
    assert await error_of(exchange, market_view, request) <= -1000


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        (RejectCode.FUNDS, -2010, "Account has insufficient balance for requested action."),
        (RejectCode.WOULD_TAKE, -2010, "Order would immediately match and take."),
        (RejectCode.DUPLICATE_ID, -2010, "Duplicate order sent."),
        (RejectCode.STOP_WOULD_TRIGGER, -2010, "Stop price would trigger immediately."),
        (RejectCode.TICK, -1013, "Filter failure: PRICE_FILTER"),
        (RejectCode.LOT, -1013, "Filter failure: LOT_SIZE"),
        (RejectCode.NOTIONAL_MIN, -1013, "Filter failure: NOTIONAL"),
        (RejectCode.UNKNOWN_SYMBOL, -1121, "Invalid symbol."),
    ],
)
async def test_refusals_in_binances_words(exchange, market_view, engine, refusal, code, words):
    engine.refuses = refusal
    status, body = await called(exchange, market_view, signed("POST", ORDER, **LIMIT))
    assert (status, body) == (400, {"code": code, "msg": words})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": ""}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "WISH"}, -1116),
        ({"timeInForce": "SOON"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"price": ""}, -1102),
        ({"price": "-1"}, -1100),
        ({"price": "1e5"}, -1100),
        ({"price": "0"}, -1013),
        ({"quantity": "0.00"}, -1013),
        ({"quantity": "0.000000001"}, -1111),
        ({"type": "MARKET"}, -1106),
        ({"stopPrice": "1"}, -1106),
        ({"newClientOrderId": "no spaces"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"postOnly": "true"}, -1104),
    ],
)
async def test_orders_that_make_no_sense(exchange, market_view, engine, changes, code):
    request = signed("POST", ORDER, **(LIMIT | changes))
    assert await error_of(exchange, market_view, request) == code
    assert not engine.found


async def test_an_order_is_found_by_both_ids_or_not_at_all(exchange, market_view):
    request = signed("POST", ORDER, **LIMIT, newClientOrderId="mine")
    _, placed = await called(exchange, market_view, request)
    asked = {"symbol": "BTCUSDT"}
    for names in ({"orderId": placed["orderId"]}, {"origClientOrderId": "mine"}):
        _, order = await called(exchange, market_view, signed("GET", ORDER, **asked, **names))
        assert (order["orderId"], order["clientOrderId"]) == (placed["orderId"], "mine")
    strange = signed("GET", ORDER, **asked, origClientOrderId="theirs")
    assert await error_of(exchange, market_view, strange) == -2013
    elsewhere = signed("GET", ORDER, symbol="ETHUSDT", origClientOrderId="mine")
    assert await error_of(exchange, market_view, elsewhere) == -2013
    others = signed("GET", ORDER, "other-secret", "other-key", **asked, orderId=1)
    assert await error_of(exchange, market_view, others) == -2013
    assert await error_of(exchange, market_view, signed("GET", ORDER, **asked)) == -1102


async def test_a_cancel_has_an_id_of_its_own(exchange, market_view):
    await called(exchange, market_view, signed("POST", ORDER, **LIMIT, newClientOrderId="mine"))
    cancel = signed("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine")
    _, body = await called(exchange, market_view, cancel)
    assert (body["origClientOrderId"], body["status"]) == ("mine", "CANCELED")
    assert body["clientOrderId"] not in ("mine", "")
    assert await error_of(exchange, market_view, cancel) == -2011
    wrong = signed("DELETE", ORDER, symbol="BTCUSDT", orderId=1, origClientOrderId="yours")
    assert await error_of(exchange, market_view, wrong) == -2039


async def test_a_failed_replacement_names_the_failed_half(exchange, market_view, engine):
    path = "/api/v3/order/cancelReplace"
    await called(exchange, market_view, signed("POST", ORDER, **LIMIT))
    replacing = LIMIT | {"cancelReplaceMode": "STOP_ON_FAILURE"}
    request = signed("POST", path, **replacing, cancelOrderId=99)
    status, body = await called(exchange, market_view, request)
    assert (status, body["code"]) == (400, -2022)
    assert body["data"]["cancelResponse"]["code"] == -2011
    assert body["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    engine.refuses = RejectCode.FUNDS
    request = signed("POST", path, **replacing, cancelOrderId=1)
    status, body = await called(exchange, market_view, request)
    assert (status, body["code"]) == (409, -2021)
    assert body["data"]["cancelResult"] == "SUCCESS"
    assert body["data"]["newOrderResponse"]["code"] == -2010
    off_tick = replacing | {"price": "50000.001"}
    request = signed("POST", path, **off_tick, cancelOrderId=1)
    assert await error_of(exchange, market_view, request) == -1013


async def test_weights_and_orders_are_counted(exchange, market_view):
    request = signed("POST", ORDER, **LIMIT)
    first = await exchange.answer(request, market_view)
    assert first.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    for _ in range(99):
        answer = await exchange.answer(request, market_view)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "100"
    status, body = await called(exchange, market_view, request)
    assert (status, body["code"]) == (429, -1015)
    other = signed("POST", ORDER, "other-secret", "other-key", **LIMIT)
    assert (await called(exchange, market_view, other))[0] == 200
    market_view.now_ns += 10 * 10**9
    later = signed("POST", ORDER, **LIMIT, timestamp=NOW_MS + 10_000)
    assert (await called(exchange, market_view, later))[0] == 200


@pytest.mark.parametrize(("name", "may"), [("demo", False), ("withdraw", True)])
async def test_permissions_of_a_key_are_enforced(exchange, market_view, name, may):
    path = "/sapi/v1/account/apiRestrictions"
    request = signed("GET", path, f"{name}-secret", f"{name}-key")
    _, body = await called(exchange, market_view, request)
    assert body["enableWithdrawals"] is may


async def test_a_stop_waits_and_is_no_working_order(exchange, market_view, engine):
    engine.status = OrderStatus.UNTRIGGERED
    fields = LIMIT | {"type": "STOP_LOSS_LIMIT", "stopPrice": "51000"}
    _, placed = await called(exchange, market_view, signed("POST", ORDER, **fields))
    request = signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    _, order = await called(exchange, market_view, request)
    assert (order["status"], order["isWorking"]) == ("NEW", False)
    assert (order["type"], order["stopPrice"]) == ("STOP_LOSS_LIMIT", "51000.00000000")


async def test_a_trail_in_basis_points_is_a_distance(exchange, market_view, engine):
    fields = {name: LIMIT[name] for name in ("symbol", "side", "quantity")}
    request = signed("POST", ORDER, **fields, type="STOP_LOSS", trailingDelta=100)
    assert (await called(exchange, market_view, request))[0] == 200
    assert engine.found[1].ticket.trailing_offset == 500


async def test_orders_without_a_matching_engine_are_rejected(exchange):
    market_view = FakeMarketView(None, [])
    assert await error_of(exchange, market_view, signed("POST", ORDER, **LIMIT)) == -1016


async def spoken(exchange, session, market_view, method: str, params: dict) -> dict:
    text = json.dumps({"id": 1, "method": method, "params": params})
    (answer,) = await exchange.receive(session, text, market_view)
    return json.loads(answer)


async def test_a_logon_takes_the_place_of_signatures(exchange, market_view, engine):
    session = exchange.open("/ws-api/v3", {})
    key = ed25519_credentials(engine.keys[0])
    params: dict = {"apiKey": key["apiKey"], "timestamp": NOW_MS}
    unsigned = await spoken(exchange, session, market_view, "order.place", LIMIT | params)
    assert unsigned["error"]["code"] == -1102
    params["signature"] = by_ed25519(key["secret"], params)
    logon = await spoken(exchange, session, market_view, "session.logon", params)
    assert logon["result"]["apiKey"] == "demo-key"
    order = LIMIT | {"timestamp": NOW_MS, "newClientOrderId": "mine"}
    placed = await spoken(exchange, session, market_view, "order.place", order)
    assert (placed["status"], placed["result"]["clientOrderId"]) == (200, "mine")
    assert placed["rateLimits"][0]["count"] == 1
    quiet = {"symbol": "BTCUSDT", "timestamp": NOW_MS, "returnRateLimits": False}
    assert "rateLimits" not in await spoken(exchange, session, market_view, "allOrders", quiet)
    await spoken(exchange, session, market_view, "session.logout", {})
    again = await spoken(exchange, session, market_view, "order.place", order)
    assert again["error"]["code"] == -2014


async def test_account_events_are_sent_until_the_listen_key_ends(exchange, market_view, engine):
    session = exchange.open("/ws-api/v3", {})
    reported: list[dict] = []
    session.report = lambda stream, payload: reported.append(json.loads(payload))
    key = ed25519_credentials(engine.keys[0])
    params: dict = {"apiKey": key["apiKey"], "timestamp": NOW_MS}
    params["signature"] = by_ed25519(key["secret"], params)
    method = "userDataStream.subscribe.signature"
    answer = await spoken(exchange, session, market_view, method, params)
    assert answer["result"] == {"subscriptionId": 0}
    again = await spoken(exchange, session, market_view, method, params)
    assert again["error"]["code"] == -2035
    await called(exchange, market_view, signed("POST", ORDER, **LIMIT, newClientOrderId="mine"))
    await called(exchange, market_view, signed("DELETE", ORDER, symbol="BTCUSDT", orderId=1))
    events = [one["event"] for one in reported]
    assert [(one["x"], one["X"]) for one in events] == [("NEW", "NEW"), ("CANCELED", "CANCELED")]
    assert events[1]["C"] == "mine" != events[1]["c"]
    await spoken(exchange, session, market_view, "userDataStream.unsubscribe", {})
    assert reported[-1]["event"]["e"] == "eventStreamTerminated"
    await called(exchange, market_view, signed("POST", ORDER, **LIMIT))
    assert len(reported) == 3


async def test_an_hmac_key_cannot_log_on(exchange, market_view):
    session = exchange.open("/ws-api/v3", {})
    params: dict = {"apiKey": "demo-key", "timestamp": NOW_MS}
    text = f"apiKey=demo-key&timestamp={NOW_MS}"
    params["signature"] = hmac.new(b"demo-secret", text.encode(), hashlib.sha256).hexdigest()
    answer = await spoken(exchange, session, market_view, "session.logon", params)
    assert answer["error"]["code"] == -4056
