"""Coinbase's execution client: requests, answers and verdicts."""

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.errors import CredentialsRejected, VenueUnavailable
from kit.execution.contract import (
    Credentials,
    Fee,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    RequestRejected,
    StreamInterrupted,
    VenueBalance,
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
from kit.execution.tests.scripted_venue import DROP, take
from kit.execution.tests.stop_suite import check_stop_limits_wait
from venues.coinbase import orders
from venues.coinbase.account import fill_of, order_of
from venues.coinbase.simulator import DIALECTS
from venues.coinbase.simulator.authentication import credentials
from venues.coinbase.user_stream import CoinbaseUserStreamDecoder

HYPHENED = "01234567-89ab-cdef-0123-456789abcdef"
KEY = OrderKey("BTC-USD", CLIENT_ID, "")
REQUEST = limit_order("BTC-USD")
ROW = {
    "order_id": "0000-000000-000000", "product_id": "BTC-USD", "side": "BUY",
    "client_order_id": HYPHENED, "status": "OPEN", "created_time": "2021-05-31T09:59:59Z",
    "order_configuration": {
        "limit_limit_gtc": {"base_size": "123456789.12345678", "limit_price": "61234.5"}
    },
    "filled_size": "0", "average_filled_price": "0", "last_fill_time": None,
}  # fmt: skip
EVENT = {
    "order_id": "0000", "client_order_id": HYPHENED, "product_id": "BTC-USD",
    "order_side": "BUY", "order_type": "Limit", "status": "OPEN", "limit_price": "61234.5",
    "cumulative_quantity": "0.3", "leaves_quantity": "0.7", "avg_price": "61234.4",
    "stop_price": "", "cancel_reason": "", "reject_reason": "",
}  # fmt: skip


def prepared() -> ScriptedClient:
    given = Credentials("main", {"apiKey": "k", "secret": "s"})
    return scripted_client(lambda base: orders.execution_client(given, base))


def placed():
    return {"success": True, "success_response": {"order_id": "0000", "product_id": "BTC-USD"}}


def refused(error="UNKNOWN_FAILURE_REASON", preview=""):
    response = {"error": error, "message": "", "preview_failure_reason": preview}
    return {"success": False, "error_response": response}


async def test_an_order_goes_out_digit_for_digit_with_our_id():
    async with prepared() as (venue, client):
        venue.answer("/orders", placed())
        assert await client.place(REQUEST) == RequestAccepted("0000")
        assert venue.sent[-1].json == {
            "client_order_id": HYPHENED,
            "product_id": "BTC-USD",
            "side": "BUY",
            "order_configuration": {
                "limit_limit_gtc": {
                    "base_size": "123456789.12345678",
                    "limit_price": "61234.5",
                    "post_only": False,
                }
            },
        }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"type": pb.ORDER_TYPE_MARKET, "price": None},
            {"market_market_ioc": {"base_size": "1"}},
        ),
        (
            {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL},
            {"sor_limit_ioc": {"base_size": "1", "limit_price": "5"}},
        ),
        (
            {
                "time_in_force": pb.TIME_IN_FORCE_GOOD_TILL_TIME,
                "expire_time_ns": 1_622_455_199_000_000_000,
                "post_only": True,
            },
            {
                "limit_limit_gtd": {
                    "base_size": "1",
                    "limit_price": "5",
                    "end_time": "2021-05-31T09:59:59Z",
                    "post_only": True,
                }
            },
        ),
        (
            {"type": pb.ORDER_TYPE_TAKE_PROFIT_LIMIT, "stop_price": Decimal(4)},
            {
                "stop_limit_stop_limit_gtc": {
                    "base_size": "1",
                    "limit_price": "5",
                    "stop_price": "4",
                    "stop_direction": "STOP_DIRECTION_STOP_UP",
                }
            },
        ),
    ],
)
async def test_each_order_type_has_its_parameters(changes, expected):
    fields = {
        "client_order_id": CLIENT_ID,
        "symbol": "BTC-USD",
        "side": types_pb2.SIDE_SELL,
        "type": pb.ORDER_TYPE_LIMIT,
        "size": Decimal(1),
        "price": Decimal(5),
    }
    async with prepared() as (venue, client):
        venue.answer("/orders", placed())
        await client.place(OrderRequest(**{**fields, **changes}))
        assert venue.sent[-1].json["order_configuration"] == expected


