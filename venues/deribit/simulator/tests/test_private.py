"""Orders over REST at the simulated Deribit, with the unmodified ccxt client."""

import base64

import aiohttp
import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from venues.deribit.simulator.authentication import credentials
from venues.deribit.simulator.tests.running import ccxt_client, running

KEY = credentials(KEYS[0])
SYMBOL, NATIVE = "BTC/USD:BTC", "BTC-PERPETUAL"


@pytest.fixture
async def client():
    async with running("simulate", events_per_second=200) as base, ccxt_client(base, **KEY) as it:
        await it.load_markets()
        yield it


async def price_of(client, symbol: str = SYMBOL) -> float:
    return (await client.fetch_ticker(symbol))["last"]


def to_tick(price: float) -> float:
    return round(price * 2) / 2


async def test_a_limit_order_is_placed_changed_and_cancelled(client):
    price = to_tick(await price_of(client) * 0.9)
    placed = await client.create_order(SYMBOL, "limit", "buy", 100, price, {"label": "mine"})
    assert (placed["status"], placed["price"], placed["amount"]) == ("open", price, 100)
    assert placed["info"]["label"] == "mine"
    assert placed["trades"] == []
    (known,) = await client.fetch_open_orders(SYMBOL)
    assert (known["id"], known["filled"], known["side"]) == (placed["id"], 0, "buy")
    balance = (await client.fetch_balance())["info"]["summaries"]
    (bitcoin,) = [one for one in balance if one["currency"] == "BTC"]
    assert float(bitcoin["initial_margin"]) == pytest.approx(100 / price * 0.02, rel=1e-3)
    changed = await client.edit_order(placed["id"], SYMBOL, "limit", "buy", 200, price - 10)
    assert (changed["amount"], changed["price"]) == (200, price - 10)
    assert changed["info"]["replaced"] is True
    gone = await client.cancel_order(placed["id"], SYMBOL)
    assert (gone["id"], gone["status"]) == (placed["id"], "canceled")
    assert (await client.fetch_order(placed["id"]))["status"] == "canceled"
    assert await client.fetch_open_orders(SYMBOL) == []
    assert await client.fetch_closed_orders(SYMBOL) == []
    unfilled = {"include_unfilled": True}
    closed = await client.fetch_closed_orders(SYMBOL, params=unfilled)
    assert [one["id"] for one in closed] == [placed["id"]]


async def test_a_market_order_fills_and_opens_a_position(client):
    order = await client.create_order(SYMBOL, "market", "buy", 1_000)
    assert (order["status"], order["filled"]) == ("closed", 1_000)
    assert sum(trade["amount"] for trade in order["trades"]) == 1_000
    trades = await client.fetch_my_trades(SYMBOL)
    assert {trade["id"] for trade in trades} == {trade["id"] for trade in order["trades"]}
    assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
    assert {trade["fee"]["currency"] for trade in trades} == {"BTC"}
    fee, coins = (sum(t["fee"]["cost"] for t in trades), 1_000 / order["average"])
    assert fee == pytest.approx(coins * 0.0005, abs=1e-8 * len(trades))
    (position,) = await client.fetch_positions([SYMBOL])
    assert (position["side"], position["contracts"]) == ("long", 1_000)
    assert position["entryPrice"] == pytest.approx(order["average"], rel=1e-4)
    assert position["notional"] == pytest.approx(coins, rel=0.01)
    again = await client.fetch_order_trades(order["id"])
    assert {trade["id"] for trade in again} == {trade["id"] for trade in trades}
    await client.private_get_close_position({"instrument_name": NATIVE, "type": "market"})
    assert await client.fetch_positions([SYMBOL]) == []


async def test_post_only_is_rejected_or_gets_another_price(client):
    price = to_tick(await price_of(client) * 1.01)
    with pytest.raises(ccxt.InvalidOrder, match="11054"):
        await client.create_order(SYMBOL, "limit", "buy", 100, price, {"postOnly": True})
    params = {"instrument_name": NATIVE, "amount": 100, "price": price, "post_only": "true"}
    answer = await client.private_get_buy(params)
    order = answer["result"]["order"]
    assert order["order_state"] == "open"
    assert float(order["price"]) < price
    assert answer["result"]["trades"] == []


async def test_an_unfilled_immediate_order_is_cancelled(client):
    price = await price_of(client)
    low, high = to_tick(price * 0.9), to_tick(price * 1.02)
    for force in ("IOC", "FOK"):
        force_it = {"timeInForce": force}
        order = await client.create_order(SYMBOL, "limit", "buy", 100, low, force_it)
        assert (order["status"], order["filled"]) == ("canceled", 0)
        order = await client.create_order(SYMBOL, "limit", "buy", 100, high, force_it)
        assert order["status"] == "closed"


async def test_stops_wait_for_their_price(client):
    price = await price_of(client)
    low, high = to_tick(price * 0.9), to_tick(price * 1.1)
    stop = await client.create_order(SYMBOL, "market", "sell", 100, None, {"stopLossPrice": low})
    assert stop["info"]["order_state"] == "untriggered"
    assert stop["info"]["order_type"] == "stop_market"
    assert stop["id"].startswith("SLTS-")
    take = await client.create_order(SYMBOL, "limit", "sell", 100, high, {"takeProfitPrice": high})
    assert (take["info"]["order_type"], take["price"]) == ("take_limit", high)
    trail = await client.create_order(SYMBOL, "market", "sell", 100, None, {"trailingAmount": 500})
    assert trail["info"]["order_type"] == "trailing_stop"
    assert (trail["price"], trail["info"]["price"]) == (None, "market_price")
    assert len(await client.fetch_open_orders(SYMBOL)) == 3
    with pytest.raises(ccxt.InvalidOrder, match="11036"):
        await client.create_order(SYMBOL, "market", "sell", 100, None, {"stopLossPrice": high})
    await client.cancel_all_orders(SYMBOL)
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_reduce_only_without_a_position_is_rejected(client):
    with pytest.raises(ccxt.ExchangeError, match="11030"):
        await client.create_order(SYMBOL, "market", "sell", 100, None, {"reduceOnly": True})
    await client.create_order(SYMBOL, "market", "buy", 100)
    done = await client.create_order(SYMBOL, "market", "sell", 500, None, {"reduceOnly": True})
    assert done["filled"] == 100


