"""Keys, orders and errors of the simulated OKX, over REST and websocket."""

import json
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.simulator.dialect import Dialect
from kit.simulator.matching.contract import (
    BalanceChanged,
    BalanceView,
    OrderStatus,
    PositionChanged,
    PositionView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.matching.tests.fake_engine import NOW_MS, FakeMarketView, FakeMatchingEngine
from venues.okx.simulator import DIALECTS
from venues.okx.simulator.tests.signing import login, signed

LIMIT = {
    "instId": "BTC-USDT",
    "tdMode": "cash",
    "side": "buy",
    "ordType": "limit",
    "sz": "0.01",
    "px": "50000",
}
SWAP = LIMIT | {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "sz": "3"}
MARKET = {name: LIMIT[name] for name in ("instId", "tdMode", "side", "sz")} | {"ordType": "market"}
ORDER = "trade/order"


@pytest.fixture
def exchange() -> Dialect:
    return DIALECTS["okx"]()


@pytest.fixture
def swaps() -> Dialect:
    return DIALECTS["okx_futures"]()


@pytest.fixture
def engine() -> FakeMatchingEngine:
    return FakeMatchingEngine()


def market_view_of(exchange: Dialect, engine: FakeMatchingEngine | None) -> FakeMarketView:
    return FakeMarketView(engine, [exchange.list(one) for one in exchange.instruments])


@pytest.fixture
def market_view(exchange: Dialect, engine: FakeMatchingEngine) -> FakeMarketView:
    return market_view_of(exchange, engine)


async def called(exchange: Dialect, market_view: FakeMarketView, request) -> tuple[int, dict]:
    answer = await exchange.answer(request, market_view)
    return answer.status, json.loads(answer.body)


async def item_of(exchange: Dialect, market_view: FakeMarketView, request) -> tuple[str, str]:
    """The codes of the answer and of its only item."""
    status, body = await called(exchange, market_view, request)
    assert status == 200, body
    (row,) = body["data"]
    return body["code"], row["sCode"]


async def test_a_signed_order_is_accepted(exchange, market_view, engine):
    item = LIMIT | {"clOrdId": "mine", "tag": "x"}
    _, body = await called(exchange, market_view, signed("POST", ORDER, item))
    (row,) = body["data"]
    assert (body["code"], row["sCode"], row["clOrdId"], row["tag"]) == ("0", "0", "mine", "x")
    assert len(row["ordId"]) == 19
    (order,) = engine.orders("demo")
    assert (str(order.ticket.price), order.ticket.self_trade) == ("50000", None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": ""}, "50103"),
        ({"passphrase": ""}, "50104"),
        ({"sign": ""}, "50106"),
        ({"timestamp": ""}, "50107"),
        ({"key": "nobody"}, "50111"),
        ({"passphrase": "wrong"}, "50105"),
        ({"sign": "d3Jvbmc="}, "50113"),
        ({"key": "other-key", "passphrase": "other-password"}, "50113"),
        ({"timestamp": "yesterday"}, "50112"),
        ({"at_ms": NOW_MS - 30_001}, "50102"),
        ({"at_ms": NOW_MS + 30_001}, "50102"),
    ],
)
async def test_a_request_without_valid_credentials_is_rejected(
    exchange, market_view, engine, changes, code
):
    status, body = await called(exchange, market_view, signed("POST", ORDER, LIMIT, **changes))
    assert (status, body["code"], body["data"]) == (401, code, [])
    assert not engine.found


async def test_a_query_is_signed_too(exchange, market_view):
    request = signed("GET", "trade/orders-history", {"instType": "SPOT"})
    assert (await called(exchange, market_view, request))[1]["code"] == "0"
    forged = type(request)(
        "GET", request.path, {"instType": "SWAP"}, b"", "instType=SWAP", request.headers
    )
    assert (await called(exchange, market_view, forged))[1]["code"] == "50113"