@pytest.mark.parametrize(
    "terms",
    [
        {"post_only": True},
        {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL},
        {"time_in_force": pb.TIME_IN_FORCE_GOOD_TILL_TIME, "expire_time_ns": 10**18},
        {"stop_price": None},
    ],
)
async def test_stop_with_unsupported_terms_is_not_sent(terms):
    async with prepared() as (venue, client):
        stop = OrderRequest(CLIENT_ID, "BTC-USD", types_pb2.SIDE_SELL, pb.ORDER_TYPE_STOP_LIMIT,
                    Decimal(1), Decimal(5), Decimal(4))  # fmt: skip
        receipt = await client.place(structs.replace(stop, **terms))
        assert isinstance(receipt, RequestRejected), receipt
        assert receipt.reason == pb.REJECT_REASON_NOT_SUPPORTED
        assert not venue.sent
        assert client.capabilities.plain_stops_only


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, refused("INSUFFICIENT_FUND"), "INSUFFICIENT_FUNDS"),
        (200, refused(preview="PREVIEW_INSUFFICIENT_FUND"), "INSUFFICIENT_FUNDS"),
        (200, refused("INVALID_LIMIT_PRICE_POST_ONLY"), "WOULD_TAKE"),
        (200, refused(preview="PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"), "SIZE"),
        (200, refused(preview="PREVIEW_INVALID_PRICE_PRECISION"), "PRICE"),
        (200, refused(preview="PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"), "STOP_PRICE"),
        (200, refused("UNSUPPORTED_ORDER_CONFIGURATION"), "NOT_SUPPORTED"),
        (400, {"error": "INVALID_ARGUMENT", "message": "account is not available"}, "OTHER"),
        (403, {"error": "PERMISSION_DENIED", "message": "no"}, "PERMISSION"),
        (401, "Unauthorized\n", "PERMISSION"),
        (429, {"error": "rate_limit_exceeded", "message": "no"}, "RATE_LIMIT"),
    ],
)
async def test_rejected_order_has_its_reason(status, body, reason):
    async with prepared() as (venue, client):
        venue.answer("/orders", body, status=status)
        await check_rejection(client, REQUEST, reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, refused()),
        (200, refused(preview="PREVIEW_SOMETHING_NEW")),
        (200, refused("ABORTED")),
        (409, {"error": "ABORTED", "message": "aborted"}),
        (499, {"error": "CANCELLED", "message": "cancelled"}),
        (500, {"error": "INTERNAL", "message": "internal"}),
        (503, {"error": "SOMETHING", "message": "new"}),
        (502, "<html>Bad Gateway</html>"),
        (200, {"order_id": "1"}),
        (200, DROP),
    ],
)
async def test_unclear_answer_is_an_unknown_outcome_and_not_repeated(status, body):
    async with prepared() as (venue, client):
        venue.answer("/orders", body, status=status)
        await check_unknown_outcome(venue, client, REQUEST, "/orders")


async def test_an_order_is_found_among_the_newest():
    async with prepared() as (venue, client):
        other = {**ROW, "client_order_id": "another"}
        pages = [
            {"orders": [other], "has_next": True, "cursor": "next"},
            {"orders": [{**ROW, "filled_size": "0.1"}], "has_next": False, "cursor": ""},
        ]
        venue.answer("/historical/batch", *pages)
        found = await client.find(KEY)
        assert found is not None
        assert found.client_order_id == CLIENT_ID
        assert found.state == pb.ORDER_STATE_PARTLY_FILLED
        assert found.size == Decimal("123456789.12345678")
        venue.answer("/historical/batch", {"orders": [other], "has_next": False})
        assert await client.find(KEY) is None
        many = {"orders": [other] * 250, "has_next": True, "cursor": "next"}
        venue.answer("/historical/batch", many)
        with pytest.raises(VenueUnavailable):
            await client.find(KEY)


