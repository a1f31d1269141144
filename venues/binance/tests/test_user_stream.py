"""What is heard of an account on Binance's spot market, and that a cut is reported."""

import json
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.errors import CredentialsRejected
from kit.execution.contract import Credentials, Fee, StreamInterrupted, VenueBalance
from kit.execution.tests.answer_suite import CLIENT_ID, ScriptedClient, scripted_client
from kit.execution.tests.scripted_venue import take
from venues.binance import orders

EXECUTION = {
    "e": "executionReport", "E": 1499405658658, "s": "BTCUSDT", "c": CLIENT_ID, "C": "",
    "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "1.00000000", "p": "0.10264410",
    "P": "0.00000000", "x": "NEW", "X": "NEW", "r": "NONE", "i": 4293153, "l": "0.00000000",
    "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "T": 1499405658657, "t": -1,
    "m": False, "Z": "0.00000000",
}  # fmt: skip


def spot_client() -> ScriptedClient:
    given = Credentials("main", {"apiKey": "k", "secret": "s"})
    return scripted_client(lambda base: orders.execution_client(given, base))


async def test_lost_connection_interrupts_the_stream():
    def reply(message):
        assert message["method"] == "userDataStream.subscribe.signature"
        return [{"id": message["id"], "status": 200, "result": {"subscriptionId": 0}}]

    trade = {
        **EXECUTION, "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.3", "z": "0.30000000",
        "L": "0.1", "n": "0.00030001", "N": "BTC", "t": 77, "m": True, "Z": "0.03",
    }  # fmt: skip
    gone = {**EXECUTION, "c": "cancelling", "C": CLIENT_ID, "x": "CANCELED", "X": "CANCELED"}
    position = {"e": "outboundAccountPosition", "u": 1,
                "B": [{"a": "ETH", "f": "10000.000000", "l": "1.5"}]}  # fmt: skip
    async with spot_client() as (venue, client):
        venue.reply = reply
        events = client.follow()
        (begun,) = await take(events, 1)
        assert isinstance(begun, StreamInterrupted)
        reported = [
            {"subscriptionId": 0, "event": one} for one in (EXECUTION, trade, gone, position)
        ]
        await venue.send(*reported)
        opened, fill, filled, cancelled, balance = await take(events, 5)
        assert opened.state == pb.ORDER_STATE_OPEN
        assert fill.fill_id == "77"
        assert fill.client_order_id == CLIENT_ID
        assert fill.fees == (Fee("BTC", Decimal("0.00030001")),)
        assert fill.liquidity == pb.LIQUIDITY_MAKER
        assert filled.state == pb.ORDER_STATE_PARTLY_FILLED
        assert filled.average_price == Decimal("0.1")
        assert cancelled.client_order_id == CLIENT_ID
        assert cancelled.state == pb.ORDER_STATE_CANCELLED
        assert balance == VenueBalance("ETH", Decimal("10001.5"), Decimal(10000))
        await venue.disconnect()
        (lost,) = await take(events, 1)
        assert isinstance(lost, StreamInterrupted)
        await venue.send(
            json.dumps(reported[0]), '{"subscriptionId":0,"event":{"e":"executionReport"}}'
        )
        again, lost = await take(events, 2)
        assert again == opened
        assert isinstance(lost, StreamInterrupted)
        await venue.send({"subscriptionId": 0, "event": {"e": "eventStreamTerminated"}})
        (lost,) = await take(events, 1)
        assert "eventStreamTerminated" in lost.detail
        await events.aclose()


async def test_burst_of_events_is_complete():
    def reply(message):
        return [
            {"id": message["id"], "status": 200, "result": {"subscriptionId": 0}},
            *({"subscriptionId": 0, "event": {**EXECUTION, "i": number}} for number in range(3000)),
        ]

    async with spot_client() as (venue, client):
        venue.reply = reply
        events = client.follow()
        found = await take(events, 3001)
        assert [int(order.venue_order_id) for order in found[1:]] == list(range(3000))
        await events.aclose()


async def test_key_without_stream_rights_is_rejected():
    async with spot_client() as (venue, client):
        error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        venue.reply = lambda message: [{"id": message["id"], "status": 401, "error": error}]
        with pytest.raises(CredentialsRejected):
            await anext(client.follow())


async def test_stream_can_be_followed_again():
    def reply(message):
        return [{"id": message["id"], "status": 200, "result": {"subscriptionId": 0}}]

    async with spot_client() as (venue, client):
        venue.reply = reply
        for number in range(2):
            events = client.follow()
            await take(events, 1)
            await venue.send({"subscriptionId": 0, "event": {**EXECUTION, "i": number}})
            (order,) = await take(events, 1)
            assert order.venue_order_id == str(number)
            await events.aclose()
