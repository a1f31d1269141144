"""Stops on OKX: algo orders until their trigger, and the same order to us after it."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import (
    OrderKey,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    VenueFill,
    VenueOrder,
)
from kit.execution.tests.client_session import open_session
from kit.execution.tests.client_suite import Check
from kit.execution.tests.stop_suite import (
    check_stops_are_amended,
    check_stops_wait_and_are_triggered,
    check_triggered_stop_is_one_order,
    check_unsupported_stops,
)
from venues.okx.tests.test_orders import CLIENT_ID, GONE, KEY, ROW, done, prepared, subject
from venues.okx.user_stream import OkxUserStreamDecoder

ALGO = {
    "instType": "SPOT", "instId": "BTC-USDT", "algoId": "3126000", "algoClOrdId": CLIENT_ID,
    "ordType": "conditional", "side": "sell", "sz": "0.5", "tdMode": "cash", "tgtCcy": "",
    "slTriggerPx": "60000", "slOrdPx": "59999", "tpTriggerPx": "", "tpOrdPx": "",
    "triggerPx": "", "ordPx": "", "state": "live", "ordId": "", "ordIdList": [], "failCode": "",
    "triggerTime": "", "cTime": "1724751378980", "uTime": "1724751378980",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "price", "expected"),
    [
        (pb.ORDER_TYPE_STOP, None, {"slTriggerPx": "60000.5", "slOrdPx": "-1"}),
        (pb.ORDER_TYPE_STOP_LIMIT, "59999", {"slTriggerPx": "60000.5", "slOrdPx": "59999"}),
        (pb.ORDER_TYPE_TAKE_PROFIT, None, {"tpTriggerPx": "60000.5", "tpOrdPx": "-1"}),
        (pb.ORDER_TYPE_TAKE_PROFIT_LIMIT, "59999", {"tpTriggerPx": "60000.5", "tpOrdPx": "59999"}),
    ],
)
@pytest.mark.parametrize("buys", [True, False])
async def test_stop_goes_to_the_algo_orders(kind, price, expected, buys):
    side = types_pb2.SIDE_BUY if buys else types_pb2.SIDE_SELL
    order_request = OrderRequest(
        CLIENT_ID,
        "BTC-USDT",
        side,
        kind,
        Decimal("0.5"),
        price and Decimal(price),
        stop_price=Decimal("60000.5"),
    )
    async with prepared() as (venue, client):
        venue.answer("/order-algo", done({"algoId": "3126000", "sCode": "0", "sMsg": ""}))
        assert await client.place(order_request) == RequestAccepted("3126000")
        form = "sl" if "slTriggerPx" in expected else "tp"
        spends = {"tgtCcy": "base_ccy"} if buys and price is None else {}
        assert venue.sent[-1].json == expected | spends | {
            "instId": "BTC-USDT",
            "tdMode": "cash",
            "side": "buy" if buys else "sell",
            "ordType": "conditional",
            "sz": "0.5",
            "algoClOrdId": CLIENT_ID,
            f"{form}TriggerPxType": "last",
        }
        await check_unsupported_stops(client, order_request)
        assert len(venue.sent) == 1
        venue.answer("/amend-algos", done({"algoId": "3126000", "sCode": "0", "sMsg": ""}))
        assert await client.amend(KEY, order_request) == RequestAccepted("3126000")
        new = {f"new{name[:1].upper()}{name[1:]}": value for name, value in expected.items()}
        assert venue.sent[-1].json == new | {
            "instId": "BTC-USDT",
            "algoClOrdId": CLIENT_ID,
            "newSz": "0.5",
            f"new{form.capitalize()}TriggerPxType": "last",
        }


async def test_stop_is_found_before_and_after_its_trigger():
    async with prepared() as (venue, client):
        venue.answer("/trade/order", GONE)
        venue.answer("/trade/order-algo", done(ALGO))
        found = await client.find(KEY)
        assert found is not None
        assert (found.type, found.state) == (pb.ORDER_TYPE_STOP_LIMIT, pb.ORDER_STATE_OPEN)
        assert (found.stop_price, found.price) == (Decimal(60000), Decimal(59999))
        assert found.client_order_id == CLIENT_ID
        assert venue.sent[-1].query["algoClOrdId"] == CLIENT_ID
        made = {**ROW, "clOrdId": "", "algoClOrdId": CLIENT_ID, "ordId": "4000"}
        venue.answer("/trade/order-algo", done({**ALGO, "state": "effective"}))
        between = await client.find(KEY)
        assert between is not None
        assert between.state == pb.ORDER_STATE_OPEN
        woken = {**ALGO, "state": "effective", "ordIdList": ["4000"]}
        venue.answer("/trade/order-algo", done(woken))
        venue.answer("/trade/order", GONE, done(made))
        woken_order = await client.find(KEY)
        assert woken_order is not None
        assert (woken_order.venue_order_id, woken_order.client_order_id) == ("4000", CLIENT_ID)
        assert venue.sent[-1].query["ordId"] == "4000"
        venue.answer("/trade/order", GONE)
        assert await client.find(KEY) is None


async def test_stop_is_cancelled_among_stops_or_orders():
    key = OrderKey("BTC-USDT", CLIENT_ID, "3126000")
    no = {"sCode": "51400", "sMsg": "Cancellation failed as the order does not exist."}
    async with prepared() as (venue, client):
        venue.answer("/cancel-order", {"code": "1", "msg": "", "data": [no]})
        venue.answer("/cancel-algos", done({"algoId": "3126000", "sCode": "0", "sMsg": ""}))
        assert await client.cancel(key) == RequestAccepted("3126000")
        assert venue.sent[0].json == {"instId": "BTC-USDT", "ordId": "3126000"}
        assert venue.sent[1].json == [{"instId": "BTC-USDT", "algoClOrdId": CLIENT_ID}]
        venue.answer("/cancel-order", {"code": "1", "msg": "", "data": [{**no, "sCode": "50026"}]})
        assert isinstance(await client.cancel(key), OutcomeUnknown)
        assert len(venue.sent) == 3


async def test_cancel_all_reaches_orders_and_stops():
    no = {"sCode": "51400", "sMsg": "Cancellation failed as the order does not exist."}
    async with prepared() as (venue, client):
        venue.answer("/orders-algo-pending", done(ALGO), done())
        venue.answer("/orders-pending", done(ROW))
        absent = {"code": "1", "msg": "", "data": [no]}
        venue.answer("/cancel-order", absent, done({"ordId": "3126", "sCode": "0", "sMsg": ""}))
        venue.answer("/cancel-algos", done({"algoId": "3126000", "sCode": "0", "sMsg": ""}))
        assert await client.cancel_all() == RequestAccepted("")
        acts = [one.path.rpartition("/")[2] for one in venue.sent if one.method == "POST"]
        assert acts == ["cancel-order", "cancel-algos", "cancel-order"]


async def test_all_kinds_of_stops_are_open_orders():
    async with prepared() as (venue, client):
        venue.answer("/orders-pending", done(ROW))
        others = {"algoClOrdId": "", "slTriggerPx": "", "slOrdPx": ""}
        trigger = {**ALGO, **others, "algoId": "8", "ordType": "trigger", "triggerPx": "5",
                   "ordPx": "-1"}  # fmt: skip
        trailing = {**ALGO, **others, "algoId": "9", "ordType": "move_order_stop"}
        venue.answer("/orders-algo-pending", done(ALGO), done(trigger), done(trailing))
        stop, other, trailed, order = await client.open_orders("BTC-USDT")
        assert (stop.venue_order_id, order.venue_order_id) == ("3126000", "3126")
        assert (other.type, other.stop_price) == (pb.ORDER_TYPE_STOP, Decimal(5))
        assert (trailed.type, trailed.client_order_id) == (pb.ORDER_TYPE_TRAILING_STOP, "")
        kinds = [one.query.get("ordType") for one in venue.sent]
        assert kinds == ["conditional,oco", "trigger", "move_order_stop", None]


async def test_stream_reports_the_order_of_a_triggered_stop():
    events: list[object] = []
    decoder = OkxUserStreamDecoder("SPOT")
    pushed = {"arg": {"channel": "orders-algo", "instType": "SPOT"}}
    made = {**ROW, "clOrdId": "", "algoClOrdId": CLIENT_ID, "ordId": "4000", "sz": "0.5",
            "state": "filled", "accFillSz": "0.5", "avgPx": "60000", "tradeId": "9",
            "fillSz": "0.5", "fillPx": "60000", "fillFee": "-1", "fillFeeCcy": "USDT",
            "execType": "T", "fillTime": "1597026383085"}  # fmt: skip
    for message in (
        {**pushed, "data": [ALGO]},
        {**pushed, "data": [{**ALGO, "state": "effective", "ordIdList": ["4000"]}]},
        {"arg": {"channel": "orders", "instType": "SPOT"}, "data": [made]},
        {**pushed, "data": [{**ALGO, "state": "order_failed", "failCode": "51008"}]},
    ):
        heard = decoder.decode(message)
        assert isinstance(heard, list)
        events += heard
    waiting, fill, order, failed = events
    assert isinstance(waiting, VenueOrder)
    assert (waiting.venue_order_id, waiting.state) == ("3126000", pb.ORDER_STATE_OPEN)
    assert isinstance(fill, VenueFill)
    assert isinstance(order, VenueOrder)
    assert fill.client_order_id == order.client_order_id == CLIENT_ID
    assert (order.venue_order_id, order.state) == ("4000", pb.ORDER_STATE_FILLED)
    assert isinstance(failed, VenueOrder)
    assert failed.state == pb.ORDER_STATE_REJECTED
    assert failed.reject_reason == pb.REJECT_REASON_INSUFFICIENT_FUNDS


@pytest.mark.parametrize("venue_id", ["okx", "okx_futures"])
@pytest.mark.parametrize(
    "check",
    [
        check_stops_wait_and_are_triggered,
        check_stops_are_amended,
        check_triggered_stop_is_one_order,
    ],
)
async def test_stops_at_the_simulated_exchange(check: Check, venue_id: str) -> None:
    async with open_session(subject(venue_id)) as session:
        await check(session)
        assert session.events