async def test_an_order_is_looked_for_among_all_since_it_was_placed():
    """In doubt, it would hold up every later reduction of its position."""
    placed_ns = 1_622_455_199_000_000_000
    key = replace(KEY, placed_time_ns=placed_ns)
    async with prepared() as (venue, client):
        page = {"orders": [{**ROW, "client_order_id": "another"}] * 250, "cursor": "next"}
        pages = [{**page, "has_next": number < 6} for number in range(7)]
        venue.answer("/historical/batch", *pages)
        assert await client.find(key) is None
        assert len(venue.sent) == 7
        # The venue's clock may differ from ours.
        assert {one.query["start_date"] for one in venue.sent} == {"2021-05-31T09:58:59Z"}
        venue.answer("/historical/batch", {**page, "has_next": True})
        with pytest.raises(VenueUnavailable):
            await client.find(key)


async def test_an_order_is_cancelled_by_the_venues_id():
    async with prepared() as (venue, client):
        venue.answer("/historical/batch", {"orders": [ROW], "has_next": False})
        result = {"success": True, "failure_reason": "", "order_id": ROW["order_id"]}
        venue.answer("/batch_cancel", {"results": [result]})
        assert await client.cancel(KEY) == RequestAccepted(ROW["order_id"])
        assert venue.sent[-1].json == {"order_ids": [ROW["order_id"]]}
        gone = {**result, "success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER"}
        venue.answer("/batch_cancel", {"results": [gone]})
        assert isinstance(await client.cancel(KEY), RequestRejected)
        assert await client.cancel_all() == RequestAccepted("")
        venue.answer("/historical/batch", {"orders": [], "has_next": False})
        before = len(venue.sent)
        assert isinstance(await client.cancel(KEY), RequestRejected)
        assert len(venue.sent) == before + 1


async def test_fills_balances_and_rights():
    fill = {"entry_id": "22222-2222222-22222222", "trade_id": "1111", "order_id": "0000",
            "trade_time": "2021-05-31T09:59:59.123Z", "price": "61234.5", "size": "0.00000001",
            "commission": "0.000000000123", "product_id": "BTC-USD", "side": "BUY",
            "liquidity_indicator": "TAKER", "size_in_quote": False}  # fmt: skip
    async with prepared() as (venue, client):
        venue.answer("/historical/fills", {"fills": [fill], "cursor": ""})
        (found,) = await listed_fills(client, "BTC-USD", 1_622_455_199_000_000_000)
        assert found.size == Decimal("1E-8")
        assert found.fees == (Fee("USD", Decimal("0.000000000123")),)
        assert found.venue_time_ns == 1622455199123000000
        row = {"currency": "BTC", "available_balance": {"value": "1.5"}, "hold": {"value": "0.5"}}
        venue.answer("/accounts", {"accounts": [row, row], "has_next": False, "cursor": ""})
        assert await client.balances() == [VenueBalance("BTC", Decimal(4), Decimal(3))]
        venue.answer("/key_permissions", {"can_trade": True, "can_transfer": True})
        assert (await client.configuration()).excess_permissions == ["withdraw"]
        venue.answer("/key_permissions", "Unauthorized\n", status=401)
        with pytest.raises(CredentialsRejected):
            await client.configuration()


