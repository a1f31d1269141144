"""Bybit's execution client: requests, answers and verdicts."""

from decimal import Decimal
from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.errors import CredentialsRejected
from kit.execution.contract import (
    Credentials,
    Fee,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    StreamInterrupted,
    Transport,
    VenueBalance,
)
from kit.execution.tests.answer_suite import (
    CLIENT_ID,
    ScriptedClient,
    check_expired_orders_are_left_out,
    check_rejection,
    check_unknown_outcome,
    limit_order,
    listed_fills,
    scripted_client,
)
from kit.execution.tests.client_session import ClientUnderTest, open_session
from kit.execution.tests.client_suite import ORDER_CHECKS, Check
from kit.execution.tests.crash_suite import check_orders_are_sent_once
from kit.execution.tests.scripted_venue import DROP, take
from kit.execution.tests.stop_suite import check_stops_are_amended
from venues.bybit import orders
from venues.bybit.simulator import DIALECTS
from venues.bybit.simulator.authentication import credentials

KEY = OrderKey("BTCUSDT", CLIENT_ID, "")
REQUEST = limit_order("BTCUSDT", price=Decimal("61234.56"))
ROW = {
    "orderId": "fd4300ae", "orderLinkId": CLIENT_ID, "category": "spot", "symbol": "BTCUSDT",
    "price": "61234.56", "qty": "123456789.12345678", "side": "Buy", "orderStatus": "New",
    "cancelType": "UNKNOWN", "rejectReason": "EC_NoError", "avgPrice": "", "cumExecQty": "0",
    "cumExecValue": "0", "orderType": "Limit", "triggerPrice": "0.00", "marketUnit": "",
    "updatedTime": "1684738540561",
}  # fmt: skip
EXECUTION = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "fd4300ae", "orderLinkId": CLIENT_ID,
    "side": "Buy", "execId": "2290000000001", "execPrice": "61234.56", "execQty": "0.00000001",
    "execFee": "0.000000000123", "feeCurrency": "BTC", "execTime": "1672282722429",
    "isMaker": True, "execType": "Trade",
}  # fmt: skip


def prepared() -> ScriptedClient:
    given = Credentials("main", {"apiKey": "k", "secret": "s"})
    return scripted_client(lambda base: orders.execution_client(given, base))


def done(result):
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": 1}


async def test_order_is_sent_digit_for_digit_and_acknowledged_only():
    async with prepared() as (venue, client):
        venue.answer("/create", done({"orderId": "fd4300ae", "orderLinkId": CLIENT_ID}))
        assert await client.place(REQUEST) == RequestAccepted("fd4300ae")
        (sent,) = venue.sent
        assert sent.json == {
            "category": "spot",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "qty": "123456789.12345678",
            "orderLinkId": CLIENT_ID,
            "orderType": "Limit",
            "price": "61234.56",
            "timeInForce": "GTC",
        }


async def test_expired_orders_are_left_out_of_a_call():
    async with prepared() as (venue, client):
        placed = {"list": [{"orderId": "fd4300ae", "orderLinkId": CLIENT_ID}]}
        outcomes = {"list": [{"code": 0, "msg": "OK"}]}
        venue.answer("/create-batch", {**done(placed), "retExtInfo": outcomes})
        await check_expired_orders_are_left_out(venue, client, REQUEST, "/create-batch")


