"""Deribit's execution client: requests, answers and verdicts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import pytest
from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.errors import CredentialsRejected
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.contract import (
    Credentials,
    Fee,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    RequestRejected,
    StreamInterrupted,
    Transport,
    VenueBalance,
    VenuePosition,
)
from kit.execution.tests.answer_suite import (
    CLIENT_ID,
    check_rejection,
    check_unknown_outcome,
    limit_order,
    listed_fills,
    scripted_client,
)
from kit.execution.tests.client_session import ClientUnderTest, open_session
from kit.execution.tests.client_suite import ORDER_CHECKS, Check
from kit.execution.tests.scripted_venue import DROP, ScriptedVenue, take
from venues.deribit import orders
from venues.deribit.simulator import DIALECTS
from venues.deribit.simulator.authentication import credentials

KEY = OrderKey("BTC-PERPETUAL", CLIENT_ID, "")
REQUEST = limit_order("BTC-PERPETUAL", size=Decimal(50))
ROW = {
    "order_id": "4008699030", "order_state": "open", "label": CLIENT_ID, "api": True,
    "instrument_name": "BTC-PERPETUAL", "direction": "buy", "order_type": "limit",
    "price": 61234.5, "amount": 50.0, "filled_amount": 0.0, "average_price": 0.0,
    "time_in_force": "good_til_cancelled", "creation_timestamp": 1550657341320,
    "last_update_timestamp": 1550657341322, "post_only": False, "reduce_only": False,
}  # fmt: skip


@asynccontextmanager
async def prepared() -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient]]:
    given = Credentials("main", {"apiKey": "k", "secret": "s"})
    async with scripted_client(lambda base: orders.execution_client(given, base, "rest")) as found:
        venue, _ = found
        venue.answer("/get_currencies", done([{"currency": "BTC"}, {"currency": "USDC"}]))
        yield found


def done(result):
    return {"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2, "usDiff": 1}


def failed(code, message="no", **data):
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}}


async def test_an_order_goes_out_digit_for_digit_with_its_label():
    async with prepared() as (venue, client):
        venue.answer("/buy", done({"order": ROW, "trades": []}))
        receipt = await client.place(REQUEST)
        assert isinstance(receipt, RequestAccepted)
        assert receipt.order is not None
        assert receipt.order.client_order_id == CLIENT_ID
        assert receipt.order.size == Decimal(50)
        assert venue.sent[-1].query == {
            "instrument_name": "BTC-PERPETUAL",
            "amount": "50",
            "label": CLIENT_ID,
            "type": "limit",
            "price": "61234.5",
            "time_in_force": "good_til_cancelled",
        }
        order_request = OrderRequest(
            client_order_id=CLIENT_ID,
            symbol="BTC_USDC-PERPETUAL",
            side=types_pb2.SIDE_SELL,
            type=pb.ORDER_TYPE_LIMIT,
            size=Decimal("0.00000001"),
            price=Decimal(5),
            post_only=True,
            reduce_only=True,
        )
        venue.answer("/sell", done({"order": ROW, "trades": []}))
        await client.place(order_request)
        sent = venue.sent[-1].query
        assert (sent["post_only"], sent["reject_post_only"]) == ("true", "true")
        assert (sent["reduce_only"], sent["amount"]) == ("true", "0.00000001")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (failed(10009, "not_enough_funds"), "INSUFFICIENT_FUNDS"),
        (failed(11054, "post_only_reject"), "WOULD_TAKE"),
        (failed(10043, "price_wrong_tick"), "PRICE"),
        (failed(10022, "invalid_quantity"), "SIZE"),
        (
            failed(-32602, "Invalid params", param="amount", reason="must be a multiple"),
            "SIZE",
        ),
        (failed(-32602, "Invalid params", param="price", reason="wrong"), "PRICE"),
        (failed(-32602, "Invalid params", param="instrument_name"), "INSTRUMENT"),
        (failed(-32602, "Invalid params", param="label"), "OTHER"),
        (failed(10028, "too_many_requests"), "RATE_LIMIT"),
        (failed(10047, "matching_engine_queue_full"), "RATE_LIMIT"),
        (failed(11051, "system_maintenance"), "MAINTENANCE"),
        (failed(10041, "settlement_in_progress"), "MAINTENANCE"),
        (failed(13009, "unauthorized"), "PERMISSION"),
        (failed(13004, "invalid_credentials"), "PERMISSION"),
        (failed(10020, "invalid_or_unsupported_instrument"), "INSTRUMENT"),
    ],
)
async def test_rejected_order_has_its_reason(error, reason):
    async with prepared() as (venue, client):
        venue.answer("/buy", error, status=400)
        await check_rejection(client, REQUEST, reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, failed(13888, "timed_out")),
        (400, failed(10040, "retry")),
        (500, failed(-32603, "Internal error")),
        (500, failed(99999, "something new")),
        (502, "<html>Bad Gateway</html>"),
        (200, done({"order": {"order_id": "1"}})),
        (200, DROP),
    ],
)
async def test_unclear_answer_is_an_unknown_outcome_and_not_repeated(status, body):
    async with prepared() as (venue, client):
        venue.answer("/buy", body, status=status)
        await check_unknown_outcome(venue, client, REQUEST, "/buy")


async def test_an_order_is_found_by_its_label_also_when_it_is_old():
    async with prepared() as (venue, client):
        older = {**ROW, "order_id": "1", "creation_timestamp": 1}
        venue.answer("/get_order_state_by_label", done([older, ROW]))
        found = await client.find(KEY)
        assert found is not None
        assert found.venue_order_id == "4008699030"
        assert venue.sent[-1].query == {"currency": "BTC", "label": CLIENT_ID}
        venue.answer("/get_order_state_by_label", done([]))
        past = {**ROW, "order_state": "cancelled", "filled_amount": 10.0}
        venue.answer("/get_order_history_by_instrument", done([{**ROW, "label": ""}, past]))
        found = await client.find(KEY)
        assert found is not None
        assert found.state == pb.ORDER_STATE_CANCELLED
        assert found.filled_size == Decimal(10)
        venue.answer("/get_order_history_by_instrument", done([]))
        assert await client.find(KEY) is None


async def test_a_final_order_cannot_be_cancelled():
    async with prepared() as (venue, client):
        venue.answer("/cancel_by_label", done(0))
        assert isinstance(await client.cancel(KEY), RequestRejected)
        venue.answer("/cancel_by_label", done(1))
        assert await client.cancel(KEY) == RequestAccepted("")
        venue.answer("/cancel_all", done(0))
        assert await client.cancel_all() == RequestAccepted("")


async def test_fills_balances_and_positions_are_exact():
    trade = (
        '{"jsonrpc":"2.0","result":{"has_more":false,"trades":[{"trade_id":"40015","order_id":"1",'
        f'"label":"{CLIENT_ID}","instrument_name":"BTC-PERPETUAL","direction":"buy","price":61234.5'
        ',"amount":9007199254740993.1,"fee":1e-8,"fee_currency":"BTC","liquidity":"M",'
        '"timestamp":1550657341322}]}}'
    )
    async with prepared() as (venue, client):
        venue.answer("/get_user_trades_by_instrument_and_time", trade)
        (fill,) = await listed_fills(client, "BTC-PERPETUAL", 1_550_657_341_000_000_000)
        assert fill.size == Decimal("9007199254740993.1")
        assert fill.fees == (Fee("BTC", Decimal("1E-8")),)
        row = '{"currency":"BTC","balance":1.50000000000000000001,"available_funds":1}'
        venue.answer("/get_account_summaries", '{"result":{"summaries":[' + row + "]}}")
        expected = VenueBalance("BTC", Decimal("1.50000000000000000001"), Decimal(1))
        assert await client.balances() == [expected]
        held = {"instrument_name": "BTC-PERPETUAL", "size": -50.0, "average_price": 61000.5,
                "floating_profit_loss": 1e-05, "estimated_liquidation_price": 0}  # fmt: skip
        venue.answer("/get_positions", done([held]), done([]))
        assert await client.positions() == [
            VenuePosition("BTC-PERPETUAL", Decimal(-50), Decimal("61000.5"), Decimal("0.00001"))
        ]
        venue.answer("/public/auth", done({"scope": "account:read wallet:read_write"}))
        venue.sent.clear()
        assert (await client.configuration()).excess_permissions == ["withdraw"]
        assert "client_secret" not in venue.sent[0].query


async def test_key_without_stream_rights_is_rejected():
    async with prepared() as (venue, client):
        venue.reply = lambda message: [{"id": message["id"], **failed(13004, "invalid")}]
        with pytest.raises(CredentialsRejected):
            await anext(client.follow())


async def test_error_reply_ends_the_connection_with_a_reason():
    def reply(message):
        if message["method"] == "public/auth":
            return [{"id": message["id"], **done({"access_token": "t"})}]
        return [{"id": message["id"], **done(message["params"]["channels"])}]

    async with prepared() as (venue, client):
        venue.reply = reply
        events = client.follow()
        await take(events, 1)
        data = {"channel": "user.orders.any.any.raw", "data": ROW}
        await venue.send({"method": "subscription", "params": data}, failed(11050, "bad_request"))
        order, lost = await take(events, 2)
        assert order.state == pb.ORDER_STATE_OPEN
        assert isinstance(lost, StreamInterrupted)
        assert "11050" in lost.detail
        await events.aclose()


def subject(transport: Transport) -> ClientUnderTest:
    return ClientUnderTest(
        "deribit",
        "BTC-PERPETUAL",
        Decimal(100),
        DIALECTS["deribit"],
        partial(orders.execution_client, transport=transport),
        credentials,
        fills_page="venues.deribit.account.FILLS_PAGE",
        socket_path="private/" if transport == "websocket" else "",
        is_derivative=True,
        states=frozenset({"portfolio"}),
    )


@pytest.mark.parametrize("transport", ["websocket", "rest"])
@pytest.mark.parametrize("check", ORDER_CHECKS)
async def test_client_at_the_simulated_exchange(check: Check, transport: Transport) -> None:
    async with open_session(subject(transport)) as session:
        await check(session)
        assert session.events


@pytest.mark.parametrize("reduces", [True, False])
async def test_amended_order_goes_on_to_reduce_only(reduces):
    request = structs.replace(REQUEST, reduce_only=reduces)
    async with prepared() as (venue, client):
        venue.answer("/edit", done({"order": ROW, "trades": []}))
        await client.amend(OrderKey("BTC-PERPETUAL", CLIENT_ID, "1"), request)
        assert venue.sent[-1].query.get("reduce_only") == ("true" if reduces else None)
