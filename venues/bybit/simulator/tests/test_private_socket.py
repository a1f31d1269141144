"""Account streams and websocket orders at the simulated Bybit, with the unmodified ccxt."""

import asyncio
import time

import aiohttp
import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from tests.support.raw_client import until_subscribed
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.bybit.simulator import bybit_spot
from venues.bybit.simulator.authentication import credentials
from venues.bybit.simulator.tests.running import ccxt_client, running
from venues.bybit.simulator.websocket import PRIVATE_PATH, TRADE_PATH

KEY = credentials(KEYS[0])
SYMBOL = "BTC/USDT"


@pytest.fixture
async def base():
    async with running("simulate", events_per_second=200) as address:
        yield address


@pytest.fixture
async def client(base):
    async with ccxt_client(base, **KEY) as it:
        await it.load_markets()
        yield it


async def subscribed(client, **watches) -> list[asyncio.Task]:
    """Watches of topics, when the exchange has taken all of them: a topic says nothing at first."""
    tasks = [asyncio.create_task(watch) for watch in watches.values()]
    await until_subscribed(client.urls["api"]["public"], *watches)
    return tasks


async def price_of(client) -> float:
    return (await client.fetch_ticker(SYMBOL))["last"]


async def test_streams_report_orders_fills_and_balances(client):
    orders, trades, balance = await subscribed(
        client,
        order=client.watch_orders(),
        execution=client.watch_my_trades(),
        wallet=client.watch_balance(),
    )
    ack = await client.create_order(SYMBOL, "market", "buy", 0.01, None, {"clientOrderId": "it"})
    (trade, *_) = await trades
    assert (trade["order"], trade["symbol"], trade["side"]) == (ack["id"], SYMBOL, "buy")
    assert trade["fee"]["currency"] == "BTC"
    (order, *_) = await orders
    assert (order["id"], order["clientOrderId"]) == (ack["id"], "it")
    while not any(one["status"] == "closed" for one in client.orders):
        await asyncio.sleep(0)
    assert [one["filled"] for one in client.orders] == [0.01]
    assert (await balance)["USDT"]["total"] > 0


async def test_order_events_are_reported(client):
    (orders,) = await subscribed(client, order=client.watch_orders(SYMBOL))
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    (order, *_) = await orders
    assert (order["id"], order["status"], order["price"]) == (ack["id"], "open", low)
    orders = asyncio.create_task(client.watch_orders(SYMBOL))
    await client.cancel_order(ack["id"], SYMBOL)
    (order, *_) = await orders
    assert (order["id"], order["status"]) == (ack["id"], "canceled")


async def test_orders_go_over_the_websocket(client):
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, low)
    await client.edit_order_ws(ack["id"], SYMBOL, "limit", "buy", 0.02, low)
    (order,) = await client.fetch_open_orders(SYMBOL)
    assert (order["id"], order["amount"]) == (ack["id"], 0.02)
    await client.cancel_order_ws(ack["id"], SYMBOL)
    assert await client.fetch_open_orders(SYMBOL) == []
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order_ws(ack["id"], SYMBOL)
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order_ws(SYMBOL, "limit", "buy", 900, low)


async def test_a_wrong_secret_is_rejected(base):
    async with ccxt_client(base, **{**KEY, "secret": "guessed"}) as wrong:
        wrong.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
        wrong.has["fetchCurrencies"] = False
        await wrong.load_markets()
        with pytest.raises(ccxt.ExchangeError, match="Params Error"):
            await wrong.watch_orders()
        with pytest.raises(ccxt.AuthenticationError):
            await wrong.create_order_ws(SYMBOL, "limit", "buy", 1, 1)


@pytest.fixture
async def sockets(base):
    async with aiohttp.ClientSession() as session:
        private = await session.ws_connect(base + PRIVATE_PATH)
        trade = await session.ws_connect(base + TRADE_PATH)
        yield private, trade


async def said(socket, call) -> dict:
    await socket.send_json(call)
    return await socket.receive_json(timeout=WAIT_SECONDS_MAX)


async def signed(base) -> list:
    async with ccxt_client(base, **KEY) as client:
        expires = int(time.time() * 1000) + 10_000
        text = client.encode(f"GET/realtime{expires}")
        return [KEY["apiKey"], expires, client.hmac(text, client.encode(KEY["secret"]), "sha256")]


async def test_invalid_messages_to_the_sockets_are_rejected(base, sockets):
    private, trade = sockets
    reply = await said(private, {"op": "subscribe", "args": ["order"]})
    assert (reply["success"], reply["ret_msg"]) == (False, "Request not authorized")
    create = {"op": "order.create", "reqId": "1", "args": [{}]}
    assert (await said(trade, create))["retCode"] == 10005
    login = {"op": "auth", "args": ["demo-key", 1, "00"]}
    assert (await said(private, login))["ret_msg"] == "Params Error"
    assert (await said(trade, login))["retCode"] == 10004
    login["args"] = await signed(base)
    assert (await said(private, login))["success"]
    assert (await said(trade, login))["retMsg"] == "OK"
    assert (await said(trade, login))["retCode"] == 20001
    assert (await said(trade, {"op": "order.dance"}))["retCode"] == 10404
    assert (await said(trade, create))["retCode"] == 10001
    assert (await said(trade, create))["retCode"] == 20006
    old = {**create, "reqId": "2", "header": {"X-BAPI-TIMESTAMP": "1700000000000"}}
    assert (await said(trade, old))["retCode"] == 10002
    reply = await said(private, {"op": "subscribe", "args": ["dance"]})
    assert reply["ret_msg"] == "error:handler not found,topic:dance"
    assert (await said(private, {"op": "ping", "req_id": "7"}))["op"] == "pong"
    assert (await said(trade, {"op": "ping"}))["op"] == "pong"


async def test_an_order_is_accepted_although_its_answer_is_an_error(base, client):
    server = base.rpartition("/")[0]
    fault = {"venue": "bybit", "fault": "answer_500", "path": "order.create"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server}/faults", json=fault) as response,
    ):
        assert response.status == 200, await response.text()
    params = {"clientOrderId": "lost"}
    with pytest.raises(ccxt.ExchangeError, match="10016"):
        await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 40_000, params)
    (order,) = await client.fetch_open_orders(SYMBOL)
    assert order["clientOrderId"] == "lost"


def test_failures_of_order_messages_are_written():
    text = '{"op":"order.create","reqId":"5","args":[{}]}'
    dialect = bybit_spot()
    assert dialect.path_of(text) == "order.create"
    assert dialect.path_of('{"op":"ping"}') == dialect.path_of("{") == ""
    assert b'"reqId":"5","retCode":10016' in dialect.failure_of(text)


async def test_orders_are_cancelled_when_a_connection_is_lost_that_asked_for_it(
    base, client, sockets
):
    private, _ = sockets
    assert (await said(private, {"op": "auth", "args": await signed(base)}))["success"]
    assert (await said(private, {"op": "subscribe", "args": ["dcp.spot"]}))["success"]
    await client.private_post_v5_order_disconnected_cancel_all({"product": "SPOT", "timeWindow": 3})
    low = round(await price_of(client) * 0.9, 1)
    await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    assert await client.fetch_open_orders(SYMBOL)
    await private.close()
    while await client.fetch_open_orders(SYMBOL):
        await asyncio.sleep(0.05)