@pytest.mark.parametrize("refusal", list(RejectCode))
async def test_every_rejection_of_the_engine_has_a_code(exchange, market_view, engine, refusal):
    engine.refuses = refusal
    code, item_code = await item_of(exchange, market_view, signed("POST", ORDER, LIMIT))
    assert code == "1"
    assert item_code.startswith("51")


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (RejectCode.FUNDS, "51008"),
        (RejectCode.DUPLICATE_ID, "51016"),
        (RejectCode.SIZE_MIN, "51020"),
        (RejectCode.LOT, "51121"),
        (RejectCode.REDUCE_ONLY, "51169"),
        (RejectCode.UNKNOWN_SYMBOL, "51001"),
    ],
)
async def test_rejections_by_their_codes(exchange, market_view, engine, refusal, code):
    engine.refuses = refusal
    assert await item_of(exchange, market_view, signed("POST", ORDER, LIMIT)) == ("1", code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"instId": ""}, "50014"),
        ({"instId": "NO-PE"}, "51001"),
        ({"side": "hold"}, "51000"),
        ({"ordType": "unknown"}, "51000"),
        ({"tdMode": "cross"}, "51010"),
        ({"tdMode": ""}, "50014"),
        ({"px": ""}, "51204"),
        ({"px": "-5"}, "51000"),
        ({"sz": "0"}, "51000"),
        ({"sz": "1e-30"}, "51000"),
        ({"clOrdId": "with-hyphen"}, "51000"),
        ({"clOrdId": "x" * 33}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"stpMode": "never"}, "51000"),
        ({"attachAlgoOrds": [{"slTriggerPx": "1"}]}, "51000"),
    ],
)
async def test_invalid_orders_are_rejected(exchange, market_view, engine, changes, code):
    request = signed("POST", ORDER, LIMIT | changes)
    assert await item_of(exchange, market_view, request) == ("1", code)
    assert not engine.found


async def test_orders_of_a_batch_are_independent(exchange, market_view):
    request = signed("POST", "trade/batch-orders", [LIMIT, LIMIT | {"px": ""}])
    status, body = await called(exchange, market_view, request)
    assert (status, body["code"]) == (200, "2")
    assert [row["sCode"] for row in body["data"]] == ["0", "51204"]
    many = signed("POST", "trade/batch-orders", [LIMIT] * 21)
    assert (await called(exchange, market_view, many))[1]["code"] == "51111"
    nothing = signed("POST", "trade/batch-orders")
    assert await called(exchange, market_view, nothing) == (
        400,
        {"code": "50000", "data": [], "msg": "Body for POST request cannot be empty."},
    )


async def test_a_market_buy_size_is_in_quote_unless_base_is_set(exchange, market_view, engine):
    await called(exchange, market_view, signed("POST", ORDER, MARKET))
    base = MARKET | {"tgtCcy": "base_ccy"}
    await called(exchange, market_view, signed("POST", ORDER, base))
    await called(exchange, market_view, signed("POST", ORDER, MARKET | {"side": "sell"}))
    tickets = [one.ticket for one in engine.orders("demo")]
    assert [(str(one.size), one.value and str(one.value)) for one in tickets] == [
        ("0", "0.01"), ("0.01", None), ("0.01", None),
    ]  # fmt: skip


async def test_an_order_can_have_a_self_trade_mode(exchange, market_view, engine):
    await called(exchange, market_view, signed("POST", ORDER, LIMIT | {"stpMode": "cancel_both"}))
    assert engine.found[1].ticket.self_trade is SelfTradeMode.CANCEL_BOTH


async def test_the_sixty_first_order_in_two_seconds_is_rejected(exchange, market_view):
    batch = signed("POST", "trade/batch-orders", [LIMIT] * 20)
    for _ in range(3):
        assert (await called(exchange, market_view, batch))[1]["code"] == "0"
    assert await item_of(exchange, market_view, signed("POST", ORDER, LIMIT)) == ("1", "50011")
    elsewhere = LIMIT | {"instId": "ETH-USDT"}
    assert await item_of(exchange, market_view, signed("POST", ORDER, elsewhere)) == ("0", "0")
    market_view.now_ns += 2 * 10**9
    assert await item_of(exchange, market_view, signed("POST", ORDER, LIMIT)) == ("0", "0")


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"ordType": "trigger", "triggerPx": "51000", "orderPx": "-1"}, "STOP"),
        ({"ordType": "trigger", "triggerPx": "49000", "orderPx": "49100"}, "TAKE_PROFIT_LIMIT"),
        ({"ordType": "conditional", "slTriggerPx": "51000", "slOrdPx": "51100"}, "STOP_LIMIT"),
        ({"ordType": "conditional", "tpTriggerPx": "49000", "tpOrdPx": "-1"}, "TAKE_PROFIT"),
        ({"ordType": "move_order_stop", "callbackRatio": "0.01"}, "TRAILING_STOP"),
    ],
)
async def test_algo_orders_become_stops(exchange, market_view, engine, item, kind):
    engine.status = OrderStatus.UNTRIGGERED
    common = {name: LIMIT[name] for name in ("instId", "tdMode", "side", "sz")}
    common["tgtCcy"] = "base_ccy"
    request = signed("POST", "trade/order-algo", common | item | {"algoClOrdId": "mine"})
    _, body = await called(exchange, market_view, request)
    (row,) = body["data"]
    assert (row["sCode"], row["algoClOrdId"]) == ("0", "mine")
    ticket = engine.found[1].ticket
    assert ticket.type == pb.OrderType.Value(f"ORDER_TYPE_{kind}")
    if ticket.trailing_offset is not None:
        assert ticket.trailing_offset == 500
    query = {"ordType": item["ordType"]}
    request = signed("GET", "trade/orders-algo-pending", query)
    (found,) = (await called(exchange, market_view, request))[1]["data"]
    names = [name for name in item if name not in ("orderPx", "callbackRatio")]
    assert [found[name] for name in names] == [item[name] for name in names]
    by_client_id = {"instId": "BTC-USDT", "clOrdId": "mine"}
    assert (await called(exchange, market_view, signed("GET", ORDER, by_client_id)))[1][
        "code"
    ] == "51603"


