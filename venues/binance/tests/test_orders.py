"""Binance's execution client: requests, answers and verdicts."""

from decimal import Decimal
from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.base.errors import CredentialsRejected, VenueUnavailable
from kit.base.request_budget import RequestBudget
from kit.execution.contract import (
    Credentials,
    Fee,
    OrderKey,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
)
from kit.execution.tests.answer_suite import (
    CLIENT_ID,
    ScriptedClient,
    check_rejection,
    check_unknown_outcome,
    limit_order,
    listed_fills,
    scripted_client,
)
from kit.execution.tests.client_session import ClientUnderTest, open_session
from kit.execution.tests.client_suite import ORDER_CHECKS, Check
from kit.execution.tests.crash_suite import check_orders_are_sent_once
from kit.execution.tests.scripted_venue import DROP
from venues.binance import orders
from venues.binance.simulator import DIALECTS
from venues.binance.simulator.authentication import credentials

KEY = OrderKey("BTCUSDT", CLIENT_ID, "")
ORDER = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": CLIENT_ID,
    "transactTime": 1507725176595,
    "price": "61234.56000000",
    "origQty": "123456789.12345678",
    "executedQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
}


def spot_client(key: str = "k", budget: RequestBudget | None = None) -> ScriptedClient:
    given = Credentials("main", {"apiKey": key, "secret": "very-secret"})
    return scripted_client(lambda base: orders.execution_client(given, base, budget=budget))


order_request = partial(limit_order, "BTCUSDT", price=Decimal("61234.56"))


async def test_an_order_is_sent_and_read_with_exact_numbers():
    async with spot_client() as (venue, client):
        venue.answer("/api/v3/order", ORDER)
        receipt = await client.place(order_request())
        assert isinstance(receipt, RequestAccepted)
        assert receipt.venue_order_id == "28"
        assert receipt.order == VenueOrder(
            symbol="BTCUSDT",
            venue_order_id="28",
            client_order_id=CLIENT_ID,
            side=types_pb2.SIDE_BUY,
            type=pb.ORDER_TYPE_LIMIT,
            size=Decimal("123456789.12345678"),
            price=Decimal("61234.56"),
            state=pb.ORDER_STATE_OPEN,
            filled_size=Decimal(0),
            venue_time_ns=1507725176595000000,
        )
        (sent,) = venue.sent
        assert (sent.method, sent.path) == ("POST", "/api/v3/order")
        params = sent.params
        assert params["quantity"] == "123456789.12345678"
        assert params["price"] == "61234.56"
        assert params["newClientOrderId"] == CLIENT_ID
        assert params["timeInForce"] == "GTC"
        assert params["type"] == "LIMIT"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"post_only": True}, {"type": "LIMIT_MAKER", "timeInForce": None}),
        (
            {"type": pb.ORDER_TYPE_MARKET, "price": None, "size": Decimal("1E-8")},
            {"type": "MARKET", "price": None, "timeInForce": None, "quantity": "0.00000001"},
        ),
        ({"time_in_force": pb.TIME_IN_FORCE_FILL_OR_KILL}, {"timeInForce": "FOK"}),
        (
            {"type": pb.ORDER_TYPE_STOP_LIMIT, "stop_price": Decimal(60000)},
            {"type": "STOP_LOSS_LIMIT", "stopPrice": "60000", "timeInForce": "GTC"},
        ),
        (
            {"type": pb.ORDER_TYPE_TAKE_PROFIT, "price": None, "stop_price": Decimal(70000)},
            {"type": "TAKE_PROFIT", "stopPrice": "70000", "price": None},
        ),
    ],
)
async def test_each_order_type_has_its_parameters(changes, expected):
    async with spot_client() as (venue, client):
        venue.answer("/api/v3/order", ORDER)
        await client.place(order_request(**changes))
        params = venue.sent[0].params
        assert {name: params.get(name) for name in expected} == expected


