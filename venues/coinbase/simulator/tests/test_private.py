"""ccxt as it comes has an account at the simulated Advanced Trade: orders over REST."""

import uuid

import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from venues.coinbase.simulator.authentication import credentials
from venues.coinbase.simulator.rows import ORDERS, made_id, number_of
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


async def price_of(client, symbol: str = SYMBOL) -> float:
    return (await client.fetch_trades(symbol, limit=1))[-1]["price"]


async def test_a_limit_order_is_placed_changed_and_cancelled(client):
    price = round(await price_of(client) * 0.9, 2)
    ack = await client.create_order(
        SYMBOL, "limit", "buy", 0.01, price, {"client_order_id": "mine"}
    )
    assert (ack["clientOrderId"], ack["side"]) == ("mine", "buy")
    (known,) = await client.fetch_open_orders(SYMBOL)
    assert (known["id"], known["status"], known["price"]) == (ack["id"], "open", price)
    assert (known["amount"], known["filled"]) == (0.01, 0)
    used = (await client.fetch_balance({"v3": True}))["USD"]["used"]
    assert used == pytest.approx(0.01 * price, rel=0.01)
    edited = await client.edit_order(ack["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
    assert edited["info"]["success"] is True
    changed = await client.fetch_order(ack["id"])
    assert (changed["amount"], changed["price"]) == (0.02, price - 10)
    await client.cancel_order(ack["id"])
    gone = await client.fetch_order(ack["id"])
    assert (gone["status"], gone["info"]["cancel_message"]) == ("canceled", "User requested cancel")
    assert await client.fetch_open_orders(SYMBOL) == []
    assert (await client.fetch_balance({"v3": True}))["USD"]["used"] == 0
    assert [one["id"] for one in await client.fetch_canceled_orders(SYMBOL)] == [ack["id"]]


async def test_a_market_order_fills_and_pays(client):
    before = await client.fetch_balance()
    ack = await client.create_order(SYMBOL, "market", "sell", 0.05)
    order = await client.fetch_order(ack["id"])
    assert (order["status"], order["filled"]) == ("closed", 0.05)
    trades = await client.fetch_my_trades(SYMBOL)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.05)
    assert {trade["order"] for trade in trades} == {ack["id"]}
    assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
    assert {trade["fee"]["currency"] for trade in trades} == {"USD"}
    fee, cost = (sum(t["fee"]["cost"] for t in trades), sum(t["cost"] for t in trades))
    assert float(order["fee"]["cost"]) == pytest.approx(fee)
    assert fee == pytest.approx(cost * 0.006, rel=1e-4)
    after = await client.fetch_balance()
    assert after["USD"]["total"] == pytest.approx(before["USD"]["total"] + cost - fee)
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] - 0.05)


async def test_a_market_order_for_so_much_money(client):
    ack = await client.create_market_buy_order_with_cost(SYMBOL, 500)
    order = await client.fetch_order(ack["id"])
    assert order["info"]["order_configuration"] == {"market_market_ioc": {"quote_size": "500"}}
    assert 490 < float(order["info"]["filled_value"]) <= 500


async def test_post_only_is_rejected_when_it_would_take(client):
    price = round(await price_of(client) * 1.01, 2)
    with pytest.raises(ccxt.ExchangeError, match="INVALID_LIMIT_PRICE_POST_ONLY"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"postOnly": True})
    assert await client.fetch_orders(SYMBOL) == []
    low = round(price * 0.9, 2)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, {"postOnly": True})
    order = await client.fetch_order(ack["id"])
    assert (order["status"], order["postOnly"]) == ("open", True)


async def test_an_unfilled_immediate_order_is_cancelled(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 2), round(price * 1.02, 2)
    for force in ("IOC", "FOK"):
        force_it = {"timeInForce": force}
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, force_it)
        order = await client.fetch_order(ack["id"])
        assert (order["status"], order["timeInForce"]) == ("canceled", force)
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, high, force_it)
        assert (await client.fetch_order(ack["id"]))["status"] == "closed"


async def test_stops_wait_for_their_price(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 2), round(price * 1.1, 2)
    stop = await client.create_order(SYMBOL, "limit", "sell", 0.01, low, {"stopLossPrice": low})
    take = await client.create_order(SYMBOL, "limit", "sell", 0.01, high, {"takeProfitPrice": high})
    waiting = {one["id"]: one for one in await client.fetch_open_orders(SYMBOL)}
    assert waiting.keys() == {stop["id"], take["id"]}
    for one, direction in ((stop, "DOWN"), (take, "UP")):
        known = waiting[one["id"]]["info"]
        assert known["trigger_status"] == "STOP_PENDING"
        (terms,) = known["order_configuration"].values()
        assert terms["stop_direction"] == f"STOP_DIRECTION_STOP_{direction}"
    await client.cancel_orders([stop["id"], take["id"]])
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_an_order_until_a_time_expires(client):
    low = round(await price_of(client) * 0.9, 2)
    soon = client.iso8601(client.milliseconds() + 300)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, {"end_time": soon})
    while await client.fetch_open_orders(SYMBOL):
        pass
    order = await client.fetch_order(ack["id"])
    assert (order["info"]["status"], order["timeInForce"]) == ("EXPIRED", "GTD")


async def test_a_client_id_gives_the_first_order_again(client):
    low = round(await price_of(client) * 0.9, 2)
    params = {"client_order_id": str(uuid.uuid4())}
    first = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    second = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    assert second["id"] == first["id"]
    assert len(await client.fetch_orders(SYMBOL)) == 1