async def test_a_stop_in_quote_units_is_rejected(exchange, market_view):
    named = ("instId", "tdMode", "side", "sz")
    stop = {"ordType": "conditional", "slTriggerPx": "51000", "slOrdPx": "-1"}
    item = {name: LIMIT[name] for name in named} | stop
    assert await item_of(exchange, market_view, signed("POST", "trade/order-algo", item)) == (
        "1", "51000",
    )  # fmt: skip


async def test_a_countdown_reaches_the_engine(exchange, market_view, engine):
    request = signed("POST", "trade/cancel-all-after", {"timeOut": "30"})
    _, body = await called(exchange, market_view, request)
    assert body["data"][0]["triggerTime"] == str(NOW_MS + 30_000)
    assert engine.countdown == ("demo", 30)
    short = signed("POST", "trade/cancel-all-after", {"timeOut": "3"})
    assert (await called(exchange, market_view, short))[1]["code"] == "51000"


async def test_orders_without_a_matching_engine_are_rejected(exchange):
    market_view = market_view_of(exchange, None)
    status, body = await called(exchange, market_view, signed("POST", ORDER, LIMIT))
    assert (status, body["code"]) == (503, "50001")


async def send(
    exchange: Dialect, session, market_view: FakeMarketView, content: dict
) -> list[dict]:
    answers = await exchange.receive(session, json.dumps(content), market_view)
    return [json.loads(answer) for answer in answers]


