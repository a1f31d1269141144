"""OKX's order websocket: login, requests and answers."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

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
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue, signed_in
from venues.okx import orders
from venues.okx.order_socket import OkxOrderSocketCodec
from venues.okx.tests.test_orders import CLIENT_ID, KEY, REQUEST, done

TAKEN = done({"ordId": "3126", "clOrdId": CLIENT_ID, "sCode": "0", "sMsg": ""})


@asynccontextmanager
async def open_client(
    reply: Any,
) -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient, list[Any]]]:
    """A signed-in client and its messages on the order socket."""
    asked: list[Any] = []

    def answer(message: Any) -> list[Any]:
        asked.append(message)
        if message["op"] == "login":
            return [{"event": "login", "code": "0", "msg": "", "connId": "c"}]
        return [{"id": message["id"], "op": message["op"], **reply}]

    async with scripted_venue() as venue:
        venue.reply = answer
        listed = done({"instId": "BTC-USDT", "instIdCode": 10458}, {"instId": "NEW-USDT"})
        venue.answer("/public/instruments", listed)
        secrets = {"apiKey": "k", "secret": "very-secret", "password": "p"}
        client = orders.execution_client("okx", Credentials("main", secrets), venue.base)
        async with signed_in(client):
            venue.sent.clear()
            yield venue, client, asked


async def test_key_logs_in_before_the_first_order():
    async with open_client(TAKEN) as (venue, _, asked):
        (login,) = asked[0]["args"]
        text = f"{login['timestamp']}GET/users/self/verify".encode()
        signed = hmac.new(b"very-secret", text, hashlib.sha256).digest()
        assert login["sign"] == base64.b64encode(signed).decode()
        assert (login["apiKey"], login["passphrase"]) == ("k", "p")
        assert venue.received[0] == "/ws/v5/private"


async def test_order_is_placed_amended_and_cancelled_digit_for_digit():
    async with open_client(TAKEN) as (venue, client, asked):
        assert await client.place(REQUEST) == RequestAccepted("3126")
        assert await client.amend(
            KEY, structs.replace(REQUEST, size=Decimal("1.5"))
        ) == RequestAccepted("3126")
        assert await client.cancel(KEY) == RequestAccepted("3126")
        assert isinstance(
            await client.place(structs.replace(REQUEST, symbol="NEW-USDT")), RequestAccepted
        )
        placed, amended, cancelled, new = asked[1:]
        assert (placed["id"], placed["op"]) == ("1", "order")
        assert placed["args"] == [
            {
                "instId": "BTC-USDT",
                "instIdCode": 10458,
                "tdMode": "cash",
                "side": "buy",
                "sz": "123456789.12345678",
                "clOrdId": CLIENT_ID,
                "ordType": "limit",
                "px": "61234.5",
            }
        ]
        assert (amended["op"], amended["args"][0]["newSz"]) == ("amend-order", "1.5")
        assert cancelled["op"] == "cancel-order"
        assert cancelled["args"][0]["clOrdId"] == CLIENT_ID
        assert "instIdCode" not in new["args"][0]
        assert not venue.sent


async def test_a_stop_goes_by_rest():
    stop = OrderRequest(CLIENT_ID, "BTC-USDT", types_pb2.SIDE_SELL, pb.ORDER_TYPE_STOP, Decimal(1),
                stop_price=Decimal(5))  # fmt: skip
    async with open_client(TAKEN) as (venue, client, asked):
        venue.answer("/order-algo", done({"algoId": "7", "sCode": "0", "sMsg": ""}))
        assert await client.place(stop) == RequestAccepted("7")
        assert len(asked) == len(venue.sent) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("51008", pb.REJECT_REASON_INSUFFICIENT_FUNDS),
        ("51016", pb.REJECT_REASON_DUPLICATE_ID),
        ("50011", pb.REJECT_REASON_RATE_LIMIT),
    ],
)
async def test_rejection_has_its_reason(code, expected):
    row = {"ordId": "", "sCode": code, "sMsg": "no"}
    async with open_client({"code": "1", "msg": "", "data": [row]}) as (venue, client, _):
        assert await client.place(REQUEST) == RequestRejected(expected, f"{code} no")
        assert not venue.sent
    async with open_client({"code": code, "msg": "no", "data": []}) as (venue, client, _):
        assert await client.place(REQUEST) == RequestRejected(expected, f"{code} no")


@pytest.mark.parametrize("code", ["50004", "50026", "50001", "59999"])
async def test_unclear_answer_is_an_unknown_outcome(code):
    async with open_client({"code": code, "msg": "who knows", "data": []}) as (
        venue,
        client,
        asked,
    ):
        assert await client.place(REQUEST) == OutcomeUnknown(f"{code} who knows")
        assert len(asked) == 2
        assert not venue.sent


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"event": "login", "code": "0", "msg": ""}, LoginAccepted()),
        (
            {"event": "error", "code": "60009", "msg": "Login failed."},
            LoginRejected("60009 Login failed."),
        ),
        ({"event": "notice", "code": "64008", "msg": "upgrade"}, StreamClosed("64008 upgrade")),
        (
            {"id": "7", "event": "error", "code": "60013", "msg": "Invalid args"},
            OrderSocketReply(7, {"code": "60013", "msg": "Invalid args", "data": []}),
        ),
        ({"id": "8", "op": "order", **TAKEN, "inTime": "1"}, OrderSocketReply(8, TAKEN)),
        ({"event": "channel-conn-count", "channel": "orders"}, None),
    ],
)
def test_messages_are_decoded(message, expected):
    assert OkxOrderSocketCodec("SPOT").decode(message) == expected