async def test_a_market_order_counts_in_the_base_currency():
    async with prepared() as (venue, client):
        venue.answer("/create", done({"orderId": "1"}))
        buy, market = types_pb2.SIDE_BUY, pb.ORDER_TYPE_MARKET
        await client.place(OrderRequest(CLIENT_ID, "BTCUSDT", buy, market, Decimal("1E-8")))
        assert venue.sent[0].json["marketUnit"] == "baseCoin"
        assert venue.sent[0].json["qty"] == "0.00000001"


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (170131, "Insufficient balance.", "INSUFFICIENT_FUNDS"),
        (110007, "ab not enough for new order", "INSUFFICIENT_FUNDS"),
        (170141, "Duplicate clientOrderId.", "DUPLICATE_ID"),
        (110072, "OrderLinkedID is duplicate", "DUPLICATE_ID"),
        (170121, "Invalid symbol.", "INSTRUMENT"),
        (170136, "Order quantity exceeded lower limit.", "SIZE"),
        (170137, "Order quantity has too many decimals.", "SIZE"),
        (170134, "Order price has too many decimals.", "PRICE"),
        (170140, "Order value exceeded lower limit.", "NOTIONAL"),
        (170218, "The LIMIT-MAKER order is rejected due to invalid price.", "WOULD_TAKE"),
        (110017, "Reduce-only rule not satisfied", "REDUCE_ONLY"),
        (10002, "invalid request, please check your timestamp", "CLOCK"),
        (10003, "API key is invalid.", "PERMISSION"),
        (10004, "error sign!", "PERMISSION"),
        (10005, "Permission denied.", "PERMISSION"),
        (10006, "Too many visits. Exceeded the API Rate Limit.", "RATE_LIMIT"),
        (10018, "Exceeded the IP Rate Limit.", "RATE_LIMIT"),
        (10001, "params error", "OTHER"),
    ],
)
async def test_rejected_order_has_its_reason(code, words, reason):
    async with prepared() as (venue, client):
        venue.answer("/create", {"retCode": code, "retMsg": words, "result": {}, "time": 1})
        await check_rejection(client, REQUEST, reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"retCode": 10016, "retMsg": "Server error."}),
        (200, {"retCode": 10019, "retMsg": "ws trade service is restarting"}),
        (200, {"retCode": 10000, "retMsg": "Server Timeout"}),
        (200, {"retCode": 170007, "retMsg": "Timeout waiting for response from backend server."}),
        (200, {"retCode": 3400214, "retMsg": "Server error"}),
        (200, {"retCode": 170999, "retMsg": "something new"}),
        (200, {"retCode": 0, "retMsg": "OK", "result": {}}),
        (200, {"result": {"orderId": "1"}}),
        (500, "<html>Internal Server Error</html>"),
        (200, "<html>no answer</html>"),
        (200, DROP),
    ],
)
async def test_unclear_answer_is_an_unknown_outcome_and_not_repeated(status, body):
    async with prepared() as (venue, client):
        venue.answer("/create", body, status=status)
        await check_unknown_outcome(venue, client, REQUEST, "/create")


async def test_too_many_calls_are_rejected_with_rate_limit():
    async with prepared() as (venue, client):
        venue.answer("/create", "<html>403 Forbidden: access too frequent</html>", status=403)
        await check_rejection(client, REQUEST, "RATE_LIMIT")


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, "OPEN", "UNSPECIFIED"),
        ({"orderStatus": "PartiallyFilled", "cumExecQty": "1"}, "PARTLY_FILLED", "UNSPECIFIED"),
        (
            {"orderStatus": "PartiallyFilledCanceled", "cumExecQty": "1"},
            "CANCELLED",
            "UNSPECIFIED",
        ),
        (
            {"orderStatus": "Cancelled", "rejectReason": "EC_PostOnlyWillTakeLiquidity"},
            "REJECTED",
            "WOULD_TAKE",
        ),
        (
            {
                "orderStatus": "PartiallyFilledCanceled",
                "rejectReason": "EC_NoImmediateQtyToFill",
            },
            "EXPIRED",
            "UNSPECIFIED",
        ),
        ({"orderStatus": "Filled"}, "FILLED", "UNSPECIFIED"),
    ],
)
async def test_each_order_state_is_reported(changes, state, reason):
    async with prepared() as (venue, client):
        venue.answer("/realtime", done({"list": []}))
        venue.answer("/history", done({"list": [{**ROW, **changes}]}))
        found = await client.find(KEY)
        assert found is not None
        assert found.state == pb.OrderState.Value(f"ORDER_STATE_{state}")
        assert found.reject_reason == pb.RejectReason.Value(f"REJECT_REASON_{reason}")
        assert found.size == Decimal("123456789.12345678")
        assert found.client_order_id == CLIENT_ID
        assert venue.sent[0].query["orderLinkId"] == CLIENT_ID


