"""ccxt as it comes has an account at the simulated Coinbase Exchange."""

import asyncio
import uuid

import aiohttp
import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from tests.support.raw_client import until_subscribed
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.coinbase.simulator.authentication import exchange_credentials
from venues.coinbase.simulator.tests.running import ccxt_client, running

KEY = exchange_credentials(KEYS[0])
SYMBOL = "BTC/USD"


@pytest.fixture
async def base():
    async with running("simulate", events_per_second=200) as address:
        yield address


@pytest.fixture
async def client(base):
    async with ccxt_client(base, "exchange", **KEY) as it:
        await it.load_markets()
        yield it


async def price_of(client, symbol: str = SYMBOL) -> float:
    return (await client.fetch_ticker(symbol))["last"]


async def test_a_limit_order_is_placed_and_cancelled(client):
    price, mine = round(await price_of(client) * 0.9, 2), str(uuid.uuid4())
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": mine})
    assert (ack["info"]["status"], ack["clientOrderId"]) == ("pending", mine)
    (known,) = await client.fetch_open_orders(SYMBOL)
    assert (known["id"], known["status"], known["price"]) == (ack["id"], "open", price)
    by_client_id = await client.fetch_order("", SYMBOL, {"clientOrderId": mine})
    assert by_client_id["id"] == ack["id"]
    used = (await client.fetch_balance())["USD"]["used"]
    assert used == pytest.approx(0.01 * price, rel=0.01)
    assert ack["id"] in (await client.cancel_order(ack["id"], SYMBOL))["info"]
    gone = await client.fetch_order(ack["id"])
    assert (gone["status"], gone["info"]["done_reason"]) == ("canceled", "canceled")
    assert await client.fetch_open_orders(SYMBOL) == []
    with pytest.raises(ccxt.OrderNotFound, match="Order already done"):
        await client.cancel_order(ack["id"], SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="order not found"):
        await client.cancel_order(str(uuid.uuid4()), SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="NotFound"):
        await client.fetch_order(str(uuid.uuid4()))


async def test_a_market_order_fills_and_pays(client):
    before = await client.fetch_balance()
    ack = await client.create_order(SYMBOL, "market", "sell", 0.05)
    order = await client.fetch_order(ack["id"])
    assert (order["status"], order["filled"]) == ("closed", 0.05)
    trades = await client.fetch_my_trades(SYMBOL)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.05)
    assert {trade["order"] for trade in trades} == {ack["id"]}
    assert {(trade["takerOrMaker"], trade["side"]) for trade in trades} == {("taker", "sell")}
    fee, cost = (sum(t["fee"]["cost"] for t in trades), sum(t["cost"] for t in trades))
    assert order["fee"]["cost"] == pytest.approx(fee)
    after = await client.fetch_balance()
    assert after["USD"]["total"] == pytest.approx(before["USD"]["total"] + cost - fee)
    spent = await client.create_order(SYMBOL, "market", "buy", 0, None, {"cost": 500})
    assert 490 < (await client.fetch_order(spent["id"]))["cost"] <= 500


async def test_post_only_is_rejected_when_it_would_take(client):
    price = round(await price_of(client) * 1.01, 2)
    post_only = {"postOnly": True}
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, post_only)
    assert (ack["status"], ack["info"]["reject_reason"]) == ("rejected", "post only")
    with pytest.raises(ccxt.OrderNotFound):
        await client.fetch_order(ack["id"])
    low = round(price * 0.9, 2)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, post_only)
    assert (await client.fetch_order(ack["id"]))["status"] == "open"


async def test_an_unfilled_immediate_order_is_cancelled(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 2), round(price * 1.02, 2)
    for force in ("IOC", "FOK"):
        force_it = {"timeInForce": force}
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, force_it)
        assert (await client.fetch_order(ack["id"]))["status"] == "canceled"
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, high, force_it)
        assert (await client.fetch_order(ack["id"]))["status"] == "closed"


async def test_stops_wait_for_their_price(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 2), round(price * 1.1, 2)
    stop = await client.create_order(SYMBOL, "limit", "sell", 0.01, low, {"stopPrice": low})
    take = await client.create_order(
        SYMBOL, "limit", "sell", 0.01, high, {"stopPrice": high, "stop": "entry"}
    )
    waiting = {one["id"]: one for one in await client.fetch_open_orders(SYMBOL)}
    assert {one["info"]["status"] for one in waiting.values()} == {"active"}
    assert waiting[stop["id"]]["info"]["stop"] == "loss"
    assert waiting[take["id"]]["triggerPrice"] == high
    (done,) = await client.cancel_all_orders(SYMBOL)
    assert sorted(done["info"]) == sorted(waiting)