async def test_missing_stream_message_interrupts_the_stream():
    def reply(message):
        if message["channel"] != "user":
            return []
        ack = [{"subscriptions": {"user": ["1"]}}]
        return [{"channel": "subscriptions", "sequence_num": 0, "events": ack}]

    def told(number, *rows):
        events = [{"type": "update", "orders": list(rows)}]
        time = "2023-02-09T20:33:57.609931463Z"
        return {"channel": "user", "timestamp": time, "sequence_num": number, "events": events}

    async with prepared() as (venue, client):
        venue.reply = reply
        events = client.follow()
        (begun,) = await take(events, 1)
        assert isinstance(begun, StreamInterrupted)
        await venue.send(told(1, EVENT, {**EVENT, "status": "FAILED"}), told(3, EVENT))
        order, failed, lost = await take(events, 3)
        assert order.size == 1
        assert order.filled_size == Decimal("0.3")
        assert order.client_order_id == CLIENT_ID
        assert order.venue_time_ns == 1675974837609931463
        assert failed.state == pb.ORDER_STATE_REJECTED
        assert "missing" in lost.detail
        await events.aclose()


SUBJECT = ClientUnderTest(
    "coinbase",
    "BTC-USD",
    Decimal("0.01"),
    DIALECTS["coinbase"],
    orders.execution_client,
    credentials,
    fills_page="venues.coinbase.account.FILLS_PAGE",
    publishes_fills=False,
    publishes_balances=False,
)


@pytest.mark.parametrize("check", [*ORDER_CHECKS, check_stop_limits_wait])
async def test_client_at_the_simulated_exchange(check: Check) -> None:
    async with open_session(SUBJECT) as session:
        await check(session)
        assert session.events


def test_reversed_fill_is_a_fill_of_the_negative_size():
    def row(entry, kind, size="0.001"):
        return {"entry_id": entry, "trade_id": "t1", "order_id": "o", "trade_type": kind,
                "trade_time": "2021-05-31T09:59:59.123Z", "price": "61000", "size": size,
                "commission": "1.25", "product_id": "BTC-USD", "side": "BUY",
                "liquidity_indicator": "MAKER", "size_in_quote": False}  # fmt: skip

    rows = [row("e1", "FILL"), row("e2", "REVERSAL"), row("e3", "CORRECTION", "0.002")]
    fills = [fill_of(one) for one in rows]
    assert [(one.fill_id, one.size, one.fees[0].amount) for one in fills] == [
        ("e1", Decimal("0.001"), Decimal("1.25")),
        ("e2", Decimal("-0.001"), Decimal("-1.25")),
        ("e3", Decimal("0.002"), Decimal("1.25")),
    ]


def test_terms_of_an_edited_order_are_those_of_the_newest_edit_that_is_done():
    def edit(size, price, at):
        time = f"2021-05-31T10:0{at}:00Z"
        return {"size": size, "price": price, "replace_accept_timestamp": time}

    assert orders.CoinbaseOrderApi.capabilities.amends_later
    queued = {**ROW, "status": "EDIT_QUEUED", "edit_history": []}
    before = order_of(queued)
    assert (before.state, before.size) == (pb.ORDER_STATE_OPEN, Decimal("123456789.12345678"))
    edits = [edit("2", "100.5", 1), edit("3", "101.25", 3), edit("2.5", "99", 2)]
    after = order_of({**ROW, "edit_history": edits})
    assert (after.size, after.price) == (Decimal(3), Decimal("101.25"))


@pytest.mark.parametrize(("status", "size"), [("CANCELLED", 0), ("EXPIRED", 0), ("FILLED", "0.3")])
def test_size_of_an_order_that_has_ended_is_not_what_was_filled_of_it(status, size):
    """Otherwise nothing of a stop would be left that was cancelled after a part was filled."""
    row = {**EVENT, "status": status, "leaves_quantity": "0"}
    message = {"channel": "user", "timestamp": "2023-02-09T20:33:57.6Z", "sequence_num": 0}
    (order,) = CoinbaseUserStreamDecoder().decode({**message, "events": [{"orders": [row]}]})
    assert (order.size, order.filled_size) == (Decimal(size), Decimal("0.3"))