def private(exchange: Dialect) -> tuple[object, list[dict]]:
    """A connection and the messages that it gets."""
    session = exchange.open("/ws/v5/private", {})
    assert session is not None
    received: list[dict] = []
    session.report = lambda stream, payload: received.append(json.loads(payload))
    return session, received


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apiKey": "nobody"}, "60005"),
        ({"passphrase": "wrong"}, "60024"),
        ({"sign": "wrong"}, "60007"),
        ({"timestamp": "x"}, "60004"),
        ({"at_ms": NOW_MS - 32_000}, "60006"),
    ],
)
async def test_a_login_that_fails(exchange, market_view, changes, code):
    session, _ = private(exchange)
    (answer,) = await send(exchange, session, market_view, login(**changes))
    assert (answer["event"], answer["code"]) == ("error", code)
    orders = {"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]}
    (answer,) = await send(exchange, session, market_view, orders)
    assert answer["code"] == "60011"
    (answer,) = await send(
        exchange, session, market_view, {"id": "1", "op": "order", "args": [LIMIT]}
    )
    assert (answer["id"], answer["code"]) == ("1", "60011")


async def test_an_order_over_the_websocket_names_its_instrument_by_code(
    exchange, market_view, engine
):
    session, _ = private(exchange)
    await send(exchange, session, market_view, login())
    (answer,) = await send(
        exchange, session, market_view, {"id": "7", "op": "order", "args": [LIMIT]}
    )
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", "50014")
    item = {name: text for name, text in LIMIT.items() if name != "instId"} | {"instIdCode": 2}
    (answer,) = await send(
        exchange, session, market_view, {"id": "8", "op": "order", "args": [item]}
    )
    assert (answer["id"], answer["op"], answer["code"]) == ("8", "order", "0")
    assert engine.found[1].ticket.symbol == "ETH-USDT"


async def test_a_repeated_subscription_gets_events_once(exchange, market_view, engine):
    session, received = private(exchange)
    await send(exchange, session, market_view, login())
    spot = {"channel": "orders", "instType": "SPOT"}
    for argument in (spot, spot, {"channel": "orders", "instType": "SWAP"}):
        (answer,) = await send(
            exchange, session, market_view, {"op": "subscribe", "args": [argument]}
        )
        assert answer["event"] == "subscribe"
    await called(exchange, market_view, signed("POST", ORDER, LIMIT | {"clOrdId": "mine"}))
    amend = {"instId": "BTC-USDT", "clOrdId": "mine", "newPx": "50001", "reqId": "r1"}
    await called(exchange, market_view, signed("POST", "trade/amend-order", amend))
    cancel = {"instId": "BTC-USDT", "clOrdId": "mine"}
    await called(exchange, market_view, signed("POST", "trade/cancel-order", cancel))
    rows = [one["data"][0] for one in received]
    assert [(row["state"], row["amendResult"], row["reqId"]) for row in rows] == [
        ("live", "", ""), ("live", "0", "r1"), ("canceled", "", ""),
    ]  # fmt: skip
    assert [row["cancelSource"] for row in rows] == ["", "", "1"]
    assert [one["arg"] for one in received] == [spot] * 3
    for close in session.when_closed:
        close()
    await called(exchange, market_view, signed("POST", ORDER, LIMIT))
    assert len(received) == 3


async def test_a_second_login_does_not_duplicate_events(exchange, market_view, engine):
    session, received = private(exchange)
    for _ in range(2):
        (answer,) = await send(exchange, session, market_view, login())
        assert (answer["event"], answer["code"]) == ("login", "0")
    argument = {"channel": "orders", "instType": "ANY"}
    await send(exchange, session, market_view, {"op": "subscribe", "args": [argument]})
    await called(exchange, market_view, signed("POST", ORDER, LIMIT))
    assert len(received) == 1


async def test_balances_and_positions_begin_with_a_snapshot(swaps, engine):
    market_view = market_view_of(swaps, engine)
    session, received = private(swaps)
    await send(swaps, session, market_view, login())
    arguments = [{"channel": "account"}, {"channel": "positions", "instType": "ANY"}]
    answers = await send(swaps, session, market_view, {"op": "subscribe", "args": arguments})
    assert [one.get("eventType") for one in answers] == [None, "snapshot", None, "snapshot"]
    assert answers[1]["data"][0]["details"][0]["availBal"] == "990"
    assert answers[3]["data"] == []
    held = PositionView(
        "demo", "BTC-USDT-SWAP", Decimal(-5), Decimal(50_000), Decimal(49_000), Decimal(50),
        Decimal(60_000), Decimal(245), Decimal(0),
    )  # fmt: skip
    engine.held = [held]
    engine.tell(PositionChanged(held, "fill"))
    engine.tell(BalanceChanged(BalanceView("demo", "USDT", Decimal(999), Decimal(10)), "fill"))
    position, money = (one["data"][0] for one in received)
    assert (position["pos"], position["upl"], position["liqPx"]) == ("-5", "50", "60000")
    assert (position["notionalUsd"], position["mmr"]) == ("2450", "12.25")
    assert money["details"][0]["eq"] == "1050"
    repeated = [swaps.tick(session, market_view) for _ in range(5)]
    assert [len(one) for one in repeated] == [0, 0, 0, 0, 2]


async def test_the_outcome_of_a_lost_operation_is_unknown(exchange):
    text = json.dumps({"id": "9", "op": "order", "args": [LIMIT]})
    assert exchange.path_of(text) == "order"
    assert exchange.path_of('{"op":"login","args":[]}') == ""
    answer = json.loads(exchange.failure_of(text))
    assert (answer["id"], answer["op"], answer["code"]) == ("9", "order", "50004")


async def test_sizes_of_swaps_are_contracts(swaps, engine):
    market_view = market_view_of(swaps, engine)
    assert await item_of(swaps, market_view, signed("POST", ORDER, SWAP)) == ("0", "0")
    (row,) = (await called(swaps, market_view, signed("GET", "trade/orders-pending")))[1]["data"]
    assert (row["instType"], row["sz"], row["posSide"], row["tdMode"]) == (
        "SWAP", "3", "net", "cross",
    )  # fmt: skip
    cash = SWAP | {"tdMode": "cash"}
    assert await item_of(swaps, market_view, signed("POST", ORDER, cash)) == ("1", "51010")
