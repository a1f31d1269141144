"""Kraken's execution client: requests, answers and verdicts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

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
from kit.execution.tests.stop_suite import check_stops_are_amended
from venues.kraken import orders
from venues.kraken.simulator import DIALECTS
from venues.kraken.simulator.authentication import credentials
from venues.kraken.user_stream import KrakenUserStreamDecoder

KEY = OrderKey("BTC/USDT", CLIENT_ID, "")
REQUEST = limit_order("BTC/USDT")
ROW = {
    "refid": None, "userref": 0, "cl_ord_id": CLIENT_ID, "status": "open",
    "opentm": 1688148493.7708, "starttm": 0, "expiretm": 0,
    "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "61234.5",
              "price2": "0", "leverage": "none", "order": "", "close": ""},
    "vol": "123456789.12345678", "vol_exec": "0.00000000", "cost": "0.00000", "fee": "0.00000",
    "price": "0.00000", "stopprice": "0.00000", "limitprice": "0.00000", "oflags": "fciq",
}  # fmt: skip
PAIR = {"altname": "XBTUSDT", "wsname": "XBT/USDT", "base": "XXBT", "quote": "USDT"}


@asynccontextmanager
async def prepared() -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient]]:
    given = Credentials("main", {"apiKey": "k", "secret": "c2VjcmV0"})
    async with scripted_client(lambda base: orders.execution_client(given, base, "rest")) as found:
        venue, _ = found
        venue.answer("/public/AssetPairs", done({"XBTUSDT": PAIR}))
        venue.answer("/public/Assets", done({"XXBT": {"altname": "XBT"}}))
        yield found


def done(result):
    return {"error": [], "result": result}


async def test_an_order_goes_out_digit_for_digit():
    async with prepared() as (venue, client):
        venue.answer("/AddOrder", done({"descr": {}, "txid": ["OUF4EM-FRGI2-MQMWZD"]}))
        assert await client.place(REQUEST) == RequestAccepted("OUF4EM-FRGI2-MQMWZD")
        sent = venue.sent[-1].params
        del sent["nonce"]
        assert sent == {
            "pair": "XBTUSDT",
            "type": "buy",
            "ordertype": "limit",
            "volume": "123456789.12345678",
            "price": "61234.5",
            "cl_ord_id": CLIENT_ID,
            "oflags": "fciq",
            "timeinforce": "GTC",
        }


@pytest.mark.parametrize(
    ("kind", "prices", "expected"),
    [
        (pb.ORDER_TYPE_STOP, {"stop_price": Decimal(5)}, {"price": "5", "price2": None}),
        (
            pb.ORDER_TYPE_TAKE_PROFIT_LIMIT,
            {"stop_price": Decimal(5), "price": Decimal("4.5")},
            {"price": "5", "price2": "4.5", "ordertype": "take-profit-limit"},
        ),
        (pb.ORDER_TYPE_TRAILING_STOP, {"trailing_offset": Decimal(100)}, {"price": "+100"}),
        (pb.ORDER_TYPE_MARKET, {}, {"price": None, "timeinforce": None}),
    ],
)
async def test_each_kind_of_order_has_its_prices(kind, prices, expected):
    async with prepared() as (venue, client):
        venue.answer("/AddOrder", done({"txid": ["O"]}))
        await client.place(
            OrderRequest(CLIENT_ID, "BTC/USDT", types_pb2.SIDE_SELL, kind, Decimal(1), **prices)
        )
        sent = venue.sent[-1].params
        assert {name: sent.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("EOrder:Insufficient funds", "INSUFFICIENT_FUNDS"),
        ("EOrder:Post only order", "WOULD_TAKE"),
        ("EOrder:Order minimum not met", "SIZE"),
        ("EOrder:Cost minimum not met", "NOTIONAL"),
        ("EOrder:Tick size check failed", "PRICE"),
        ("EOrder:Orders limit exceeded", "TOO_MANY_ORDERS"),
        ("EOrder:Rate limit exceeded", "RATE_LIMIT"),
        ("EAPI:Rate limit exceeded", "RATE_LIMIT"),
        ("EGeneral:Temporary lockout", "RATE_LIMIT"),
        ("EAPI:Invalid nonce", "CLOCK"),
        ("EAPI:Invalid key", "PERMISSION"),
        ("EAPI:Invalid signature", "PERMISSION"),
        ("EGeneral:Permission denied", "PERMISSION"),
        ("EQuery:Unknown asset pair", "INSTRUMENT"),
        ("EService:Market in cancel_only mode", "MAINTENANCE"),
        ("EService:Market in post_only mode", "MAINTENANCE"),
        ("EGeneral:Invalid arguments", "OTHER"),
    ],
)
async def test_rejected_order_has_its_reason(words, reason):
    async with prepared() as (venue, client):
        venue.answer("/AddOrder", {"error": [words]})
        await check_rejection(client, REQUEST, reason, words)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": ["EService:Unavailable"]}),
        (200, {"error": ["EService:Busy"]}),
        (200, {"error": ["EService:Timeout"]}),
        (200, {"error": ["EService:Something new"]}),
        (200, {"error": ["EGeneral:Internal error"]}),
        (200, {"error": ["EGeneral:Internal error:a1b2"]}),
        (200, {"error": [], "result": {}}),
        (520, "<html>520</html>"),
        (200, "<html>no answer</html>"),
        (200, DROP),
    ],
)
async def test_unclear_answer_is_an_unknown_outcome_and_not_repeated(status, body):
    async with prepared() as (venue, client):
        venue.answer("/AddOrder", body, status=status)
        await check_unknown_outcome(venue, client, REQUEST, "/AddOrder")


async def test_nothing_is_sent_before_the_symbols_are_known():
    async with prepared() as (venue, client):
        venue.answer("/public/AssetPairs", "<html>502</html>", status=502)
        assert isinstance(await client.place(REQUEST), RequestRejected)
        assert not [one for one in venue.sent if one.path.endswith("AddOrder")]


async def test_an_order_is_found_by_our_id():
    async with prepared() as (venue, client):
        closed = {**ROW, "status": "canceled", "vol_exec": "0.3", "cost": "1.00000",
                  "closetm": 1688148500.123456, "reason": "User requested"}  # fmt: skip
        venue.answer("/OpenOrders", done({"open": {}}))
        venue.answer("/ClosedOrders", done({"closed": {"OQCLML": closed}, "count": 1}))
        found = await client.find(KEY)
        assert found is not None
        assert found.state == pb.ORDER_STATE_CANCELLED
        assert (found.symbol, found.venue_order_id) == ("BTC/USDT", "OQCLML")
        assert found.client_order_id == CLIENT_ID
        assert found.size == Decimal("123456789.12345678")
        assert found.average_price == Decimal("3.3333333333333333")
        assert found.venue_time_ns == 1688148500123456000
        venue.answer("/ClosedOrders", done({"closed": {}, "count": 0}))
        assert await client.find(KEY) is None


async def test_fills_and_balances_are_exact():
    trade = {"ordertxid": "OQCLML", "pair": "XBTUSDT", "time": "1688667796.8802", "type": "buy",
             "price": "61234.50000", "cost": "1", "fee": "0.00016", "vol": "0.02000001",
             "trade_id": 40274859, "maker": True}  # fmt: skip
    async with prepared() as (venue, client):
        pages = [done({"trades": {f"T{page}": trade}, "count": 2}) for page in range(2)]
        venue.answer("/TradesHistory", *pages)
        fills = await listed_fills(client, "", 1_688_667_796_000_000_000)
        assert [fill.fill_id for fill in fills] == ["T0", "T1"]
        assert fills[0].size == Decimal("0.02000001")
        assert fills[0].fees == (Fee("USDT", Decimal("0.00016")),)
        assert fills[0].symbol == "BTC/USDT"
        row = {"balance": "9007199254740993.0000000001", "hold_trade": "1"}
        venue.answer("/BalanceEx", done({"XXBT": row}))
        total = Decimal("9007199254740993.0000000001")
        assert await client.balances() == [VenueBalance("BTC", total, total - 1)]


async def test_missing_stream_message_interrupts_the_stream():
    def reply(message):
        assert message["params"]["token"] == "token"
        result = {"channel": "executions"}
        return [{"method": "subscribe", "result": result, "success": True, "req_id": 1}]

    whole = (
        '{"channel":"executions","type":"update","sequence":%d,"data":[{"order_id":"O1",'
        f'"cl_ord_id":"{CLIENT_ID}","exec_type":"new","order_status":"new","symbol":"BTC/USDT",'
        '"side":"buy","order_type":"limit","order_qty":123456789.12345678,"limit_price":61234.5,'
        '"cum_qty":0.00000000,"cum_cost":0,"timestamp":"2022-12-25T09:30:59.123456Z"}]}'
    )
    trade = (
        '{"channel":"executions","type":"update","sequence":3,"data":[{"order_id":"O1",'
        '"exec_type":"trade","exec_id":"T1","symbol":"BTC/USDT","side":"buy","order_status":'
        '"partially_filled","last_qty":0.00000001,"last_price":61234.5,"liquidity_ind":"m",'
        '"cost":0.00061,"fees":[{"asset":"USDT","qty":0.000000016}],'
        '"timestamp":"2022-12-25T09:31:00Z"}]}'
    )
    async with prepared() as (venue, client):
        venue.answer("/GetWebSocketsToken", done({"token": "token", "expires": 900}))
        venue.reply = reply
        events = client.follow()
        (begun,) = await take(events, 1)
        assert isinstance(begun, StreamInterrupted)
        await venue.send(whole % 2, trade)
        opened, fill, order = await take(events, 3)
        assert opened.size == Decimal("123456789.12345678")
        assert fill.client_order_id == CLIENT_ID
        assert fill.fees == (Fee("USDT", Decimal("1.6E-8")),)
        assert order.filled_size == Decimal("1E-8")
        assert order.state == pb.ORDER_STATE_PARTLY_FILLED
        await venue.send(whole % 5)
        (lost,) = await take(events, 1)
        assert "missing" in lost.detail
        await events.aclose()


def subject(transport: Transport) -> ClientUnderTest:
    return ClientUnderTest(
        "kraken",
        "BTC/USDT",
        Decimal("0.01"),
        DIALECTS["kraken"],
        partial(orders.execution_client, transport=transport),
        credentials,
        fills_page="venues.kraken.simulator.private_rest.PAGE",
        socket_path="_order" if transport == "websocket" else "",
        publishes_balances=False,
    )


@pytest.mark.parametrize("transport", ["websocket", "rest"])
@pytest.mark.parametrize("check", [*ORDER_CHECKS, check_stops_are_amended])
async def test_client_at_the_simulated_exchange(check: Check, transport: Transport) -> None:
    async with open_session(subject(transport)) as session:
        await check(session)
        assert session.events


FOREIGN = [
    ("iceberg", pb.ORDER_TYPE_LIMIT),
    ("trailing-stop-limit", pb.ORDER_TYPE_TRAILING_STOP),
    ("settle-position", pb.ORDER_TYPE_MARKET),
    ("something-new", pb.ORDER_TYPE_UNSPECIFIED),
]
"""Types of orders that are placed elsewhere only."""


@pytest.mark.parametrize(("name", "kind"), FOREIGN)
async def test_order_of_a_type_that_is_placed_elsewhere_closes_no_account(name, kind):
    described = {**ROW["descr"], "ordertype": name}
    other = {**ROW, "cl_ord_id": None, "descr": described}
    async with prepared() as (venue, client):
        venue.answer("/OpenOrders", done({"open": {"OTHER": other, "OURS": ROW}}))
        found, ours = await client.open_orders()
        assert (found.type, found.venue_order_id) == (kind, "OTHER")
        assert ours.client_order_id == CLIENT_ID
    event = {
        "order_id": "OTHER", "symbol": "BTC/USDT", "side": "buy", "order_type": name,
        "order_qty": 1, "cum_qty": 0, "order_status": "new", "exec_type": "new",
        "timestamp": "2022-12-25T09:30:59.123456Z",
    }  # fmt: skip
    message = {"channel": "executions", "type": "update", "data": [event], "sequence": 1}
    (order,) = KrakenUserStreamDecoder().decode(message)
    assert order.type == kind


async def test_orders_and_fills_of_a_market_that_is_not_listed_close_no_account():
    """Kraken lists tokenized stocks apart."""
    other = {**ROW, "cl_ord_id": None, "descr": {**ROW["descr"], "pair": "AAPLxUSD"}}
    trade = {
        "ordertxid": "OTHER", "pair": "AAPLxUSD", "time": 1688667796.8802, "type": "buy",
        "price": "200", "fee": "0.16", "vol": "1", "maker": True,
    }  # fmt: skip
    async with prepared() as (venue, client):
        venue.answer("/OpenOrders", done({"open": {"OTHER": other, "OURS": ROW}}))
        venue.answer("/TradesHistory", done({"trades": {"T": trade}, "count": 1}))
        assert [one.symbol for one in await client.open_orders()] == ["AAPLxUSD", "BTC/USDT"]
        (fill,) = await listed_fills(client, "", 1_688_667_796_000_000_000)
        assert (fill.symbol, fill.fees) == ("AAPLxUSD", ())
