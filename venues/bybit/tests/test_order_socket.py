"""Bybit's order websocket: login, requests and answers."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply
from kit.connector.orders.user_stream import LoginRejected
from kit.execution.contract import (
    Credentials,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    Verdict,
)
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue, signed_in
from venues.bybit import orders
from venues.bybit.order_socket import BybitOrderSocketCodec
from venues.bybit.tests.test_orders import CLIENT_ID, KEY, REQUEST

TAKEN = {"retCode": 0, "retMsg": "OK", "data": {"orderId": "1523", "orderLinkId": CLIENT_ID}}


@asynccontextmanager
async def open_client(
    reply: Any,
) -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient, list[Any]]]:
    """A signed-in client and its messages on the order socket."""
    asked: list[Any] = []

    def answer(message: Any) -> list[Any]:
        asked.append(message)
        if message["op"] == "auth":
            return [{"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"}]
        return [{"reqId": message["reqId"], "op": message["op"], "connId": "c", **reply}]

    async with scripted_venue() as venue:
        venue.reply = answer
        given = Credentials("main", {"apiKey": "k", "secret": "very-secret"})
        client = orders.execution_client(given, venue.base)
        async with signed_in(client):
            yield venue, client, asked


async def test_key_logs_in_before_the_first_order():
    async with open_client(TAKEN) as (venue, _, asked):
        (request,) = asked
        key, expires_ms, signature = request["args"]
        text = f"GET/realtime{expires_ms}".encode()
        assert signature == hmac.new(b"very-secret", text, hashlib.sha256).hexdigest()
        assert (request["op"], key) == ("auth", "k")
        assert venue.received[0] == "/v5/trade"


async def test_order_is_placed_amended_and_cancelled_digit_for_digit():
    async with open_client(TAKEN) as (venue, client, asked):
        assert await client.place(REQUEST) == RequestAccepted("1523")
        assert await client.amend(
            KEY, structs.replace(REQUEST, size=Decimal("1.5"))
        ) == RequestAccepted("1523")
        assert await client.cancel(KEY) == RequestAccepted("1523")
        placed, amended, cancelled = asked[1:]
        assert placed["reqId"].endswith("-1")
        assert placed["op"] == "order.create"
        assert placed["args"] == [
            {
                "category": "spot",
                "symbol": "BTCUSDT",
                "side": "Buy",
                "qty": "123456789.12345678",
                "orderLinkId": CLIENT_ID,
                "orderType": "Limit",
                "price": "61234.56",
                "timeInForce": "GTC",
            }
        ]
        assert int(placed["header"]["X-BAPI-TIMESTAMP"]) > 1_700_000_000_000
        assert placed["header"]["X-BAPI-RECV-WINDOW"] == "5000"
        assert (amended["op"], amended["args"][0]["qty"]) == ("order.amend", "1.5")
        assert cancelled["op"] == "order.cancel"
        assert cancelled["args"][0]["orderLinkId"] == CLIENT_ID
        assert not venue.sent


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (170131, "Insufficient balance.", pb.REJECT_REASON_INSUFFICIENT_FUNDS),
        (170141, "Duplicate clientOrderId", pb.REJECT_REASON_DUPLICATE_ID),
        (10005, "Permission denied", pb.REJECT_REASON_PERMISSION),
        (10429, "System level frequency protection", pb.REJECT_REASON_RATE_LIMIT),
        (10403, "Exceed IP rate limit", pb.REJECT_REASON_RATE_LIMIT),
        (20003, "Too frequent requests under the same session", pb.REJECT_REASON_RATE_LIMIT),
        (20006, "reqId is duplicated", pb.REJECT_REASON_OTHER),
        (10404, "op type is not found", pb.REJECT_REASON_OTHER),
    ],
)
async def test_rejection_has_its_reason(code, words, expected):
    async with open_client({"retCode": code, "retMsg": words, "data": {}}) as (venue, client, _):
        receipt: Verdict = await client.place(REQUEST)
        assert receipt == RequestRejected(expected, f"{code} {words}")
        assert not venue.sent


@pytest.mark.parametrize("code", [10016, 10019, 170007, 3400214, 170213])
async def test_unclear_answer_is_an_unknown_outcome(code):
    async with open_client({"retCode": code, "retMsg": "who knows"}) as (venue, client, asked):
        assert await client.place(REQUEST) == OutcomeUnknown(f"{code} who knows")
        assert len(asked) == 2
        assert not venue.sent


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"}, LoginAccepted()),
        (
            {"retCode": 10004, "retMsg": "Invalid sign", "op": "auth"},
            LoginRejected("10004 Invalid sign"),
        ),
        ({"retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1711002002529"]}, None),
        (
            {"reqId": "7", "op": "order.create", **TAKEN},
            OrderSocketReply(7, {"retCode": 0, "retMsg": "OK", "result": TAKEN["data"]}),
        ),
    ],
)
def test_messages_are_decoded(message, expected):
    assert BybitOrderSocketCodec().decode(json.loads(json.dumps(message))) == expected


def test_error_without_a_request_is_no_reply():
    with pytest.raises(LookupError):
        BybitOrderSocketCodec().decode({"retCode": 10404, "retMsg": "op type is not found"})


def test_no_request_has_an_id_of_an_earlier_run():
    """Bybit rejects an id that it knows, and does not say for how long it knows one."""
    exchange = SimpleNamespace(nonce=lambda: 1, options={"recvWindow": 5000})
    codecs = BybitOrderSocketCodec(), BybitOrderSocketCodec()
    first, second = (json.loads(one.encode(exchange, 7, "order.create", {})) for one in codecs)
    assert first["reqId"] != second["reqId"]
    reply = codecs[0].decode({**first, "retCode": 0, "retMsg": "OK"})
    assert reply.number == 7
