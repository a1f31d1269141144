"""The unmodified ccxt client gets the events of its account at the simulated Advanced Trade."""

import asyncio

import aiohttp
import pytest

from kit.simulator.matching.contract import KEYS
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.coinbase.simulator.authentication import credentials
from venues.coinbase.simulator.tests.running import ccxt_client, running

KEY = credentials(KEYS[0])
SYMBOL = "BTC/USD"


@pytest.fixture
async def base():
    async with running("simulate", events_per_second=200) as address:
        yield address


@pytest.fixture
async def client(base):
    async with ccxt_client(base, "advanced", **KEY) as it:
        await it.load_markets()
        yield it


async def price_of(client) -> float:
    return (await client.fetch_trades(SYMBOL, limit=1))[-1]["price"]


async def test_order_events_are_reported(client):
    low = round(await price_of(client) * 0.9, 2)
    first = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    (order,) = await client.watch_orders(SYMBOL)
    assert (order["id"], order["status"], order["price"]) == (first["id"], "open", low)
    orders = asyncio.create_task(client.watch_orders(SYMBOL))
    await client.cancel_order(first["id"])
    (order, *_) = await orders
    assert (order["id"], order["status"]) == (first["id"], "canceled")
    orders = asyncio.create_task(client.watch_orders(SYMBOL))
    second = await client.create_order(SYMBOL, "market", "sell", 0.01)
    await orders
    while client.orders[-1]["status"] != "closed":
        await asyncio.sleep(0)
    assert (client.orders[-1]["id"], client.orders[-1]["filled"]) == (second["id"], 0.01)


async def test_messages_of_a_connection_are_numbered(base, client):
    low = round(await price_of(client) * 0.9, 2)
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(base)
        call = {"type": "subscribe", "channel": "user", "product_ids": ["BTC-USD"]}
        await socket.send_json({**call, "jwt": client.create_auth_token(client.seconds())})
        reported = [await socket.receive_json(timeout=WAIT_SECONDS_MAX) for _ in range(2)]
        assert [one["channel"] for one in reported] == ["user", "subscriptions"]
        (event,) = reported[0]["events"]
        assert (event["type"], event["orders"]) == ("snapshot", [])
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
        await client.create_order("ETH/USD", "limit", "buy", 0.01, 1_000)
        await client.cancel_order(ack["id"])
        reported += [await socket.receive_json(timeout=WAIT_SECONDS_MAX) for _ in range(2)]
        assert [one["sequence_num"] for one in reported] == [0, 1, 2, 3]
        rows = [one["events"][0]["orders"][0] for one in reported[2:]]
        assert [row["status"] for row in rows] == ["OPEN", "CANCELLED"]
        assert {row["order_id"] for row in rows} == {ack["id"]}
        assert (rows[0]["leaves_quantity"], float(rows[0]["limit_price"])) == ("0.01", low)


async def test_an_unsigned_subscription_gets_no_events(base, client):
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(base)
        call = {"type": "subscribe", "channel": "user", "product_ids": []}
        for jwt in ("", "a.b.c", client.create_auth_token(client.seconds() - 500)):
            await socket.send_json({**call, "jwt": jwt})
            said = await socket.receive_json(timeout=WAIT_SECONDS_MAX)
            assert said == {"type": "error", "message": "authentication failure"}