REFUSALS = [
    (400, -2010, "Account has insufficient balance for requested action.", "INSUFFICIENT_FUNDS"),
    (400, -2010, "Order would immediately match and take.", "WOULD_TAKE"),
    (400, -2010, "Stop price would trigger immediately.", "STOP_PRICE"),
    (400, -2010, "Duplicate order sent.", "DUPLICATE_ID"),
    (400, -2010, "Market is closed.", "INSTRUMENT"),
    (400, -2010, "This action is disabled on this account.", "PERMISSION"),
    (400, -1013, "Filter failure: PRICE_FILTER", "PRICE"),
    (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", "PRICE"),
    (400, -1013, "Filter failure: LOT_SIZE", "SIZE"),
    (400, -1013, "Filter failure: MARKET_LOT_SIZE", "SIZE"),
    (400, -1013, "Filter failure: NOTIONAL", "NOTIONAL"),
    (400, -1013, "Filter failure: MIN_NOTIONAL", "NOTIONAL"),
    (400, -1013, "Filter failure: MAX_NUM_ORDERS", "TOO_MANY_ORDERS"),
    (400, -1121, "Invalid symbol.", "INSTRUMENT"),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", "CLOCK"),
    (400, -1022, "Signature for this request is not valid.", "PERMISSION"),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", "PERMISSION"),
    (429, -1003, "Too much request weight used; current limit is 6000.", "RATE_LIMIT"),
    (418, -1003, "Way too much request weight used; IP banned until 1.", "RATE_LIMIT"),
    (429, -1015, "Too many new orders; current limit is 50 orders per 10 SECOND.", "RATE_LIMIT"),
    (503, -1008, "Server is currently overloaded with other requests.", "RATE_LIMIT"),
    (400, -1104, "Not all sent parameters were read.", "OTHER"),
]


@pytest.mark.parametrize(("status", "code", "words", "reason"), REFUSALS)
async def test_rejected_order_has_its_reason(status, code, words, reason):
    async with spot_client() as (venue, client):
        venue.answer("/order", {"code": code, "msg": words}, status=status)
        await check_rejection(client, order_request(), reason, words)
        assert len([one for one in venue.sent if not one.path.endswith("/time")]) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
        (400, {"code": -1006, "msg": "An unexpected response was received."}),
        (500, {"code": -1000, "msg": "An unknown error occurred."}),
        (503, {"code": -9999, "msg": "Unknown error, please check your request."}),
        (502, "<html><title>502 Bad Gateway</title></html>"),
        (403, "<html>Forbidden</html>"),
        (200, "<html>this is no answer</html>"),
        (200, {"symbol": "BTCUSDT"}),
        (200, DROP),
    ],
)
async def test_unclear_answer_is_an_unknown_outcome_and_not_repeated(status, body):
    async with spot_client() as (venue, client):
        venue.answer("/order", body, status=status)
        await check_unknown_outcome(venue, client, order_request(), "/order")


async def test_request_is_not_repeated_after_a_lost_connection():
    async with spot_client() as (venue, client):
        venue.answer("/order", ORDER, DROP)
        await client.find(KEY)
        assert isinstance(await client.cancel(KEY), OutcomeUnknown)
        assert len(venue.sent) == 2


async def test_rate_limited_venue_is_not_called_again():
    budget = RequestBudget("binance", 100, SystemClock())
    async with spot_client(budget=budget) as (venue, client):
        venue.answer("/order", {"code": -1003, "msg": "Too much."}, status=429)
        for _ in range(2):
            await check_rejection(client, order_request(), "RATE_LIMIT")
        assert len(venue.sent) == 1


async def test_order_without_connection_is_rejected_as_never_arrived():
    client = orders.execution_client(
        Credentials("main", {"apiKey": "k", "secret": "s"}), "http://127.0.0.1:9"
    )
    try:
        receipt = await client.place(order_request())
        assert isinstance(receipt, RequestRejected)
        assert receipt.reason == pb.REJECT_REASON_NEVER_ARRIVED
    finally:
        await client.close()


async def test_cancelled_order_has_our_client_id():
    async with spot_client() as (venue, client):
        answer = {**ORDER, "status": "CANCELED", "clientOrderId": "x", "executedQty": "0.3",
                  "cummulativeQuoteQty": "1.00000000", "origClientOrderId": CLIENT_ID}  # fmt: skip
        venue.answer("/order", answer)
        receipt = await client.cancel(KEY)
        assert isinstance(receipt, RequestAccepted)
        assert receipt.order is not None
        assert receipt.order.client_order_id == CLIENT_ID
        assert receipt.order.state == pb.ORDER_STATE_CANCELLED
        assert receipt.order.average_price == Decimal("3.3333333333333333")
        assert venue.sent[0].method == "DELETE"
        assert venue.sent[0].params["origClientOrderId"] == CLIENT_ID
        venue.answer("/order", {"code": -2011, "msg": "Unknown order sent."}, status=400)
        assert isinstance(await client.cancel(KEY), RequestRejected)


async def test_cancel_all_goes_symbol_by_symbol():
    async with spot_client() as (venue, client):
        venue.answer("/openOrders", [ORDER, {**ORDER, "symbol": "ETHUSDT"}], [ORDER], [])
        assert await client.cancel_all() == RequestAccepted("")
        sent = [(one.method, one.params.get("symbol")) for one in venue.sent]
        assert sent == [("GET", None), ("DELETE", "BTCUSDT"), ("DELETE", "ETHUSDT")]
        venue.answer("/openOrders", {"code": -2011, "msg": "Unknown order sent."}, status=400)
        assert await client.cancel_all("BTCUSDT") == RequestAccepted("")