async def test_all_orders_are_cancelled_by_product(client):
    for symbol in (SYMBOL, "ETH/USD"):
        low = round(await price_of(client, symbol) * 0.9, 2)
        await client.create_order(symbol, "limit", "buy", 0.01, low)
    await client.cancel_all_orders(SYMBOL)
    (left,) = await client.fetch_open_orders()
    assert left["symbol"] == "ETH/USD"
    assert len(await client.fetch_orders()) == 2


@pytest.mark.parametrize(
    ("changes", "words", "error"),
    [
        ({"product_id": "NOPE-USD"}, "Product not found", ccxt.InvalidOrder),
        ({"side": "hold"}, "Invalid side", ccxt.ExchangeError),
        ({"price": "40000.123"}, "price too precise", ccxt.InvalidOrder),
        ({"size": "0"}, "size is too small", ccxt.InvalidOrder),
        ({"size": "-1"}, "Invalid size", ccxt.ExchangeError),
        ({"size": "1e-30"}, "Invalid size", ccxt.ExchangeError),
        ({"size": "0.00001"}, "size is too small", ccxt.InvalidOrder),
        ({"size": "900"}, "Insufficient funds", ccxt.InsufficientFunds),
        ({"client_oid": "x"}, "client_oid", ccxt.ExchangeError),
    ],
)
async def test_wrong_orders_are_rejected_with_errors_of_coinbase(
    client, changes, words: str, error
):
    usual = {"product_id": "BTC-USD", "side": "buy", "type": "limit", "size": "0.01"}
    with pytest.raises(error, match=words):
        await client.private_post_orders({**usual, "price": "40000", **changes})
    assert await client.fetch_open_orders() == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"apiKey": "nobody"}, "Invalid API Key"),
        ({"secret": "Z3Vlc3NlZA=="}, "invalid signature"),
        ({"password": "guessed"}, "Invalid Passphrase"),
    ],
)
async def test_a_wrong_key_is_rejected(base, config, words: str):
    async with ccxt_client(base, "exchange", **{**KEY, **config}) as wrong:
        with pytest.raises(ccxt.AuthenticationError, match=words):
            await wrong.private_get_accounts()
        await wrong.load_markets()
        with pytest.raises(ccxt.AuthenticationError, match=words):
            await wrong.watch_orders(SYMBOL)


async def test_a_wrong_clock_is_rejected(client):
    now = client.nonce()
    client.nonce = lambda: now - 60
    with pytest.raises(ccxt.ExchangeError, match="request timestamp expired"):
        await client.fetch_balance()


async def test_accounts_do_not_see_each_others_orders(client, base):
    low = round(await price_of(client) * 0.9, 2)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    async with ccxt_client(base, "exchange", **exchange_credentials(KEYS[1])) as other:
        assert await other.fetch_open_orders() == []
        with pytest.raises(ccxt.OrderNotFound):
            await other.cancel_order(ack["id"])


async def test_streams_report_orders_and_fills(base, client):
    orders = asyncio.create_task(client.watch_orders(SYMBOL))
    trades = asyncio.create_task(client.watch_my_trades(SYMBOL))
    await until_subscribed(base, "user")
    ack = await client.create_order(SYMBOL, "market", "sell", 0.01)
    (trade, *_) = await trades
    assert (trade["order"], trade["side"], trade["takerOrMaker"]) == (ack["id"], "sell", "taker")
    await orders
    while client.orders[-1]["status"] != "closed":
        await asyncio.sleep(0)
    assert client.orders[-1]["id"] == ack["id"]


async def test_each_change_of_an_order_is_reported(base, client):
    price = await price_of(client)
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(base)
        call = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["user"]}
        await socket.send_json({**call, **client.authenticate()})
        said = await socket.receive_json(timeout=WAIT_SECONDS_MAX)
        assert said["channels"] == [{"name": "user", "product_ids": ["BTC-USD"]}]
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, round(price * 0.9, 2))
        await client.cancel_order(ack["id"], SYMBOL)
        reported = [await socket.receive_json(timeout=WAIT_SECONDS_MAX) for _ in range(3)]
        assert [one["type"] for one in reported] == ["received", "open", "done"]
        assert {one["order_id"] for one in reported} == {ack["id"]}
        assert (reported[1]["remaining_size"], reported[2]["reason"]) == ("0.01", "canceled")
        await client.create_order(SYMBOL, "limit", "buy", 0.01, round(price * 1.02, 2))
        kinds = [(await socket.receive_json(timeout=WAIT_SECONDS_MAX))["type"] for _ in range(3)]
        assert kinds[:2] == ["received", "match"]
        assert kinds[2] in ("match", "done")
