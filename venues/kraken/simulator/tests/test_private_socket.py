"""Account streams and websocket orders at the simulated Kraken, with the unmodified ccxt."""

import asyncio

import aiohttp
import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from tests.support.raw_client import until_subscribed
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.kraken.simulator import kraken_spot
from venues.kraken.simulator.authentication import credentials
from venues.kraken.simulator.tests.running import ccxt_client, running

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


async def price_of(client) -> float:
    return (await client.fetch_ticker(SYMBOL))["last"]


async def test_streams_report_orders_fills_and_balances(client):
    before = (await client.watch_balance())["USDT"]["total"]
    balance = asyncio.create_task(client.watch_balance())
    trades = asyncio.create_task(client.watch_my_trades())
    orders = asyncio.create_task(client.watch_orders())
    await until_subscribed(client.urls["api"]["public"], "executions", "balances")
    ack = await client.create_order_ws(SYMBOL, "market", "buy", 0.01)
    (trade, *_) = await trades
    assert (trade["order"], trade["symbol"], trade["side"]) == (ack["id"], SYMBOL, "buy")
    assert (trade["takerOrMaker"], trade["fee"]["currency"]) == ("taker", "USDT")
    await orders
    while not any(one["status"] == "closed" for one in client.orders):
        await asyncio.sleep(0)
    assert {one["id"] for one in client.orders} == {ack["id"]}
    assert (await client.fetch_order(ack["id"]))["status"] == "closed"
    await balance
    after = (await client.fetch_balance())["USDT"]["total"]
    assert after == pytest.approx(before - trade["cost"] - trade["fee"]["cost"], rel=1e-3)


async def test_orders_go_over_the_websocket(client):
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, low)
    await client.edit_order_ws(ack["id"], SYMBOL, "limit", "buy", 0.02, low)
    (order,) = await client.fetch_open_orders(SYMBOL)
    assert (order["id"], order["amount"]) == (ack["id"], 0.02)
    await client.cancel_order_ws(ack["id"])
    assert await client.fetch_open_orders(SYMBOL) == []
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order_ws(ack["id"])
    with pytest.raises(ccxt.ExchangeError, match="EOrder:Insufficient funds"):
        await client.create_order_ws(SYMBOL, "limit", "buy", 900, low)
    await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, low)
    await client.cancel_all_orders_ws()
    assert await client.fetch_open_orders(SYMBOL) == []


