"""Bybit's cancellation of all orders after a disconnection."""

import asyncio
from decimal import Decimal

import pytest

from kit.base.errors import NotSupported
from kit.execution.contract import RequestAccepted, StreamInterrupted, VenueOrder
from kit.execution.tests.client_session import open_session
from kit.execution.tests.scripted_venue import take
from kit.simulator.matching.contract import OrderStatus
from venues.bybit.tests.test_orders import ROW, prepared, subject
from venues.bybit.user_stream import DISCONNECT_TOPIC

SIZE = Decimal("0.01")


@pytest.mark.parametrize(("seconds", "expected"), [(44.5, 45), (0.5, 3), (1000.0, 300)])
async def test_countdown_is_clamped_to_the_venues_limits(seconds, expected):
    async with prepared() as (venue, client):
        venue.answer("/disconnected-cancel-all", {"retCode": 0, "retMsg": "success"})
        await client.countdown(seconds)
        assert venue.sent[-1].json == {"product": "SPOT", "timeWindow": expected}
        assert client.capabilities.countdown
        with pytest.raises(NotSupported):
            await client.countdown(0)


@pytest.mark.parametrize("is_taken", [True, False])
async def test_account_stream_works_without_cancel_on_disconnection(is_taken):
    asked = []

    def reply(message):
        if message["op"] == "auth":
            return [{"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}]
        asked.append(message["args"])
        ack = {"ret_msg": "", "op": "subscribe", "conn_id": "c", "req_id": message["req_id"]}
        return [{**ack, "success": is_taken or message["req_id"] != DISCONNECT_TOPIC}]

    async with prepared() as (venue, client):
        venue.reply = reply
        events = client.follow()
        (begun,) = await take(events, 1)
        assert isinstance(begun, StreamInterrupted)
        await venue.send({"topic": "order", "data": [ROW]})
        (order,) = await take(events, 1)
        assert order.venue_order_id == ROW["orderId"]
        while len(asked) < 2:
            await asyncio.sleep(0.01)
        assert [DISCONNECT_TOPIC] in asked
        await events.aclose()


async def test_simulated_exchange_cancels_orders_after_disconnection():
    async with open_session(subject("rest")) as session:
        client = session.make_client("other-key")
        events = client.follow()
        assert isinstance(await anext(events), StreamInterrupted)
        await client.countdown(3)
        bid, _ = await session.best()
        order_request = session.request(bid - 50 * session.tick)
        assert isinstance(await client.place(order_request), RequestAccepted)
        while not isinstance(event := await anext(events), VenueOrder):
            pass
        assert event.client_order_id == order_request.client_order_id
        assert len(session.engine.open_orders("other")) == 1
        await events.aclose()
        await client.close()
        while session.engine.open_orders("other"):
            await asyncio.sleep(0.05)
        (gone,) = session.engine.orders("other")
        assert gone.status is OrderStatus.CANCELLED