async def test_several_orders_can_have_one_label(client):
    low = to_tick(await price_of(client) * 0.9)
    for _ in range(2):
        await client.create_order(SYMBOL, "limit", "buy", 100, low, {"label": "twice"})
    query = {"currency": "BTC", "label": "twice"}
    found = (await client.private_get_get_order_state_by_label(query))["result"]
    assert len(found) == 2
    assert (await client.private_get_cancel_by_label({"label": "twice"}))["result"] == 2


async def test_all_orders_are_cancelled_by_instrument(client):
    for symbol in (SYMBOL, "ETH/USD:ETH"):
        low = round(await price_of(client, symbol) * 0.9)
        await client.create_order(symbol, "limit", "buy", 100, low)
    (done,) = await client.cancel_all_orders(SYMBOL)
    assert done["info"]["result"] == 1
    (left,) = await client.fetch_open_orders("ETH/USD:ETH")
    assert left["id"].startswith("ETH-")
    await client.cancel_all_orders()
    assert await client.fetch_open_orders("ETH/USD:ETH") == []


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"instrument_name": "NOPE"}, -32602, ccxt.BadRequest),
        ({"type": "dance"}, -32602, ccxt.BadRequest),
        ({"time_in_force": "GTX"}, -32602, ccxt.BadRequest),
        ({"price": "40000.3"}, 10043, ccxt.InvalidOrder),
        ({"amount": "15"}, -32602, ccxt.BadRequest),
        ({"amount": "0"}, -32602, ccxt.BadRequest),
        ({"amount": "-10"}, -32602, ccxt.BadRequest),
        ({"amount": "1e-30"}, -32602, ccxt.BadRequest),
        ({"amount": "9000000000"}, 10009, ccxt.InsufficientFunds),
        ({"label": "x" * 65}, -32602, ccxt.BadRequest),
    ],
)
async def test_wrong_orders_are_rejected_with_deribits_errors(client, changes, code: int, error):
    usual = {"instrument_name": NATIVE, "amount": "100", "type": "limit", "price": "40000"}
    with pytest.raises(error, match=f'"code":{code}'):
        await client.private_get_buy({**usual, **changes})
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_a_final_order_cannot_be_cancelled(client):
    order = await client.create_order(SYMBOL, "market", "sell", 100)
    with pytest.raises(ccxt.InvalidOrder, match="11044"):
        await client.cancel_order(order["id"])
    with pytest.raises(ccxt.OrderNotFound, match="10004"):
        await client.cancel_order("1")


async def test_accounts_do_not_see_each_others_orders(client):
    low = to_tick(await price_of(client) * 0.9)
    order = await client.create_order(SYMBOL, "limit", "buy", 100, low)
    async with ccxt_client(client.urls["api"]["rest"], **credentials(KEYS[1])) as other:
        assert await other.fetch_open_orders(SYMBOL) == []
        with pytest.raises(ccxt.OrderNotFound):
            await other.cancel_order(order["id"])


@pytest.mark.parametrize("config", [{"apiKey": "nobody"}, {"secret": "guessed"}])
async def test_a_wrong_key_is_rejected(client, config):
    async with ccxt_client(client.urls["api"]["rest"], **{**KEY, **config}) as wrong:
        with pytest.raises(ccxt.AuthenticationError, match="13004"):
            await wrong.fetch_balance()


async def test_a_wrong_clock_is_rejected(client):
    now = client.milliseconds
    client.milliseconds = lambda: now() - 70_000
    with pytest.raises(ccxt.AuthenticationError, match="timestamp_expired"):
        await client.fetch_balance()


async def test_tokens_and_basic_credentials_authenticate_too(client):
    base = client.urls["api"]["rest"] + "/api/v2"
    summary = f"{base}/private/get_account_summary?currency=BTC"
    query = f"client_id={KEY['apiKey']}&client_secret={KEY['secret']}"
    async with aiohttp.ClientSession() as session:

        async def get(url: str, authorization: str = "") -> dict:
            headers = {"Authorization": authorization} if authorization else {}
            async with session.get(url, headers=headers) as response:
                return await response.json()

        said = await get(f"{base}/public/auth?grant_type=client_credentials&{query}")
        token = said["result"]
        assert token["expires_in"] == 900
        bearer = await get(summary, f"Bearer {token['access_token']}")
        assert bearer["result"]["currency"] == "BTC"
        plain = base64.b64encode(f"{KEY['apiKey']}:{KEY['secret']}".encode()).decode()
        assert (await get(summary, f"Basic {plain}"))["result"]["currency"] == "BTC"
        for wrong in ("", "Bearer guessed", f"Bearer {token['refresh_token']}"):
            assert (await get(summary, wrong))["error"]["code"] == 13009
        again = f"grant_type=refresh_token&refresh_token={token['refresh_token']}"
        assert "result" in await get(f"{base}/public/auth?{again}")
        assert (await get(f"{base}/public/auth?{again}"))["error"]["code"] == 13009
