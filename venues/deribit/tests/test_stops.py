"""Stops on Deribit: a triggered stop has another id, and is the same order to us."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import OrderKey, OrderRequest, RequestAccepted, VenueOrder
from kit.execution.tests.client_session import open_session
from kit.execution.tests.client_suite import Check
from kit.execution.tests.stop_suite import (
    check_stops_are_amended,
    check_stops_wait_and_are_triggered,
    check_triggered_stop_is_one_order,
    check_unsupported_stops,
)
from venues.deribit.account import DeribitAccountApi
from venues.deribit.tests.test_orders import CLIENT_ID, KEY, ROW, done, failed, prepared, subject
from venues.deribit.user_stream import ORDERS, DeribitUserStreamDecoder

STOP = {
    **ROW, "order_id": "SLTS-1", "order_state": "untriggered", "order_type": "stop_limit",
    "direction": "sell", "trigger": "last_price", "trigger_price": 60000.5, "triggered": False,
}  # fmt: skip
WOKEN = {**STOP, "order_state": "triggered", "triggered": True}
MADE = {
    **ROW, "order_id": "4008", "direction": "sell", "label": "", "trigger_order_id": "SLTS-1",
    "creation_timestamp": 1550657341999,
}  # fmt: skip
OWN_KEY = replace(KEY, venue_order_id="SLTS-1")


@pytest.mark.parametrize(
    ("kind", "price", "expected"),
    [
        (pb.ORDER_TYPE_STOP, None, {"type": "stop_market"}),
        (
            pb.ORDER_TYPE_STOP_LIMIT,
            "59999",
            {"type": "stop_limit", "price": "59999", "time_in_force": "good_til_cancelled"},
        ),
        (pb.ORDER_TYPE_TAKE_PROFIT, None, {"type": "take_market"}),
        (
            pb.ORDER_TYPE_TAKE_PROFIT_LIMIT,
            "59999",
            {"type": "take_limit", "price": "59999", "time_in_force": "good_til_cancelled"},
        ),
    ],
)
async def test_each_stop_type_has_its_parameters(kind, price, expected):
    order_request = OrderRequest(
        CLIENT_ID,
        "BTC-PERPETUAL",
        types_pb2.SIDE_SELL,
        kind,
        Decimal(50),
        price and Decimal(price),
        stop_price=Decimal("60000.5"),
    )
    async with prepared() as (venue, client):
        venue.answer("/sell", done({"order": STOP, "trades": []}))
        receipt = await client.place(order_request)
        assert isinstance(receipt, RequestAccepted)
        assert receipt.order is not None
        assert (receipt.order.type, receipt.order.state) == (
            pb.ORDER_TYPE_STOP_LIMIT, pb.ORDER_STATE_OPEN,
        )  # fmt: skip
        assert venue.sent[-1].query == expected | {
            "instrument_name": "BTC-PERPETUAL",
            "amount": "50",
            "label": CLIENT_ID,
            "trigger": "last_price",
            "trigger_price": "60000.5",
        }
        count = len(venue.sent)
        await check_unsupported_stops(client, order_request)
        assert len(venue.sent) == count


@pytest.mark.parametrize(
    ("order_id", "path", "expected"),
    [
        ("", "/edit_by_label", {"trigger_price": "60000.5"}),
        ("SLTS-1", "/edit", {"trigger_price": "60000.5"}),
        ("4008", "/edit", {}),
    ],
)
async def test_trigger_price_of_an_untriggered_stop_is_amended(order_id, path, expected):
    order_request = OrderRequest(
        CLIENT_ID,
        "BTC-PERPETUAL",
        types_pb2.SIDE_SELL,
        pb.ORDER_TYPE_STOP_LIMIT,
        Decimal(50),
        Decimal(59999),
        stop_price=Decimal("60000.5"),
    )
    named = {"order_id": order_id}
    if not order_id:
        named = {"instrument_name": "BTC-PERPETUAL", "label": CLIENT_ID}
    async with prepared() as (venue, client):
        venue.answer(path, done({"order": STOP, "trades": []}))
        key = OrderKey("BTC-PERPETUAL", CLIENT_ID, order_id)
        assert isinstance(await client.amend(key, order_request), RequestAccepted)
        assert venue.sent[-1].query == {**named, "amount": "50", "price": "59999", **expected}


@pytest.mark.parametrize("label", ["", CLIENT_ID])
async def test_order_of_a_triggered_stop_has_the_stops_client_id(label):
    decoder, heard = DeribitUserStreamDecoder(DeribitAccountApi()), []
    for row in (STOP, WOKEN, {**MADE, "label": label}):
        params = {"channel": ORDERS, "data": row}
        events = decoder.decode({"method": "subscription", "params": params})
        assert isinstance(events, list)
        heard += events
    waiting, made = heard
    assert isinstance(waiting, VenueOrder)
    assert isinstance(made, VenueOrder)
    assert (waiting.venue_order_id, waiting.stop_price) == ("SLTS-1", Decimal("60000.5"))
    assert (made.venue_order_id, made.type) == ("4008", pb.ORDER_TYPE_LIMIT)
    assert waiting.client_order_id == made.client_order_id == CLIENT_ID


@pytest.mark.parametrize("key", [KEY, OWN_KEY])
@pytest.mark.parametrize("label", ["", CLIENT_ID])
async def test_stop_is_found_before_and_after_its_trigger(key, label):
    made = {**MADE, "label": label}
    async with prepared() as (venue, client):
        venue.answer("/get_order_state", done(STOP))
        venue.answer("/get_order_state_by_label", done([STOP]))
        found = await client.find(key)
        assert found is not None
        assert (found.type, found.state) == (pb.ORDER_TYPE_STOP_LIMIT, pb.ORDER_STATE_OPEN)
        venue.answer("/get_order_state", done(WOKEN))
        venue.answer("/get_order_state_by_label", done([WOKEN, *([made] if label else [])]))
        venue.answer("/get_open_orders_by_instrument", done([]))
        venue.answer("/get_order_history_by_instrument", done([]))
        between = await client.find(key)
        assert between is not None
        assert between.state == pb.ORDER_STATE_OPEN
        venue.answer("/get_open_orders_by_instrument", done([made]))
        after = await client.find(key)
        assert after is not None
        assert (after.venue_order_id, after.client_order_id) == ("4008", CLIENT_ID)
        ended = {**made, "order_state": "filled", "filled_amount": 50.0}
        venue.answer("/get_open_orders_by_instrument", done([]))
        venue.answer("/get_order_history_by_instrument", done([ended]))
        if not label:
            after = await client.find(key)
            assert after is not None
            assert after.state == pb.ORDER_STATE_FILLED


async def test_order_without_a_label_gets_the_client_id_of_its_stop():
    other = {**MADE, "order_id": "4009", "trigger_order_id": "SLTS-2"}
    async with prepared() as (venue, client):
        venue.answer("/get_order_state", done(MADE), done(WOKEN))
        found = await client.find(OrderKey("BTC-PERPETUAL", "", "4008"))
        assert found is not None
        assert found.client_order_id == CLIENT_ID
        gone = failed(10004, "order_not_found")
        venue.answer("/get_order_state", gone, status=400)
        venue.answer("/get_open_orders", done([MADE, other, WOKEN]))
        ours, theirs = await client.open_orders()
        assert (ours.client_order_id, theirs.client_order_id) == (CLIENT_ID, "")


@pytest.mark.parametrize(
    "check",
    [
        check_stops_wait_and_are_triggered,
        check_stops_are_amended,
        check_triggered_stop_is_one_order,
    ],
)
async def test_stops_at_the_simulated_exchange(check: Check) -> None:
    async with open_session(subject("websocket")) as session:
        await check(session)
        assert session.events