async def test_pages_of_orders_follow_one_another(client):
    low = round(await price_of(client) * 0.9, 2)
    acks = [await client.create_order(SYMBOL, "limit", "buy", 0.01, low) for _ in range(5)]
    pages = {"paginate": True, "maxEntriesPerRequest": 2}
    orders = await client.fetch_orders(SYMBOL, params=pages)
    assert sorted(one["id"] for one in orders) == sorted(ack["id"] for ack in acks)


GTC = "limit_limit_gtc"


@pytest.mark.parametrize(
    ("changes", "terms", "words", "error"),
    [
        ({"product_id": "NOPE-USD"}, {}, "INVALID_PRODUCT_ID", ccxt.ExchangeError),
        ({"side": "HOLD"}, {}, "INVALID_SIDE", ccxt.ExchangeError),
        ({"order_configuration": {"dance": {}}}, {}, "UNSUPPORTED_ORDER", ccxt.ExchangeError),
        ({}, {"limit_price": "40000.123"}, "INVALID_PRICE_PRECISION", ccxt.ExchangeError),
        ({}, {"base_size": "0.010000001"}, "INVALID_SIZE_PRECISION", ccxt.ExchangeError),
        ({}, {"base_size": "0"}, "SIZE_TOO_SMALL", ccxt.ExchangeError),
        ({}, {"base_size": "-1"}, "SIZE_TOO_SMALL", ccxt.ExchangeError),
        ({}, {"base_size": "1e-30"}, "SIZE_TOO_SMALL", ccxt.ExchangeError),
        ({}, {"base_size": "0.00001"}, "SIZE_TOO_SMALL", ccxt.ExchangeError),
        ({}, {"base_size": "900"}, "INSUFFICIENT_FUND", ccxt.InsufficientFunds),
        ({}, {"base_size": 7}, "INVALID_ARGUMENT", ccxt.BadRequest),
        ({"client_order_id": ""}, {}, "INVALID_ARGUMENT", ccxt.BadRequest),
    ],
)
async def test_wrong_orders_are_rejected_with_errors_of_coinbase(
    client, changes, terms, words, error
):
    limit = {"base_size": "0.01", "limit_price": "40000", **terms}
    body = {"client_order_id": "x", "product_id": "BTC-USD", "side": "BUY"}
    with pytest.raises(error, match=words):
        await client.v3_private_post_brokerage_orders(
            {**body, "order_configuration": {GTC: limit}, **changes}
        )
    assert await client.fetch_orders() == []


async def test_a_refusal_is_an_answer_with_status_200(client):
    limit = {"base_size": "900", "limit_price": "40000"}
    body = {"client_order_id": "x", "product_id": "BTC-USD", "side": "BUY"}
    client.handle_errors = lambda *answer: None
    said = await client.v3_private_post_brokerage_orders(
        {**body, "order_configuration": {GTC: limit}}
    )
    assert said["success"] is False
    assert said["error_response"]["error"] == "INSUFFICIENT_FUND"


async def test_a_final_order_cannot_be_changed(client):
    ack = await client.create_order(SYMBOL, "market", "sell", 0.01)
    with pytest.raises(ccxt.BadRequest):
        await client.cancel_order(ack["id"])
    with pytest.raises(ccxt.ExchangeError, match="order with this orderID was not found"):
        await client.fetch_order(str(uuid.uuid4()))
    low = round(await price_of(client) * 0.9, 2)
    edited = await client.v3_private_post_brokerage_orders_edit(
        {"order_id": ack["id"], "price": str(low), "size": "1"}
    )
    assert edited["success"] is False


async def test_accounts_do_not_see_each_others_orders(client, base):
    low = round(await price_of(client) * 0.9, 2)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    async with ccxt_client(base, "advanced", **credentials(KEYS[1])) as other:
        assert await other.fetch_open_orders() == []
        with pytest.raises(ccxt.BadRequest):
            await other.cancel_order(ack["id"])


async def test_a_key_states_its_permissions(base):
    for key, may in ((KEYS[0], False), (KEYS[2], True)):
        async with ccxt_client(base, "advanced", **credentials(key)) as one:
            found = await one.v3_private_get_brokerage_key_permissions()
            assert found["can_trade"] is True
            assert found["can_transfer"] is may


async def test_a_wrong_key_is_rejected(base):
    wrong = {"apiKey": KEY["apiKey"], "secret": credentials(KEYS[1])["secret"]}
    nobody = {**KEY, "apiKey": KEY["apiKey"] + "s"}
    for config in (wrong, nobody):
        async with ccxt_client(base, "advanced", **config) as client:
            with pytest.raises(ccxt.AuthenticationError, match="Unauthorized"):
                await client.v3_private_get_brokerage_accounts()


async def test_a_wrong_clock_is_rejected(client):
    now = client.seconds
    client.seconds = lambda: now() - 200
    with pytest.raises(ccxt.AuthenticationError, match="Unauthorized"):
        await client.fetch_balance()


async def test_a_signature_is_for_one_call(client, base):
    token = client.create_auth_token(client.seconds(), "GET", f"{base}/api/v3/brokerage/accounts")
    headers = {"Authorization": f"Bearer {token}"}
    assert "accounts" in await client.fetch(f"{base}/api/v3/brokerage/accounts", "GET", headers)
    with pytest.raises(ccxt.AuthenticationError):
        await client.fetch(f"{base}/api/v3/brokerage/key_permissions", "GET", headers)
    with pytest.raises(ccxt.AuthenticationError):
        await client.fetch(f"{base}/api/v3/brokerage/accounts", "GET", {})


def test_order_ids_can_be_computed_from_ids():
    ids = [made_id(ORDERS, number) for number in range(1, 1000)]
    assert len(set(ids)) == 999
    assert [number_of(ORDERS, one) for one in ids] == list(range(1, 1000))
    assert number_of(ORDERS, made_id(1, 7)) == number_of(ORDERS, str(uuid.uuid4())) == 0
