"""Kraken's order websocket: login, requests and answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply
from kit.connector.orders.user_stream import LoginRejected
from kit.execution.contract import Credentials, OutcomeUnknown, RequestAccepted, RequestRejected
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue, signed_in
from venues.kraken import orders
from venues.kraken.order_socket import KrakenOrderSocketCodec
from venues.kraken.tests.test_orders import CLIENT_ID, KEY, PAIR, REQUEST, done

TAKEN = {"result": {"order_id": "OUF4EM-FRGI2-MQMWZD", "cl_ord_id": CLIENT_ID}, "success": True}


@asynccontextmanager
async def open_client(
    reply: Any,
) -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient, list[Any]]]:
    """A client with a token and its messages on the order socket."""
    asked: list[Any] = []

    def answer(message: Any) -> list[Any]:
        if message["method"] == "ping":
            return []
        asked.append(message)
        head = {"method": message["method"], "req_id": message["req_id"]}
        if message["method"] == "subscribe":
            return [{**head, "result": {"channel": "executions"}, "success": True}]
        return [{**head, **reply}]

    async with scripted_venue() as venue:
        venue.reply = answer
        venue.answer("/Assets", done({"XXBT": {"altname": "XBT"}}))
        venue.answer("/AssetPairs", done({"XBTUSDT": PAIR}))
        venue.answer("/GetWebSocketsToken", done({"token": "t0ken", "expires": 900}))
        given = Credentials("main", {"apiKey": "k", "secret": "c2VjcmV0"})
        client = orders.execution_client(given, venue.base)
        async with signed_in(client):
            yield venue, client, asked


def posted(venue: ScriptedVenue) -> set[str]:
    return {one.path.rpartition("/")[2] for one in venue.sent}


async def test_the_token_is_kept_by_a_subscription():
    async with open_client(TAKEN) as (venue, _, asked):
        assert asked[0]["params"] == {
            "channel": "executions",
            "snap_orders": False,
            "snap_trades": False,
            "token": "t0ken",
        }
        assert venue.received[0] == "/v2"


async def test_order_is_placed_amended_and_cancelled_digit_for_digit():
    async with open_client(TAKEN) as (venue, client, asked):
        exact = structs.replace(REQUEST, size=Decimal("0.10000000000000000001"), post_only=True)
        assert await client.place(exact) == RequestAccepted("OUF4EM-FRGI2-MQMWZD")
        assert '"order_qty":0.10000000000000000001,' in venue.received[-1]
        params = asked[1]["params"]
        assert (asked[1]["method"], asked[1]["req_id"]) == ("add_order", 1)
        assert params == {
            "symbol": REQUEST.symbol,
            "side": "buy",
            "order_type": "limit",
            "order_qty": 0.1,
            "cl_ord_id": CLIENT_ID,
            "fee_preference": "quote",
            "limit_price": float(REQUEST.price or 0),
            "time_in_force": "gtc",
            "post_only": True,
            "token": "t0ken",
        }
        assert await client.amend(KEY, REQUEST) == RequestAccepted("")
        assert await client.cancel(KEY) == RequestAccepted("")
        assert [one["method"] for one in asked[2:]] == ["amend_order", "cancel_order"]
        assert asked[-1]["params"]["cl_ord_id"] == [CLIENT_ID]
        market = structs.replace(REQUEST, type=pb.ORDER_TYPE_MARKET, price=None)
        assert isinstance(await client.place(market), RequestAccepted)
        assert asked[-1]["params"]["order_type"] == "market"
        assert posted(venue) == {"Assets", "AssetPairs", "GetWebSocketsToken"}


@pytest.mark.parametrize(
    "changes",
    [
        {"type": pb.ORDER_TYPE_STOP_LIMIT, "stop_price": Decimal(5)},
        {"time_in_force": pb.TIME_IN_FORCE_GOOD_TILL_TIME, "expire_time_ns": 2 * 10**18},
    ],
)
async def test_order_with_other_parameters_goes_by_rest(changes):
    async with open_client(TAKEN) as (venue, client, asked):
        venue.answer("/AddOrder", done({"txid": ["OA"], "descr": {}}))
        assert await client.place(structs.replace(REQUEST, **changes)) == RequestAccepted("OA")
        assert len(asked) == 1
        assert "AddOrder" in posted(venue)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("EOrder:Insufficient funds", pb.REJECT_REASON_INSUFFICIENT_FUNDS),
        ("EOrder:Post only order", pb.REJECT_REASON_WOULD_TAKE),
        ("EAPI:Rate limit exceeded", pb.REJECT_REASON_RATE_LIMIT),
        ("ESession:Invalid session", pb.REJECT_REASON_PERMISSION),
    ],
)
async def test_rejection_has_its_reason(error, expected):
    async with open_client({"error": error, "success": False}) as (venue, client, _):
        receipt = await client.place(REQUEST)
        assert isinstance(receipt, RequestRejected)
        assert receipt.reason == expected
        assert "AddOrder" not in posted(venue)


async def test_unclear_answer_is_an_unknown_outcome():
    async with open_client({"error": "EService:Unavailable", "success": False}) as (
        venue,
        client,
        _,
    ):
        assert isinstance(await client.place(REQUEST), OutcomeUnknown)
        assert "AddOrder" not in posted(venue)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"method": "subscribe", "req_id": 0, "result": {}, "success": True}, LoginAccepted()),
        (
            {"method": "subscribe", "req_id": 0, "error": "EGeneral:Permission denied",
             "success": False},
            LoginRejected("EGeneral:Permission denied"),
        ),
        ({"method": "pong", "time_in": "…"}, None),
        ({"channel": "executions", "type": "update", "data": []}, None),
        (
            {"method": "cancel_order", "req_id": 3, "result": {"order_id": "O"}, "success": True},
            OrderSocketReply(3, {"error": [], "result": {}}),
        ),
    ],
)  # fmt: skip
def test_messages_are_decoded(message, expected):
    assert KrakenOrderSocketCodec().decode(message) == expected
