"""Orders over REST at the simulated Kraken, with the unmodified ccxt client."""

import asyncio

import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from venues.kraken.simulator.authentication import credentials
from venues.kraken.simulator.rows import order_id, order_number
from venues.kraken.simulator.tests.running import ccxt_client, running

KEY = credentials(KEYS[0])
SYMBOL = "BTC/USDT"
MINE = "d15708c1-dbb6-465d-b77d-47258319cc90"


@pytest.fixture
async def client():
    async with running("simulate", events_per_second=200) as base, ccxt_client(base, **KEY) as it:
        await it.load_markets()
        yield it


async def price_of(client, symbol: str = SYMBOL) -> float:
    return (await client.fetch_ticker(symbol))["last"]


async def test_a_limit_order_is_placed_changed_and_cancelled(client):
    price = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": MINE})
    assert (ack["side"], ack["amount"], ack["price"]) == ("buy", 0.01, price)
    assert ack["status"] is None
    (known,) = await client.fetch_open_orders(SYMBOL)
    assert (known["id"], known["status"], known["price"]) == (ack["id"], "open", price)
    assert (known["clientOrderId"], known["filled"]) == (MINE, 0)
    used = (await client.fetch_balance())["USDT"]["used"]
    assert used == pytest.approx(0.01 * price, rel=0.01)
    await client.edit_order(ack["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
    changed = await client.fetch_order(ack["id"], SYMBOL)
    assert (changed["amount"], changed["price"]) == (0.02, price - 10)
    await client.cancel_order(ack["id"], SYMBOL)
    gone = await client.fetch_order(ack["id"], SYMBOL)
    assert (gone["status"], gone["info"]["reason"]) == ("canceled", "User requested")
    assert await client.fetch_open_orders(SYMBOL) == []
    assert (await client.fetch_balance())["USDT"]["used"] == 0
    closed = await client.fetch_closed_orders(SYMBOL)
    assert [one["id"] for one in closed] == [ack["id"]]


async def test_a_market_order_fills_and_pays(client):
    before = await client.fetch_balance()
    ack = await client.create_order(SYMBOL, "market", "buy", 0.05)
    order = await client.fetch_order(ack["id"], SYMBOL)
    assert (order["status"], order["filled"], order["amount"]) == ("closed", 0.05, 0.05)
    trades = await client.fetch_my_trades(SYMBOL)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.05)
    assert {trade["order"] for trade in trades} == {ack["id"]}
    assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
    assert {trade["fee"]["currency"] for trade in trades} == {"USDT"}
    fee, cost = (sum(t["fee"]["cost"] for t in trades), sum(t["cost"] for t in trades))
    assert float(order["fee"]["cost"]) == pytest.approx(fee)
    assert fee == pytest.approx(cost * 0.004, rel=1e-4)
    after = await client.fetch_balance()
    assert after["USDT"]["total"] == pytest.approx(before["USDT"]["total"] - cost - fee)
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] + 0.05)
    wanted, public = {str(trade["info"]["trade_id"]) for trade in trades}, {}
    while not wanted <= set(public):
        # The market shows its trades a moment later.
        public |= {str(trade["info"][6]): trade for trade in await client.fetch_trades(SYMBOL)}
    assert all(public[str(t["info"]["trade_id"])]["price"] == t["price"] for t in trades)
    again = await client.fetch_order_trades(ack["id"], SYMBOL, params={"trades": trades})
    assert {trade["id"] for trade in again} == {trade["id"] for trade in trades}


async def test_a_market_order_can_have_a_value(client):
    ack = await client.create_market_order_with_cost(SYMBOL, "buy", 500)
    order = await client.fetch_order(ack["id"], SYMBOL)
    assert order["info"]["oflags"] == "fciq,viqc"
    assert 490 < float(order["info"]["cost"]) <= 500


async def test_post_only_is_rejected_when_it_would_take(client):
    price = round(await price_of(client) * 1.01, 1)
    with pytest.raises(ccxt.ExchangeError, match="EOrder:Post only order"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"postOnly": True})
    assert await client.fetch_closed_orders(SYMBOL) == []
    low = round(price * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, {"postOnly": True})
    order = await client.fetch_order(ack["id"], SYMBOL)
    assert (order["status"], order["postOnly"]) == ("open", True)


