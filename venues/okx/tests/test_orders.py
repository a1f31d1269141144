"""OKX's execution clients: requests, answers and verdicts."""

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.errors import CredentialsRejected
from kit.execution.contract import (
    Credentials,
    Fee,
    OrderKey,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    StreamInterrupted,
    Transport,
    VenueBalance,
    VenuePosition,
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
from kit.execution.tests.configuration_suite import check_account_opens_when_it_is_put_right
from kit.execution.tests.scripted_venue import DROP, take
from venues.okx import orders
from venues.okx.simulator import DIALECTS
from venues.okx.simulator.authentication import credentials
from venues.okx.user_stream import OkxUserStreamDecoder

KEY = OrderKey("BTC-USDT", CLIENT_ID, "")
REQUEST = limit_order("BTC-USDT")
ROW = {
    "instType": "SPOT", "instId": "BTC-USDT", "ordId": "3126", "clOrdId": CLIENT_ID,
    "px": "61234.5", "sz": "123456789.12345678", "side": "buy", "ordType": "limit",
    "state": "live", "accFillSz": "0", "avgPx": "", "cancelSource": "", "tgtCcy": "",
    "tradeId": "", "fillSz": "0", "fillPx": "", "fillTime": "", "uTime": "1597026383085",
}  # fmt: skip
FILL = {
    "instId": "BTC-USDT", "tradeId": "123", "ordId": "3126", "clOrdId": CLIENT_ID,
    "billId": "77", "fillPx": "61234.5", "fillSz": "0.00000001", "side": "buy", "execType": "M",
    "feeCcy": "BTC", "fee": "-0.000000000123", "ts": "1597026383085",
}  # fmt: skip
GONE = {"code": "51603", "msg": "Order does not exist", "data": []}


def prepared(venue_id: str = "okx") -> ScriptedClient:
    given = Credentials("main", {"apiKey": "k", "secret": "s", "password": "p"})
    return scripted_client(lambda base: orders.execution_client(venue_id, given, base, "rest"))


def done(*rows):
    return {"code": "0", "msg": "", "data": list(rows)}


async def test_order_is_sent_digit_for_digit_and_acknowledged_only():
    async with prepared() as (venue, client):
        venue.answer("/trade/order", done({"ordId": "3126", "sCode": "0", "sMsg": ""}))
        assert await client.place(REQUEST) == RequestAccepted("3126")
        assert venue.sent[-1].json == {
            "instId": "BTC-USDT",
            "tdMode": "cash",
            "side": "buy",
            "sz": "123456789.12345678",
            "clOrdId": CLIENT_ID,
            "ordType": "limit",
            "px": "61234.5",
        }
        buy, market = types_pb2.SIDE_BUY, pb.ORDER_TYPE_MARKET
        await client.place(OrderRequest(CLIENT_ID, "BTC-USDT", buy, market, Decimal("0.1")))
        assert venue.sent[-1].json["tgtCcy"] == "base_ccy"
        assert venue.sent[-1].json["ordType"] == "market"


@pytest.mark.parametrize(
    ("mode", "name"),
    [(1, "cancel_taker"), (2, "cancel_maker"), (3, "cancel_both"), (0, None)],
)
async def test_self_trade_mode_is_sent(mode, name):
    async with prepared() as (venue, client):
        venue.answer("/trade/order", done({"ordId": "3126", "sCode": "0", "sMsg": ""}))
        request = structs.replace(REQUEST, self_trade_prevention=mode)
        await client.place(request)
        assert venue.sent[-1].json.get("stpMode") == name
        if name == "cancel_both":
            immediate = structs.replace(request, time_in_force=pb.TIME_IN_FORCE_FILL_OR_KILL)
            await check_rejection(client, immediate, "NOT_SUPPORTED")


SECOND_ID = "f" * 32
ROWS = (
    {"clOrdId": SECOND_ID, "ordId": "", "sCode": "51008", "sMsg": "no"},
    {"clOrdId": CLIENT_ID, "ordId": "3126", "sCode": "0", "sMsg": ""},
)


@pytest.mark.parametrize(
    ("body", "first", "second"),
    [
        ({"code": "2", "msg": "", "data": list(ROWS)}, RequestAccepted, RequestRejected),
        ({"code": "1", "msg": "", "data": list(ROWS)}, RequestAccepted, RequestRejected),
        ({"code": "2", "msg": "", "data": [ROWS[0]]}, OutcomeUnknown, RequestRejected),
        ({"code": "0", "msg": "", "data": [{**ROWS[1], "ordId": None}, ROWS[0]]},
         OutcomeUnknown, RequestRejected),
        ({"code": "2", "msg": "", "data": [{"x": 1}, *ROWS]}, RequestAccepted, RequestRejected),
        ({"code": "50011", "msg": "no", "data": []}, RequestRejected, RequestRejected),
        ({"code": "50004", "msg": "timeout", "data": []}, OutcomeUnknown, OutcomeUnknown),
        (DROP, OutcomeUnknown, OutcomeUnknown),
    ],
)  # fmt: skip
async def test_each_order_of_a_call_has_the_verdict_of_its_row(body, first, second):
    async with prepared() as (venue, client):
        venue.answer("/trade/batch-orders", body)
        other = structs.replace(REQUEST, client_order_id=SECOND_ID)
        verdicts = await client.place_many([REQUEST, other])
        assert [type(one) for one in verdicts] == [first, second]
        assert [one["clOrdId"] for one in venue.sent[-1].json] == [CLIENT_ID, SECOND_ID]
        assert len(venue.sent) == 1


async def test_expired_orders_are_left_out_of_a_call():
    async with prepared() as (venue, client):
        venue.answer("/trade/batch-orders", done(ROWS[1]))
        await check_expired_orders_are_left_out(venue, client, REQUEST, "/trade/batch-orders")


async def test_a_swap_size_is_in_contracts_and_may_be_reduce_only():
    async with prepared("okx_futures") as (venue, client):
        venue.answer("/trade/order", done({"ordId": "1", "sCode": "0"}))
        order_request = OrderRequest(
            CLIENT_ID,
            "BTC-USDT-SWAP",
            types_pb2.SIDE_SELL,
            pb.ORDER_TYPE_LIMIT,
            Decimal("0.01"),
            Decimal(5),
            reduce_only=True,
            post_only=True,
        )
        await client.place(order_request)
        sent = venue.sent[-1].json
        assert (sent["tdMode"], sent["sz"], sent["reduceOnly"]) == ("cross", "0.01", True)
        assert sent["ordType"] == "post_only"
        row = {"instId": "BTC-USDT-SWAP", "pos": "3", "posSide": "short", "avgPx": "61000.1",
               "upl": "-12.5", "liqPx": ""}  # fmt: skip
        venue.answer("/account/positions", done(row, {**row, "pos": "0"}))
        assert await client.positions() == [
            VenuePosition("BTC-USDT-SWAP", Decimal(-3), Decimal("61000.1"), Decimal("-12.5"))
        ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("51008", "INSUFFICIENT_FUNDS"),
        ("51119", "INSUFFICIENT_FUNDS"),
        ("51016", "DUPLICATE_ID"),
        ("51020", "SIZE"),
        ("51121", "SIZE"),
        ("51006", "PRICE"),
        ("51001", "INSTRUMENT"),
        ("51169", "REDUCE_ONLY"),
        ("51000", "OTHER"),
    ],
)
async def test_the_code_of_the_order_counts(code, reason):
    async with prepared() as (venue, client):
        row = {"ordId": "", "clOrdId": CLIENT_ID, "sCode": code, "sMsg": "no"}
        venue.answer("/trade/order", {"code": "1", "msg": "All operations failed", "data": [row]})
        await check_rejection(client, REQUEST, reason)
        venue.answer("/trade/order", {"code": "2", "msg": "", "data": [row]})
        await check_rejection(client, REQUEST, reason)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (429, "50011", "RATE_LIMIT"),
        (200, "50011", "RATE_LIMIT"),
        (401, "50111", "PERMISSION"),
        (401, "50113", "PERMISSION"),
        (401, "50102", "CLOCK"),
    ],
)
async def test_call_that_was_turned_away_is_rejected(status, code, reason):
    async with prepared() as (venue, client):
        venue.answer("/trade/order", {"code": code, "msg": "no", "data": []}, status=status)
        await check_rejection(client, REQUEST, reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"code": "50004", "msg": "API endpoint request timeout", "data": []}),
        (200, {"code": "1", "msg": "", "data": [{"sCode": "50026", "sMsg": "System error"}]}),
        (503, {"code": "50001", "msg": "Service temporarily unavailable", "data": []}),
        (200, {"code": "1", "msg": "", "data": [{"sCode": "59999", "sMsg": "new"}]}),
        (200, {"data": [{"ordId": "1"}]}),
        (500, {"code": "59998", "msg": "new", "data": []}),
        (502, "<html>Bad Gateway</html>"),
        (200, done()),
        (200, DROP),
    ],
)
async def test_unclear_answer_is_an_unknown_outcome_and_not_repeated(status, body):
    async with prepared() as (venue, client):
        venue.answer("/trade/order", body, status=status)
        await check_unknown_outcome(venue, client, REQUEST, "/trade/order")


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, "OPEN", "UNSPECIFIED"),
        ({"state": "partially_filled", "accFillSz": "1"}, "PARTLY_FILLED", "UNSPECIFIED"),
        ({"state": "canceled", "cancelSource": "1"}, "CANCELLED", "UNSPECIFIED"),
        ({"state": "canceled", "cancelSource": "31"}, "REJECTED", "WOULD_TAKE"),
        ({"state": "canceled", "cancelSource": "13"}, "EXPIRED", "WOULD_NOT_FILL"),
        ({"state": "canceled", "cancelSource": "14"}, "EXPIRED", "UNSPECIFIED"),
    ],
)
async def test_each_order_state_is_reported(changes, state, reason):
    async with prepared() as (venue, client):
        venue.answer("/trade/order", done({**ROW, **changes}))
        found = await client.find(KEY)
        assert found is not None
        assert found.state == pb.OrderState.Value(f"ORDER_STATE_{state}")
        assert found.reject_reason == pb.RejectReason.Value(f"REJECT_REASON_{reason}")
        assert found.size == Decimal("123456789.12345678")
        assert venue.sent[-1].query["clOrdId"] == CLIENT_ID