async def test_fills_and_balances_are_exact():
    async with prepared() as (venue, client):
        pages = [
            done({"list": [EXECUTION], "nextPageCursor": "next"}),
            done({"list": [{**EXECUTION, "execId": "3", "execType": "Funding"}]}),
        ]
        venue.answer("/execution/list", *pages)
        (fill,) = await listed_fills(client, "BTCUSDT", 1_672_282_722_000_000_000)
        assert fill.size == Decimal("1E-8")
        assert fill.fees == (Fee("BTC", Decimal("0.000000000123")),)
        assert fill.liquidity == pb.LIQUIDITY_MAKER
        coin = {"coin": "BTC", "walletBalance": "9007199254740993.00000001", "locked": "0.5"}
        venue.answer("/wallet-balance", done({"list": [{"coin": [coin]}]}))
        total = Decimal("9007199254740993.00000001")
        assert await client.balances() == [VenueBalance("BTC", total, total - Decimal("0.5"))]


async def test_all_kinds_of_orders_are_cancelled():
    async with prepared() as (venue, client):
        venue.answer("/cancel-all", done({"list": [], "success": "1"}))
        assert await client.cancel_all() == RequestAccepted("")
        kinds = [one.json["orderFilter"] for one in venue.sent]
        assert kinds == ["Order", "StopOrder", "tpslOrder"]


async def test_acknowledged_amendment_is_not_done_yet():
    async with prepared() as (venue, client):
        venue.answer("/amend", done({"orderId": "fd4300ae", "orderLinkId": CLIENT_ID}))
        assert await client.amend(KEY, REQUEST) == RequestAccepted("fd4300ae")
        assert client.capabilities.amends_later


async def test_account_stream_yields_events():
    def reply(message):
        if message["op"] == "auth":
            return [{"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}]
        # With dcp.spot, a lost connection would cancel all orders, stops too.
        assert message["args"] == ["order", "execution", "wallet"]
        ack = {"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "c"}
        return [{**ack, "req_id": message["req_id"]}]

    async with prepared() as (venue, client):
        venue.reply = reply
        events = client.follow()
        (begun,) = await take(events, 1)
        assert isinstance(begun, StreamInterrupted)
        coin = {"coin": "USDT", "walletBalance": "2", "locked": ""}
        await venue.send(
            {"topic": "order", "data": [ROW, {**ROW, "category": "linear"}]},
            {"topic": "execution", "data": [EXECUTION]},
            {"topic": "wallet", "data": [{"coin": [coin]}]},
        )
        order, fill, balance = await take(events, 3)
        assert order.state == pb.ORDER_STATE_OPEN
        assert fill.client_order_id == CLIENT_ID
        assert balance == VenueBalance("USDT", Decimal(2), Decimal(2))
        await venue.disconnect()
        (lost,) = await take(events, 1)
        assert isinstance(lost, StreamInterrupted)
        await events.aclose()


async def test_key_without_stream_rights_is_rejected():
    async with prepared() as (venue, client):
        refusal = {"success": False, "ret_msg": "API key is invalid.", "op": "auth"}
        venue.reply = lambda message: [refusal]
        with pytest.raises(CredentialsRejected):
            await anext(client.follow())


def subject(transport: Transport) -> ClientUnderTest:
    return ClientUnderTest(
        "bybit",
        "BTCUSDT",
        Decimal("0.01"),
        DIALECTS["bybit"],
        partial(orders.execution_client, transport=transport),
        credentials,
        fills_page="venues.bybit.account.FILLS_PAGE",
        socket_path="order." if transport == "websocket" else "",
        states=frozenset({"isolated", "portfolio"}),
    )


@pytest.mark.parametrize("transport", ["websocket", "rest"])
@pytest.mark.parametrize(
    "check", [*ORDER_CHECKS, check_stops_are_amended, check_orders_are_sent_once]
)
async def test_client_at_the_simulated_exchange(check: Check, transport: Transport) -> None:
    async with open_session(subject(transport)) as session:
        await check(session)
        assert session.events
