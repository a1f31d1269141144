"""Binance's websocket API: login, requests and answers."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.base.request_budget import RequestBudget
from kit.base.websocket import Websocket
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply
from kit.connector.orders.user_stream import LoginRejected, StreamClosed
from kit.execution.contract import (
    Credentials,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
)
from kit.execution.tests.client_session import ClientUnderTest, open_session
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue, signed_in
from venues.binance import orders
from venues.binance.order_socket import BinanceOrderSocketCodec
from venues.binance.simulator import DIALECTS
from venues.binance.simulator.authentication import ed25519_credentials
from venues.binance.tests.test_orders import CLIENT_ID, KEY, ORDER, REFUSALS, order_request

CODEC = BinanceOrderSocketCodec("spot")


@asynccontextmanager
async def open_client(
    reply: Any, make: Any = orders.execution_client
) -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient, list[Any]]]:
    """A client with only its order socket, and the messages on it."""
    asked: list[Any] = []

    def note(message: Any) -> list[Any]:
        asked.append(message)
        return [{"id": message["id"], **reply}]

    async with scripted_venue() as venue:
        venue.reply = note
        client = make(Credentials("main", {"apiKey": "k", "secret": "very-secret"}), venue.base)
        async with signed_in(client):
            yield venue, client, asked


def check_signed(params: dict[str, Any]) -> None:
    """All but the signature, by name, with the secret."""
    signature = params.pop("signature")
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    assert signature == hmac.new(b"very-secret", text.encode(), hashlib.sha256).hexdigest()


async def test_an_order_goes_out_digit_for_digit_and_signed():
    async with open_client({"status": 200, "result": ORDER}) as (venue, client, asked):
        receipt = await client.place(order_request())
        assert isinstance(receipt, RequestAccepted)
        assert receipt.order is not None
        assert receipt.order.size == Decimal("123456789.12345678")
        (request,) = asked
        assert (request["id"], request["method"]) == (1, "order.place")
        params = request["params"]
        check_signed(params)
        assert params.pop("timestamp") > 1_700_000_000_000
        assert params == {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "123456789.12345678",
            "price": "61234.56",
            "timeInForce": "GTC",
            "newClientOrderId": CLIENT_ID,
            "newOrderRespType": "RESULT",
            "apiKey": "k",
            "recvWindow": 10000,
        }
        assert not venue.sent
        assert venue.received[0] == "/ws-api/v3?returnRateLimits=false"


async def test_order_is_written_to_the_socket_at_once(monkeypatch):
    written: list[str] = []
    budget = RequestBudget("binance", 100, SystemClock())
    make = partial(orders.execution_client, budget=budget)
    async with open_client({"status": 200, "result": ORDER}, make) as (_, client, _):
        monkeypatch.setattr(Websocket, "send", lambda socket, text: written.append(text))
        placing = client.place(order_request())
        placing.send(None)
        assert [json.loads(text)["method"] for text in written] == ["order.place"]
        placing.close()


async def test_cancel_and_amend_have_the_parameters_of_rest():
    async with open_client({"status": 200, "result": ORDER}) as (venue, client, asked):
        venue.answer("/order", {**ORDER, "origQty": "2"})
        await client.cancel(KEY)
        await client.cancel_all("BTCUSDT")
        await client.amend(KEY, order_request(size=Decimal(1)))
        methods = [one["method"] for one in asked]
        assert methods == ["order.cancel", "openOrders.cancelAll", "order.amend.keepPriority"]
        assert asked[0]["params"]["origClientOrderId"] == CLIENT_ID
        assert asked[1]["params"]["symbol"] == "BTCUSDT"
        assert asked[2]["params"]["newQty"] == "1"
        assert [one.method for one in venue.sent] == ["GET"]


@pytest.mark.parametrize(("status", "code", "words", "reason"), REFUSALS)
async def test_rejection_means_the_same_as_over_rest(status, code, words, reason):
    reply = {"status": status, "error": {"code": code, "msg": words}}
    async with open_client(reply) as (venue, client, _):
        receipt = await client.place(order_request())
        assert isinstance(receipt, RequestRejected), receipt
        assert receipt.reason == pb.RejectReason.Value(f"REJECT_REASON_{reason}")
        assert words in receipt.detail
        # The time of the venue may be asked for.
        assert not [call for call in venue.sent if call.method != "GET"]


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 500, "error": {"code": -1000, "msg": "An unknown error occurred."}},
        {"status": 504, "error": {"code": -1007, "msg": "Timeout waiting for response."}},
        {"status": 503, "error": {"code": -9999, "msg": "Unknown error."}},
        {"status": 200, "result": {"symbol": "BTCUSDT"}},
        {"status": 200, "result": []},
    ],
)
async def test_unclear_answer_is_an_unknown_outcome(reply):
    async with open_client(reply) as (venue, client, asked):
        receipt = await client.place(order_request())
        assert isinstance(receipt, OutcomeUnknown), receipt
        assert len(asked) == 1
        assert not venue.sent


async def test_futures_stops_go_to_the_algo_service():
    answer = {"status": 400, "error": {"code": -2011, "msg": "Unknown order sent."}}
    async with open_client(answer, orders.futures_execution_client) as (venue, client, asked):
        sell, kind = types_pb2.SIDE_SELL, pb.ORDER_TYPE_STOP
        price = Decimal("60000.5")
        stop = OrderRequest(CLIENT_ID, "BTCUSDT", sell, kind, Decimal(1), stop_price=price)
        await client.place(stop)
        await client.place(order_request())
        await client.amend(KEY, order_request())
        await client.cancel(KEY)
        assert [one["method"] for one in asked] == [
            "algoOrder.place", "order.place", "order.modify", "order.cancel", "algoOrder.cancel",
        ]  # fmt: skip
        assert asked[0]["params"]["triggerPrice"] == "60000.5"
        for one in asked:
            check_signed(one["params"])
        assert venue.received[0] == "/ws-fapi/v1?returnRateLimits=false"
        assert not venue.sent


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"id": 0, "status": 200, "result": {"apiKey": "k"}}, LoginAccepted()),
        (
            {"id": 0, "status": 400, "error": {"code": -4056, "msg": "HMAC"}},
            LoginRejected("-4056 HMAC"),
        ),
        ({"id": 3, "status": 200, "result": {"a": "1"}}, OrderSocketReply(3, {"a": "1"})),
        (
            {"id": 3, "status": 429, "error": {"code": -1003, "msg": "Too much.", "data": {
                "serverTime": 1659979373401, "retryAfter": 1659979375400}}},
            OrderSocketReply(3, {"code": -1003, "msg": "Too much.", "data": {
                "serverTime": 1659979373401, "retryAfter": 1659979375400}}, 429, 1.999),
        ),
        ({"event": {"e": "serverShutdown", "E": 1}}, StreamClosed("the venue ends the connection")),
        ({"event": {"e": "other"}}, None),
    ],
)  # fmt: skip
def test_messages_are_decoded(message, expected):
    assert CODEC.decode(json.loads(json.dumps(message))) == expected


def test_error_without_a_request_is_no_reply():
    with pytest.raises(ValueError, match="without a request"):
        CODEC.decode({"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid"}})


async def test_ed25519_key_logs_in_once(monkeypatch):
    make = DIALECTS["binance"]
    sent: list[Any] = []
    encode = BinanceOrderSocketCodec.encode

    def recording(self: BinanceOrderSocketCodec, *arguments: Any) -> str:
        text = encode(self, *arguments)
        sent.append(json.loads(text)["params"])
        return text

    monkeypatch.setattr(BinanceOrderSocketCodec, "encode", recording)
    client = orders.execution_client
    size = Decimal("0.01")
    subject = ClientUnderTest(
        "binance", "BTCUSDT", size, make, client, ed25519_credentials, socket_path="order."
    )
    async with open_session(subject) as session:
        bid, _ = await session.best()
        key = await session.place(session.request(bid - 50 * session.tick))
        cancelled = await session.client.cancel(replace(key, venue_order_id=""))
        assert isinstance(cancelled, RequestAccepted)
        assert len(sent) == 2
        assert not any("signature" in params for params in sent)
