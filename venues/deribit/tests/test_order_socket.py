"""Deribit's order websocket: login, requests and answers."""

import hashlib
import hmac
import json
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
from kit.connector.orders.user_stream import LoginRejected
from kit.execution.contract import (
    Credentials,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
)
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue, signed_in
from venues.deribit import orders
from venues.deribit.order_socket import DeribitOrderSocketCodec
from venues.deribit.tests.test_orders import CLIENT_ID, KEY, REQUEST, ROW, done, failed

TAKEN = done({"order": ROW, "trades": []})


@asynccontextmanager
async def open_client(
    reply: Any,
) -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient, list[Any]]]:
    """A signed-in client and its messages on the order socket."""
    asked: list[Any] = []

    def answer(message: Any) -> list[Any]:
        asked.append(message)
        if message["method"] == "public/auth":
            return [{"jsonrpc": "2.0", "id": message["id"], "result": {"scope": "trade"}}]
        return [{**reply, "id": message["id"]}]

    async with scripted_venue() as venue:
        venue.reply = answer
        venue.answer("/get_currencies", done([{"currency": "BTC"}]))
        given = Credentials("main", {"apiKey": "k", "secret": "very-secret"})
        client = orders.execution_client(given, venue.base)
        async with signed_in(client):
            yield venue, client, asked


async def test_key_logs_in_without_sending_the_secret():
    async with open_client(TAKEN) as (venue, _, asked):
        sent = asked[0]["params"]
        text = f"{sent['timestamp']}\n{sent['nonce']}\n".encode()
        assert sent["signature"] == hmac.new(b"very-secret", text, hashlib.sha256).hexdigest()
        assert (sent["grant_type"], sent["client_id"]) == ("client_signature", "k")
        assert "very-secret" not in json.dumps(asked)
        assert venue.received[0] == "/ws/api/v2"


async def test_order_is_placed_amended_and_cancelled_digit_for_digit():
    async with open_client(TAKEN) as (venue, client, asked):
        exact = structs.replace(REQUEST, size=Decimal("50.0000000000000000001"), post_only=True)
        receipt = await client.place(exact)
        assert isinstance(receipt, RequestAccepted)
        assert receipt.venue_order_id == "4008699030"
        assert '"amount":50.0000000000000000001,' in venue.received[-1]
        assert asked[1] == {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "private/buy",
            "params": {
                "instrument_name": "BTC-PERPETUAL",
                "amount": 50.0,
                "label": CLIENT_ID,
                "type": "limit",
                "price": 61234.5,
                "time_in_force": "good_til_cancelled",
                "post_only": True,
                "reject_post_only": True,
            },
        }
        assert isinstance(await client.amend(KEY, REQUEST), RequestAccepted)
        assert isinstance(await client.cancel(KEY), RequestAccepted)
        stop = OrderRequest(CLIENT_ID, "BTC-PERPETUAL", types_pb2.SIDE_SELL, pb.ORDER_TYPE_STOP,
                    Decimal(50), stop_price=Decimal("60000.5"))  # fmt: skip
        assert isinstance(await client.place(stop), RequestAccepted)
        methods = [one["method"].removeprefix("private/") for one in asked[2:]]
        assert methods == ["edit_by_label", "cancel_by_label", "sell"]
        assert asked[-1]["params"]["trigger_price"] == 60000.5
        assert {one.path.rpartition("/")[2] for one in venue.sent} == {"get_currencies"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failed(10009, "not_enough_funds"), pb.REJECT_REASON_INSUFFICIENT_FUNDS),
        (failed(11054, "post_only_reject"), pb.REJECT_REASON_WOULD_TAKE),
        (failed(10028, "too_many_requests"), pb.REJECT_REASON_RATE_LIMIT),
        (failed(13009, "unauthorized"), pb.REJECT_REASON_PERMISSION),
    ],
)
async def test_rejection_has_its_reason(error, expected):
    async with open_client(error) as (_, client, asked):
        receipt = await client.place(REQUEST)
        assert isinstance(receipt, RequestRejected)
        assert receipt.reason == expected
        assert len(asked) == 2


@pytest.mark.parametrize("code", [13888, 10040, 10001])
async def test_unclear_answer_is_an_unknown_outcome(code):
    async with open_client(failed(code, "who knows")) as (venue, client, asked):
        assert await client.place(REQUEST) == OutcomeUnknown(f"{code} who knows")
        assert len(asked) == 2
        assert not [one for one in venue.sent if one.path.endswith("/buy")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"jsonrpc": "2.0", "id": 0, "result": {}}, LoginAccepted()),
        (
            {**failed(13004, "invalid_credentials"), "id": 0},
            LoginRejected("13004 invalid_credentials"),
        ),
        ({**TAKEN, "id": 7}, OrderSocketReply(7, {**TAKEN, "id": 7})),
        ({**failed(10009), "id": 8}, OrderSocketReply(8, {**failed(10009), "id": 8}, 400)),
        ({"jsonrpc": "2.0", "result": {"version": "1.2.26"}}, None),
        ({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "heartbeat"}}, None),
    ],
)
def test_messages_are_decoded(message, expected):
    assert DeribitOrderSocketCodec().decode(message) == expected
