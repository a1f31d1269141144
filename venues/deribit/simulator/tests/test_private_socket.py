"""Account streams and websocket orders at the simulated Deribit, with the unmodified ccxt."""

import asyncio
import itertools

import aiohttp
import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from tests.support.raw_client import until_subscribed
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.deribit.simulator import deribit_futures
from venues.deribit.simulator.authentication import credentials
from venues.deribit.simulator.tests.running import ccxt_client, running
from venues.deribit.simulator.websocket import PATH

KEY = credentials(KEYS[0])
SYMBOL, NATIVE = "BTC/USD:BTC", "BTC-PERPETUAL"


@pytest.fixture
async def base():
    async with running("simulate", events_per_second=200) as address:
        yield address


@pytest.fixture
async def client(base):
    async with ccxt_client(base, **KEY) as it:
        await it.load_markets()
        yield it


async def test_streams_report_orders_fills_and_balances(client):
    watches = (client.watch_orders(), client.watch_my_trades(), client.watch_balance())
    orders, trades, balance = (asyncio.create_task(watch) for watch in watches)
    names = ("user.orders.any.any.raw", "user.trades.any.any.raw", "user.portfolio.BTC")
    await until_subscribed(client.urls["api"]["rest"], *names)
    order = await client.create_order(SYMBOL, "market", "buy", 100)
    (trade, *_) = await trades
    assert (trade["order"], trade["symbol"], trade["side"]) == (order["id"], SYMBOL, "buy")
    assert trade["fee"]["currency"] == "BTC"
    await orders
    while not any(one["status"] == "closed" for one in client.orders):
        await asyncio.sleep(0)
    assert {one["id"] for one in client.orders} == {order["id"]}
    assert (await balance)["info"]["currency"] == "BTC"


async def test_a_wrong_secret_is_rejected(base):
    async with ccxt_client(base, **{**KEY, "secret": "guessed"}) as wrong:
        async with aiohttp.ClientSession() as session:
            socket = Socket(await session.ws_connect(base + PATH))
            login = {"grant_type": "client_credentials", "client_id": KEY["apiKey"]}
            assert (await socket.ask("public/auth", **login))["error"]["code"] == 13004
            refused = await socket.ask("private/get_open_orders")
            assert refused["error"]["code"] == 13009
            channels = ["user.orders.any.any.raw"]
            refused = await socket.ask("private/subscribe", channels=channels)
            assert refused["error"]["code"] == 13009
        with pytest.raises(ccxt.AuthenticationError):
            await wrong.fetch_balance()