async def test_an_unfilled_immediate_order_is_cancelled(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 1), round(price * 1.02, 1)
    for force in ("IOC", "FOK"):
        force_it = {"timeInForce": force}
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, force_it)
        assert (await client.fetch_order(ack["id"], SYMBOL))["status"] == "canceled"
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, high, force_it)
        assert (await client.fetch_order(ack["id"], SYMBOL))["status"] == "closed"


async def test_stops_wait_for_their_price(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 1), round(price * 1.1, 1)
    stop = await client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": low})
    profit = await client.create_order(
        SYMBOL, "limit", "sell", 0.01, high, {"takeProfitPrice": high}
    )
    trailing = await client.create_order(
        SYMBOL, "market", "sell", 0.01, None, {"trailingAmount": "1000"}
    )
    waiting = {one["id"]: one for one in await client.fetch_open_orders(SYMBOL)}
    assert waiting[stop["id"]]["info"]["descr"]["ordertype"] == "stop-loss"
    assert waiting[stop["id"]]["stopLossPrice"] == low
    assert waiting[profit["id"]]["info"]["descr"]["ordertype"] == "take-profit-limit"
    assert (waiting[profit["id"]]["takeProfitPrice"], waiting[profit["id"]]["price"]) == (
        high,
        high,
    )
    assert waiting[trailing["id"]]["info"]["descr"]["price"] == "+1000.0"
    done = await client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": high})
    assert (await client.fetch_order(done["id"]))["status"] == "closed"


async def test_a_dead_mans_switch_cancels_all(client):
    low = round(await price_of(client) * 0.9, 1)
    await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    answer = (await client.cancel_all_orders_after(60_000))["result"]
    assert answer["triggerTime"] > answer["currentTime"]
    assert (await client.cancel_all_orders_after(0))["result"]["triggerTime"] == "0"
    await client.cancel_all_orders_after(1_000)
    while await client.fetch_open_orders(SYMBOL):
        await asyncio.sleep(0.05)
    assert len(await client.fetch_closed_orders(SYMBOL)) == 1


async def test_all_orders_are_cancelled_at_once(client):
    for symbol in (SYMBOL, "ETH/USDT"):
        low = round(await price_of(client, symbol) * 0.9, 1)
        await client.create_order(symbol, "limit", "buy", 0.02, low)
    (done,) = await client.cancel_all_orders()
    assert done["info"]["result"]["count"] == 2
    assert await client.fetch_open_orders() == []


async def test_several_orders_are_cancelled_by_their_ids(client):
    low = round(await price_of(client) * 0.9, 1)
    acks = [await client.create_order(SYMBOL, "limit", "buy", 0.01, low) for _ in range(3)]
    await client.cancel_orders([ack["id"] for ack in acks[:2]])
    assert [one["id"] for one in await client.fetch_open_orders()] == [acks[2]["id"]]


@pytest.mark.parametrize(
    ("changes", "words", "error"),
    [
        ({"pair": "NOPEUSDT"}, "EQuery:Unknown asset pair", ccxt.ExchangeError),
        ({"type": "hold"}, "EGeneral:Invalid arguments:type", ccxt.ExchangeError),
        ({"ordertype": "dance"}, "EGeneral:Invalid arguments:ordertype", ccxt.ExchangeError),
        ({"timeinforce": "GTX"}, "EGeneral:Invalid arguments:timeinforce", ccxt.ExchangeError),
        (
            {"price": "40000.123"},
            "EOrder:Invalid price:XBTUSDT price can only be specified up to 1 decimals.",
            ccxt.ExchangeError,
        ),
        ({"price": "0"}, "EGeneral:Invalid arguments:price", ccxt.InvalidOrder),
        ({"volume": "0.010000001"}, "EGeneral:Invalid arguments:volume", ccxt.InvalidOrder),
        ({"volume": "0"}, "EGeneral:Invalid arguments:volume", ccxt.InvalidOrder),
        ({"volume": "-1"}, "EGeneral:Invalid arguments:volume", ccxt.InvalidOrder),
        ({"volume": "1e-30"}, "EGeneral:Invalid arguments:volume", ccxt.InvalidOrder),
        ({"volume": "0.00000100"}, "EOrder:Cost minimum not met", ccxt.ExchangeError),
        ({"volume": "900"}, "EOrder:Insufficient funds", ccxt.InsufficientFunds),
        ({"cl_ord_id": "x" * 19}, "EGeneral:Invalid arguments:cl_ord_id", ccxt.ExchangeError),
        ({"deadline": "2020-01-01T00:00:00Z"}, "EService:Deadline elapsed", ccxt.ExchangeError),
    ],
)
async def test_wrong_orders_are_rejected_with_krakens_errors(client, changes, words: str, error):
    usual = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "0.01"}
    with pytest.raises(error, match=words):
        await client.private_post_addorder({**usual, "price": "40000", **changes})
    assert await client.fetch_open_orders() == []


