"""Binance's futures client: what differs from the spot market."""

from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import (
    Credentials,
    OrderKey,
    RequestAccepted,
    RequestRejected,
    Transport,
)
from kit.execution.tests.answer_suite import CLIENT_ID, ScriptedClient, limit_order, scripted_client
from kit.execution.tests.client_session import ClientUnderTest, open_session
from kit.execution.tests.client_suite import ORDER_CHECKS, Check
from kit.execution.tests.configuration_suite import check_account_opens_when_it_is_put_right
from venues.binance import orders
from venues.binance.simulator import DIALECTS
from venues.binance.simulator.authentication import credentials

KEY = OrderKey("BTCUSDT", CLIENT_ID, "")
ORDER = {
    "orderId": 22542179, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": CLIENT_ID,
    "price": "61234.50", "avgPrice": "0.00", "origQty": "10.001", "executedQty": "0",
    "cumQuote": "0", "timeInForce": "GTC", "type": "LIMIT", "reduceOnly": False, "side": "BUY",
    "stopPrice": "0", "origType": "LIMIT", "updateTime": 1566818724722,
}  # fmt: skip
ALGO = {
    "algoId": 3358, "clientAlgoId": CLIENT_ID, "algoType": "CONDITIONAL", "orderType": "STOP",
    "symbol": "BTCUSDT", "side": "BUY", "timeInForce": "GTC", "quantity": "0.002",
    "algoStatus": "NEW", "triggerPrice": "100000.00", "price": "102000.00",
    "updateTime": 1763458576201,
}  # fmt: skip


def prepared() -> ScriptedClient:
    given = Credentials("main", {"apiKey": "k", "secret": "s"})
    return scripted_client(lambda base: orders.futures_execution_client(given, base))


order_request = partial(limit_order, "BTCUSDT", size=Decimal("10.001"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"type": "LIMIT", "quantity": "10.001", "price": "61234.5", "timeInForce": "GTC"}),
        ({"post_only": True, "reduce_only": True}, {"timeInForce": "GTX", "reduceOnly": "true"}),
        (
            {
                "time_in_force": pb.TIME_IN_FORCE_GOOD_TILL_TIME,
                "expire_time_ns": 1_700_000_000_000_000_001,
            },
            {"timeInForce": "GTD", "goodTillDate": "1700000000001"},
        ),
        ({"type": pb.ORDER_TYPE_MARKET, "price": None}, {"type": "MARKET", "timeInForce": None}),
    ],
)
async def test_each_order_type_has_its_parameters(changes, expected):
    async with prepared() as (venue, client):
        venue.answer("/fapi/v1/order", ORDER)
        receipt = await client.place(order_request(**changes))
        assert isinstance(receipt, RequestAccepted)
        assert receipt.order is not None
        assert receipt.order.size == Decimal("10.001")
        sent = venue.sent[0].params
        assert sent["newClientOrderId"] == CLIENT_ID
        assert {name: sent.get(name) for name in expected} == expected


async def test_a_stop_is_placed_and_listed_at_the_algo_service():
    stop = order_request(
        type=pb.ORDER_TYPE_STOP_LIMIT, stop_price=Decimal(100000), size=Decimal("0.002")
    )
    missing = {"code": -2013, "msg": "Order does not exist."}
    async with prepared() as (venue, client):
        venue.answer("/algoOrder", ALGO)
        receipt = await client.place(stop)
        assert isinstance(receipt, RequestAccepted)
        sent = venue.sent[0].params
        assert sent["clientAlgoId"] == CLIENT_ID
        assert (sent["type"], sent["triggerPrice"]) == ("STOP", "100000")
        venue.answer("/fapi/v1/order", missing, status=400)
        found = await client.find(KEY)
        assert found is not None
        assert (found.type, found.state) == (pb.ORDER_TYPE_STOP_LIMIT, pb.ORDER_STATE_OPEN)
        venue.answer("/fapi/v1/order", {"code": -2011, "msg": "Unknown order sent."}, status=400)
        venue.answer("/algoOrder", {"algoId": 3358, "code": "200", "msg": "success"})
        assert await client.cancel(KEY) == RequestAccepted("")
        assert [one.path.rpartition("/")[2] for one in venue.sent[-2:]] == ["order", "algoOrder"]
        venue.answer("/algoOrder", missing, status=400)
        assert await client.find(KEY) is None
        assert isinstance(await client.cancel(KEY), RequestRejected)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-2019, "INSUFFICIENT_FUNDS"),
        (-2021, "STOP_PRICE"),
        (-2022, "REDUCE_ONLY"),
        (-4116, "DUPLICATE_ID"),
        (-4120, "NOT_SUPPORTED"),
        (-4164, "NOTIONAL"),
        (-4014, "PRICE"),
        (-5021, "WOULD_NOT_FILL"),
        (-5022, "WOULD_TAKE"),
    ],
)
async def test_codes_of_futures_are_known(code, reason):
    async with prepared() as (venue, client):
        venue.answer("/fapi/v1/order", {"code": code, "msg": "no"}, status=400)
        receipt = await client.place(order_request())
        assert isinstance(receipt, RequestRejected)
        assert receipt.reason == pb.RejectReason.Value(f"REJECT_REASON_{reason}")


async def test_countdown_is_set_for_each_symbol_with_orders():
    async with prepared() as (venue, client):
        venue.answer("/countdownCancelAll", {"symbol": "BTCUSDT", "countdownTime": "5500"})
        await client.countdown(5.5)
        assert not venue.sent
        venue.answer("/fapi/v1/order", ORDER)
        await client.place(order_request())
        await client.countdown(5.5)
        params = venue.sent[-1].params
        assert (params["symbol"], params["countdownTime"]) == ("BTCUSDT", "5500")


def subject(transport: Transport) -> ClientUnderTest:
    return ClientUnderTest(
        "binance_futures",
        "BTCUSDT",
        Decimal("0.02"),
        DIALECTS["binance_futures"],
        partial(orders.futures_execution_client, transport=transport),
        credentials,
        fills_page="venues.binance.account.FILLS_MAX",
        socket_path="order." if transport == "websocket" else "",
        is_derivative=True,
        publishes_balances=False,
        publishes_positions=True,
        states=frozenset({"hedge_mode", "leverage", "isolated"}),
    )


@pytest.mark.parametrize("transport", ["websocket", "rest"])
@pytest.mark.parametrize("check", ORDER_CHECKS)
async def test_client_at_the_simulated_exchange(check: Check, transport: Transport) -> None:
    async with open_session(subject(transport)) as session:
        await check(session)
        assert session.events


@pytest.mark.parametrize("transport", ["websocket", "rest"])
async def test_a_stop_waits_at_the_simulated_exchange(transport: Transport) -> None:
    async with open_session(subject(transport)) as session:
        _, ask = await session.best()
        stop_price = ask + 1000 * session.tick
        stop = session.request(None, type=pb.ORDER_TYPE_STOP, stop_price=stop_price)
        key = replace(await session.place(stop), venue_order_id="")
        await session.wait_for_state(stop, pb.ORDER_STATE_OPEN)
        (waiting,) = await session.client.open_orders()
        assert waiting.stop_price == stop.stop_price
        assert isinstance(await session.client.cancel(key), RequestAccepted)
        await session.wait_for_state(stop, pb.ORDER_STATE_CANCELLED)
        await session.query_until(key, pb.ORDER_STATE_CANCELLED)


async def test_account_in_hedge_mode_is_refused_until_it_is_put_right(tmp_path: Path) -> None:
    async with open_session(subject("rest")) as session:
        await check_account_opens_when_it_is_put_right(session, tmp_path)