async def test_amendment_to_a_larger_size_is_rejected():
    async with spot_client() as (venue, client):
        venue.answer("/order", {**ORDER, "origQty": "2"})
        venue.answer("/keepPriority", {"executionId": 1, "amendedOrder": {"orderId": 28}})
        refused = await client.amend(KEY, order_request(size=Decimal(1), price=Decimal(5)))
        assert isinstance(refused, RequestRejected)
        assert refused.reason == pb.REJECT_REASON_NOT_SUPPORTED
        assert len(venue.sent) == 1
        assert await client.amend(KEY, order_request(size=Decimal("1.5"))) == RequestAccepted("28")
        sent = venue.sent[-1]
        assert (sent.method, sent.params["newQty"]) == ("PUT", "1.5")
        assert sent.params["newClientOrderId"] == CLIENT_ID


async def test_unknown_order_is_none_and_no_answer_an_error():
    async with spot_client() as (venue, client):
        venue.answer("/order", {"code": -2013, "msg": "Order does not exist."}, status=400)
        assert await client.find(KEY) is None
        venue.answer("/order", {"code": -1007, "msg": "Timeout"}, status=504)
        with pytest.raises(VenueUnavailable):
            await client.find(KEY)
        venue.answer("/order", {**ORDER, "status": "FILLED", "executedQty": "123456789.12345678"})
        found = await client.find(KEY)
        assert found is not None
        assert found.state == pb.ORDER_STATE_FILLED
        venue.answer("/order", {**ORDER, "executedQty": "much"})
        with pytest.raises(VenueUnavailable):
            await client.find(KEY)


async def test_fills_of_all_pages_are_exact():
    row = {
        "symbol": "BTCUSDT", "id": 28457, "orderId": 28, "price": "4.00000100",
        "qty": "12.00000000", "commission": "0.000000000123456789012", "commissionAsset": "BNB",
        "time": 1499865549590, "isBuyer": True, "isMaker": False,
    }  # fmt: skip
    page = [{**row, "id": number} for number in range(1000)]
    async with spot_client() as (venue, client):
        venue.answer("/myTrades", page, [row])
        fills = await listed_fills(client, "BTCUSDT", 1_499_865_549_000_000_000)
        assert len(fills) == 1001
        assert fills[-1] == VenueFill(
            symbol="BTCUSDT",
            fill_id="28457",
            venue_order_id="28",
            client_order_id="",
            side=types_pb2.SIDE_BUY,
            price=Decimal("4.000001"),
            size=Decimal(12),
            fees=(Fee("BNB", Decimal("0.000000000123456789012")),),
            liquidity=pb.LIQUIDITY_TAKER,
            venue_time_ns=1499865549590000000,
        )
        assert venue.sent[0].params["startTime"] == "1499865549000"
        assert venue.sent[1].params["fromId"] == "1000"
        assert await listed_fills(client, "BTCUSDT", 1_499_865_549_591_000_000) == []


async def test_balances_and_rights():
    async with spot_client() as (venue, client):
        balances = [
            {"asset": "BTC", "free": "4723846.89208129", "locked": "0.00000001"},
            {"asset": "LTC", "free": "0.00000000", "locked": "0.00000000"},
        ]
        venue.answer("/account", {"balances": balances})
        restrictions = {"enableWithdrawals": True, "enableInternalTransfer": False}
        venue.answer("/account/apiRestrictions", restrictions)
        expected = VenueBalance("BTC", Decimal("4723846.8920813"), Decimal("4723846.89208129"))
        assert await client.balances() == [expected]
        configuration = await client.configuration()
        assert configuration.excess_permissions == ["withdraw"]
        assert configuration.may_trade is None
        assert await client.positions() == []


async def test_wrong_key_is_rejected_without_showing_it():
    async with spot_client(key="my-own-key") as (venue, client):
        error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        venue.answer("/account", error, status=401)
        with pytest.raises(CredentialsRejected) as caught:
            await client.configuration()
        told = str(caught.value) + str(caught.value.metadata)
        assert "my-own-key" not in told
        assert "very-secret" not in told


def subject(transport: Transport) -> ClientUnderTest:
    return ClientUnderTest(
        "binance",
        "BTCUSDT",
        Decimal("0.01"),
        DIALECTS["binance"],
        partial(orders.execution_client, transport=transport),
        credentials,
        fills_page="venues.binance.account.FILLS_MAX",
        socket_path="order." if transport == "websocket" else "",
    )


@pytest.mark.parametrize("transport", ["websocket", "rest"])
@pytest.mark.parametrize("check", [*ORDER_CHECKS, check_orders_are_sent_once])
async def test_client_at_the_simulated_exchange(check: Check, transport: Transport) -> None:
    async with open_session(subject(transport)) as session:
        await check(session)
        assert session.events