async def test_an_order_can_be_tried_without_being_placed(client):
    usual = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "0.01"}
    tried = await client.private_post_addorder({**usual, "price": "40000", "validate": "true"})
    assert "txid" not in tried["result"]
    assert await client.fetch_open_orders() == []


async def test_a_client_id_is_free_again_when_its_order_is_done(client):
    low = round(await price_of(client) * 0.9, 1)
    params = {"clientOrderId": "once"}
    first = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    with pytest.raises(ccxt.ExchangeError, match="cl_ord_id"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    await client.cancel_order("", SYMBOL, params)
    second = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    assert second["id"] != first["id"]
    (known,) = await client.fetch_open_orders(params=params)
    assert known["id"] == second["id"]


async def test_a_final_order_cannot_be_cancelled(client):
    ack = await client.create_order(SYMBOL, "market", "sell", 0.01)
    with pytest.raises(ccxt.OrderNotFound, match="EOrder:Unknown order"):
        await client.cancel_order(ack["id"], SYMBOL)
    with pytest.raises(ccxt.InvalidOrder, match="EOrder:Unknown order"):
        await client.edit_order("OQCLML-BW3P3-BUCMWZ", SYMBOL, "limit", "buy", 1, 1)
    with pytest.raises(ccxt.ExchangeError, match="EOrder:Invalid order"):
        await client.fetch_order("nonsense", SYMBOL)


async def test_a_key_states_its_permissions(client):
    found = (await client.private_post_getapikeyinfo())["result"]
    assert "modify-trades" in found["permissions"]
    assert "withdraw-funds" not in found["permissions"]
    assert abs(await client.fetch_time() - client.milliseconds()) < 30_000


async def test_accounts_do_not_see_each_others_orders(client):
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    base = client.urls["api"]["private"]
    async with ccxt_client(base, **credentials(KEYS[1])) as other:
        assert await other.fetch_open_orders() == []
        with pytest.raises(ccxt.OrderNotFound):
            await other.cancel_order(ack["id"])
        with pytest.raises(ccxt.PermissionDenied):
            await other.private_post_withdrawmethods()
    async with ccxt_client(base, **credentials(KEYS[2])) as may:
        assert (await may.private_post_withdrawmethods())["result"] == []


async def test_a_wrong_key_is_rejected(client):
    base = client.urls["api"]["private"]
    async with ccxt_client(base, **{**KEY, "apiKey": "nobody"}) as wrong:
        with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
            await wrong.fetch_balance()
    async with ccxt_client(base, **{**KEY, "secret": "Z3Vlc3NlZA=="}) as wrong:
        with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
            await wrong.fetch_balance()


async def test_nonces_must_grow(client):
    await client.fetch_balance()
    client.incrementing_nonce = lambda: 5
    with pytest.raises(ccxt.InvalidNonce, match="EAPI:Invalid nonce"):
        await client.fetch_balance()


def test_order_numbers_can_be_computed_from_ids():
    ids = [order_id(number) for number in range(1, 1000)]
    assert len(set(ids)) == 999
    assert [order_number(one) for one in ids] == list(range(1, 1000))
    assert order_number("OQCLML-BW3P3-BUCMWZ") == order_number("T" + ids[0][1:]) == 0