class Socket:
    """A websocket, unexplained."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.reported: list[dict] = []
        """What came besides answers."""
        self._ids = itertools.count(1)

    async def ask(self, method: str, **params) -> dict:
        """The whole answer."""
        number = next(self._ids)
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self.socket.send_json(call)
        while True:
            message = await self.socket.receive_json(timeout=WAIT_SECONDS_MAX)
            if message.get("id") == number:
                return message
            self.reported.append(message["params"])

    async def get(self, method: str, **params):
        """The result."""
        return (await self.ask(method, **params))["result"]

    async def hear(self, count: int) -> list[dict]:
        """So many notifications in all."""
        while len(self.reported) < count:
            self.reported.append(
                (await self.socket.receive_json(timeout=WAIT_SECONDS_MAX))["params"]
            )
        return self.reported


@pytest.fixture
async def socket(base):
    async with aiohttp.ClientSession() as session:
        socket = Socket(await session.ws_connect(base + PATH))
        secret = {"client_id": KEY["apiKey"], "client_secret": KEY["secret"]}
        signed = await socket.get("public/auth", grant_type="client_credentials", **secret)
        assert "connection" in signed["scope"]
        yield socket


async def far_price(socket: Socket) -> float:
    ticker = await socket.get("public/ticker", instrument_name=NATIVE)
    return round(ticker["last_price"] * 0.9)


async def test_orders_go_over_the_websocket(socket):
    channels = [f"user.orders.{NATIVE}.raw", "user.changes.future.BTC.raw", "user.nonsense"]
    assert await socket.get("private/subscribe", channels=channels) == channels[:2]
    price = await far_price(socket)
    limit = {"instrument_name": NATIVE, "amount": 100, "type": "limit", "price": price}
    placed = await socket.get("private/buy", **limit, label="it")
    assert (placed["order"]["order_state"], placed["trades"]) == ("open", [])
    number = placed["order"]["order_id"]
    edited = await socket.get("private/edit", order_id=number, amount=200, price=price)
    assert edited["order"]["amount"] == 200
    assert (await socket.get("private/cancel", order_id=number))["order_state"] == "cancelled"
    reported = await socket.hear(6)
    states = [one["data"]["order_state"] for one in reported if one["channel"] == channels[0]]
    assert states == ["open", "open", "cancelled"]
    changes = [one["data"]["orders"][0] for one in reported if one["channel"] == channels[1]]
    assert [one["amount"] for one in changes] == [100, 200, 200]
    assert {one["label"] for one in changes} == {"it"}


async def test_a_lost_connection_cancels_its_orders(client, socket):
    price = await far_price(socket)
    limit = {"instrument_name": NATIVE, "amount": 100, "type": "limit", "price": price}
    await client.create_order(SYMBOL, "limit", "buy", 100, price)
    await socket.get("private/buy", **limit)
    assert await socket.get("private/enable_cancel_on_disconnect") == "ok"
    enabled = await socket.get("private/get_cancel_on_disconnect")
    assert enabled == {"scope": "connection", "enabled": True}
    assert len(await client.fetch_open_orders(SYMBOL)) == 2
    await socket.socket.close()
    while len(await client.fetch_open_orders(SYMBOL)) > 1:
        await asyncio.sleep(0)
    (left,) = await client.fetch_open_orders(SYMBOL)
    assert left["status"] == "open"


async def test_orders_outlive_their_connection_by_default(client, socket):
    price = await far_price(socket)
    limit = {"instrument_name": NATIVE, "amount": 100, "type": "limit", "price": price}
    await socket.get("private/buy", **limit)
    await socket.get("private/enable_cancel_on_disconnect")
    await socket.get("private/disable_cancel_on_disconnect")
    await socket.socket.close()
    await client.fetch_balance()
    assert len(await client.fetch_open_orders(SYMBOL)) == 1


async def go_wrong(base: str, **fault) -> None:
    """Order a fault."""
    server = base.rpartition("/")[0]
    async with aiohttp.ClientSession() as session:
        body = {"venue": "deribit", **fault}
        async with session.post(f"{server}/faults", json=body) as response:
            assert response.status == 200, await response.text()


async def test_orders_are_cancelled_when_their_market_is_delisted(base, client, socket):
    price = await far_price(socket)
    order = await client.create_order(SYMBOL, "limit", "buy", 100, price)
    await socket.get("private/subscribe", channels=["user.orders.any.any.raw"])
    await go_wrong(base, fault="delist", symbol=NATIVE)
    (reported,) = await socket.hear(1)
    assert (reported["data"]["order_id"], reported["data"]["order_state"]) == (
        order["id"],
        "cancelled",
    )
    assert (await client.fetch_order(order["id"]))["status"] == "canceled"


async def test_an_order_is_accepted_although_its_answer_is_an_error(base, client, socket):
    price = await far_price(socket)
    limit = {"instrument_name": NATIVE, "amount": 100, "type": "limit", "price": price}
    await go_wrong(base, fault="answer_500", path="private/buy")
    assert (await socket.ask("private/buy", **limit, label="lost"))["error"]["code"] == 13888
    query = {"currency": "BTC", "label": "lost"}
    (found,) = (await client.private_get_get_order_state_by_label(query))["result"]
    assert found["order_state"] == "open"


def test_failures_of_order_messages_are_written():
    deribit = deribit_futures()
    text = '{"jsonrpc":"2.0","id":5,"method":"private/buy","params":{}}'
    assert deribit.path_of(text) == "private/buy"
    assert deribit.path_of('{"method":"public/test"}') == deribit.path_of("{") == ""
    assert b'"code":13888' in deribit.failure_of(text)