async def test_unknown_order_is_none_and_cannot_be_cancelled():
    async with prepared() as (venue, client):
        venue.answer("/trade/order", GONE)
        venue.answer("/trade/order-algo", GONE)
        assert await client.find(KEY) is None
        row = {"sCode": "51400", "sMsg": "Cancellation failed as the order has been canceled"}
        venue.answer("/cancel-order", {"code": "1", "msg": "", "data": [row]})
        venue.answer("/cancel-algos", {"code": "1", "msg": "", "data": [row]})
        assert isinstance(await client.cancel(KEY), RequestRejected)
        venue.answer("/orders-pending", done(ROW))
        venue.answer("/orders-algo-pending", done())
        assert await client.cancel_all() == RequestAccepted("")


async def test_fills_balances_and_rights():
    async with prepared() as (venue, client):
        page = [{**FILL, "tradeId": str(number), "billId": str(number)} for number in range(100)]
        venue.answer("/trade/fills-history", done(*page), done(FILL))
        fills = await listed_fills(client, "BTC-USDT", 1_597_026_383_000_000_000)
        assert len(fills) == 101
        assert venue.sent[1].query["after"] == "99"
        assert fills[-1].fees == (Fee("BTC", Decimal("0.000000000123")),)
        assert fills[-1].size == Decimal("1E-8")
        coin = {"ccy": "BTC", "cashBal": "1.50000000000000000001", "availBal": "1"}
        venue.answer("/account/balance", done({"details": [coin]}))
        expected = VenueBalance("BTC", Decimal("1.50000000000000000001"), Decimal(1))
        assert await client.balances() == [expected]
        venue.answer("/account/config", done({"perm": "read_only,withdraw,trade"}))
        assert (await client.configuration()).excess_permissions == ["withdraw"]
        venue.answer("/cancel-all-after", done({"triggerTime": "1"}))
        await client.countdown(3)
        assert venue.sent[-1].json == {"timeOut": "10"}