class Account:
    """A websocket, unexplained, and a token for it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        self.socket = socket
        self.token = token
        self.unheard: list[dict] = []
        """What came when something else was waited for."""

    async def say(self, method: str, **params) -> None:
        call = {"method": method, "params": {"token": self.token, **params}, "req_id": 7}
        await self.socket.send_json(call)

    async def hear(self, **members) -> dict:
        """The next message with these members: the events of an order come before or after its
        answer."""
        for message in self.unheard:
            if members.items() <= message.items():
                self.unheard.remove(message)
                return message
        while True:
            message = await self.socket.receive_json(timeout=WAIT_SECONDS_MAX)
            if members.items() <= message.items():
                return message
            self.unheard.append(message)


@pytest.fixture
async def account(base, client):
    async with aiohttp.ClientSession() as session:
        token = (await client.private_post_getwebsocketstoken())["result"]["token"]
        socket = await session.ws_connect(base + "/v2")
        yield Account(socket, token)


async def test_a_feed_begins_with_open_orders_and_trades(client, account):
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    await client.create_order(SYMBOL, "market", "buy", 0.01)
    await account.say("subscribe", channel="executions", snap_trades=True)
    assert (await account.hear(method="subscribe"))["result"]["snap_trades"] is True
    message = await account.hear(channel="executions")
    assert (message["type"], message["sequence"]) == ("snapshot", 1)
    order, *trades = message["data"]
    assert (order["order_id"], order["exec_type"]) == (ack["id"], "new")
    assert (order["limit_price"], order["symbol"]) == (low, SYMBOL)
    assert {trade["exec_type"] for trade in trades} == {"trade"}


async def test_messages_are_numbered_and_have_the_changes(client, account):
    low = round(await price_of(client) * 0.9, 1)
    await account.say("subscribe", channel="executions")
    assert (await account.hear(channel="executions"))["data"] == []
    limit = {"order_type": "limit", "side": "buy", "symbol": SYMBOL, "order_qty": 0.01}
    await account.say("add_order", **limit, limit_price=low, cl_ord_id="mine")
    reported = [await account.hear(channel="executions") for _ in range(2)]
    reply = await account.hear(method="add_order")
    assert (reply["success"], reply["req_id"]) == (True, 7)
    assert reply["result"]["cl_ord_id"] == "mine"
    await account.say("amend_order", cl_ord_id="mine", order_qty=0.02)
    reported.append(await account.hear(channel="executions"))
    await account.say("cancel_order", cl_ord_id=["mine", "other"])
    reported.append(await account.hear(channel="executions"))
    assert (await account.hear(method="cancel_order"))["success"] is True
    assert (await account.hear(method="cancel_order"))["error"] == "EOrder:Unknown order"
    assert [one["sequence"] for one in reported] == [2, 3, 4, 5]
    rows = [one["data"][0] for one in reported]
    kinds = [row["exec_type"] for row in rows]
    assert kinds == ["pending_new", "new", "amended", "canceled"]
    assert rows[0]["order_qty"] == 0.01
    assert "order_qty" not in rows[1]
    assert (rows[2]["order_qty"], rows[3]["reason"]) == (0.02, "User requested")
    assert {row["order_id"] for row in rows} == {reply["result"]["order_id"]}


async def test_numbers_have_all_their_places(client, account):
    await account.say("subscribe", channel="executions")
    await account.hear(channel="executions")
    limit = {"order_type": "limit", "side": "buy", "symbol": SYMBOL, "order_qty": 0.1}
    await account.say("add_order", **limit, limit_price=50_000)
    text = ""
    while "pending_new" not in text:
        text = (await account.socket.receive(timeout=WAIT_SECONDS_MAX)).data
    assert '"order_qty":0.10000000' in text
    assert '"limit_price":50000.0,' in text


async def test_a_message_without_a_valid_token_is_rejected(account):
    account.token = "guessed"
    for method in ("add_order", "cancel_all", "subscribe"):
        await account.say(method, channel="executions")
        reply = await account.hear(method=method)
        assert (reply["success"], reply["error"]) == (False, "ESession:Invalid session")


async def test_a_second_subscription_to_a_feed_is_rejected(account):
    for channel in ("executions", "balances"):
        await account.say("subscribe", channel=channel)
        assert (await account.hear(channel=channel))["type"] == "snapshot"
        await account.say("subscribe", channel=channel)
        assert (await account.hear(success=False))["error"] == "Already subscribed"
        await account.say("unsubscribe", channel=channel)
        assert (await account.hear(method="unsubscribe"))["success"]


async def go_wrong(base: str, **fault) -> None:
    """Order a fault."""
    server = base.rpartition("/")[0]
    async with aiohttp.ClientSession() as session:
        body = {"venue": "kraken", **fault}
        async with session.post(f"{server}/faults", json=body) as response:
            assert response.status == 200, await response.text()


async def test_orders_are_cancelled_when_their_market_is_delisted(base, client, account):
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    await account.say("subscribe", channel="executions")
    await account.hear(channel="executions")
    await go_wrong(base, fault="delist", symbol=SYMBOL)
    (row,) = (await account.hear(channel="executions"))["data"]
    assert (row["order_id"], row["exec_type"]) == (ack["id"], "canceled")
    assert (await client.fetch_order(ack["id"]))["status"] == "canceled"
    with pytest.raises(ccxt.ExchangeError, match="EQuery:Unknown asset pair"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, low)


async def test_an_order_is_accepted_although_its_answer_is_an_error(base, client, account):
    limit = {"order_type": "limit", "side": "buy", "symbol": SYMBOL, "order_qty": 0.1}
    await go_wrong(base, fault="answer_500", path="add_order")
    await account.say("add_order", **limit, limit_price=40_000, cl_ord_id="lost")
    assert (await account.hear(success=False))["error"] == "EService:Unavailable"
    (order,) = await client.fetch_open_orders(params={"clientOrderId": "lost"})
    assert order["status"] == "open"


def test_failures_of_order_messages_are_written():
    text = '{"method":"add_order","params":{},"req_id":5}'
    dialect = kraken_spot()
    assert dialect.path_of(text) == "add_order"
    assert dialect.path_of('{"method":"ping"}') == dialect.path_of("{") == ""
    assert b'"error":"EService:Unavailable"' in dialect.failure_of(text)