async def test_account_stream_yields_events():
    def reply(message):
        if message["op"] == "login":
            return [{"event": "login", "code": "0", "msg": "", "connId": "a"}]
        return [{"event": "subscribe", "arg": arg, "connId": "a"} for arg in message["args"]]

    met = {**ROW, "state": "partially_filled", "accFillSz": "0.5", "avgPx": "61234.5",
           "tradeId": "123", "fillSz": "0.5", "fillPx": "61234.5", "fillFee": "-0.0005",
           "fillFeeCcy": "BTC", "execType": "M", "fillTime": "1597026383085"}  # fmt: skip
    async with prepared() as (venue, client):
        venue.reply = reply
        events = client.follow()
        (begun,) = await take(events, 1)
        assert isinstance(begun, StreamInterrupted)
        coin = {"ccy": "BTC", "cashBal": "1.5", "availBal": "1"}
        await venue.send(
            {"arg": {"channel": "orders", "instType": "SPOT"}, "data": [ROW]},
            {"arg": {"channel": "orders", "instType": "SPOT"}, "data": [met]},
            {"arg": {"channel": "account"}, "data": [{"details": [coin]}]},
            path="/private",
        )
        opened, fill, order, balance = await take(events, 4)
        assert opened.state == pb.ORDER_STATE_OPEN
        assert (fill.fill_id, fill.client_order_id) == ("123", CLIENT_ID)
        assert fill.fees == (Fee("BTC", Decimal("0.0005")),)
        assert order.filled_size == Decimal("0.5")
        assert balance == VenueBalance("BTC", Decimal("1.5"), Decimal(1))
        await venue.send({"event": "notice", "code": "64008", "msg": "The connection will close"})
        (lost,) = await take(events, 1)
        assert "64008" in lost.detail
        await events.aclose()


async def test_key_without_stream_rights_is_rejected():
    async with prepared() as (venue, client):
        venue.reply = lambda message: [{"event": "error", "code": "60009", "msg": "Login failed."}]
        with pytest.raises(CredentialsRejected):
            await anext(client.follow())


def subject(venue_id: str, transport: Transport = "websocket") -> ClientUnderTest:
    is_derivative = venue_id == "okx_futures"
    return ClientUnderTest(
        venue_id,
        "BTC-USDT-SWAP" if is_derivative else "BTC-USDT",
        Decimal(2) if is_derivative else Decimal("0.02"),
        DIALECTS[venue_id],
        lambda given, base_url: orders.execution_client(venue_id, given, base_url, transport),
        credentials,
        fills_page="venues.okx.account.PAGE",
        socket_path="order" if transport == "websocket" else "",
        is_derivative=is_derivative,
        publishes_positions=is_derivative,
        states=frozenset({"hedge_mode", "leverage", "portfolio"} if is_derivative else ()),
    )


@pytest.mark.parametrize("transport", ["websocket", "rest"])
@pytest.mark.parametrize("check", ORDER_CHECKS)
async def test_client_at_the_simulated_exchange(check: Check, transport: Transport) -> None:
    async with open_session(subject("okx", transport)) as session:
        await check(session)
        assert session.events


@pytest.mark.parametrize("check", ORDER_CHECKS)
async def test_futures_client_at_the_simulated_exchange(check: Check) -> None:
    async with open_session(subject("okx_futures")) as session:
        await check(session)
        assert session.events


@pytest.mark.parametrize(
    ("fields", "rejection"),
    [
        ({"amendResult": "-1", "code": "51509", "msg": "Modification failed."},
         "51509 Modification failed."),
        ({"amendResult": "-1"}, "amendResult is -1"),
        ({"amendResult": "0"}, ""),
        ({"amendResult": ""}, ""),
    ],
)  # fmt: skip
def test_failed_amendment_is_read_from_the_order_channel(fields, rejection):
    push = {"arg": {"channel": "orders", "instType": "SPOT"}, "data": [{**ROW, **fields}]}
    (update,) = OkxUserStreamDecoder("SPOT").decode(push)
    assert update.amendment_rejection == rejection


async def test_acknowledged_amendment_is_not_done_yet():
    async with prepared() as (venue, client):
        venue.answer("/trade/amend-order", done({"ordId": "3126", "sCode": "0", "sMsg": ""}))
        assert await client.amend(KEY, REQUEST) == RequestAccepted("3126")
        assert client.capabilities.amends_later


async def test_account_in_hedge_mode_is_refused_until_it_is_put_right(tmp_path: Path) -> None:
    async with open_session(subject("okx_futures", "rest")) as session:
        await check_account_opens_when_it_is_put_right(session, tmp_path)
