"""Orders over REST at the simulated Bybit, with the unmodified ccxt client."""

import ccxt
import pytest

from kit.simulator.matching.contract import KEYS
from venues.bybit.simulator.authentication import credentials
from venues.bybit.simulator.tests.running import ccxt_client, running

KEY = credentials(KEYS[0])
SYMBOL = "BTC/USDT"
KNOWN = {"acknowledged": True}


@pytest.fixture
async def client():
    async with running("simulate", events_per_second=200) as base, ccxt_client(base, **KEY) as it:
        await it.load_markets()
        yield it


async def price_of(client, symbol: str = SYMBOL) -> float:
    return (await client.fetch_ticker(symbol))["last"]


async def order_of(client, ack, symbol: str = SYMBOL, **params) -> dict:
    return await client.fetch_order(ack["id"], symbol, {**KNOWN, **params})


async def public_trades(client, wanted):
    """By id, with those that are wanted: the market shows its trades a moment later."""
    public = {}
    while not wanted <= set(public):
        public |= {trade["id"]: trade for trade in await client.fetch_trades(SYMBOL, limit=60)}
    return public


async def test_a_limit_order_is_placed_changed_and_cancelled(client):
    price = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "mine"})
    assert ack["clientOrderId"] == "mine"
    assert ack["status"] is None
    (known,) = await client.fetch_open_orders(SYMBOL)
    assert (known["id"], known["status"], known["price"]) == (ack["id"], "open", price)
    assert (known["amount"], known["filled"], known["side"]) == (0.01, 0, "buy")
    used = (await client.fetch_balance())["USDT"]["used"]
    assert used == pytest.approx(0.01 * price)
    await client.edit_order(ack["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
    changed = await order_of(client, ack)
    assert (changed["amount"], changed["price"]) == (0.02, price - 10)
    cancelled = await client.cancel_order(ack["id"], SYMBOL)
    assert cancelled["id"] == ack["id"]
    gone = await order_of(client, ack)
    assert (gone["status"], gone["clientOrderId"]) == ("canceled", "mine")
    assert gone["info"]["cancelType"] == "CancelByUser"
    assert await client.fetch_open_orders(SYMBOL) == []
    assert (await client.fetch_balance())["USDT"]["used"] == 0
    closed = await client.fetch_canceled_and_closed_orders(SYMBOL)
    assert [one["id"] for one in closed] == [ack["id"]]
    assert await client.fetch_closed_orders(SYMBOL) == []
    assert len(await client.fetch_canceled_orders(SYMBOL)) == 1


async def test_a_market_order_fills_and_pays(client):
    before = await client.fetch_balance()
    ack = await client.create_order(SYMBOL, "market", "buy", 0.05)
    order = await order_of(client, ack)
    assert (order["status"], order["filled"], order["amount"]) == ("closed", 0.05, 0.05)
    trades = await client.fetch_my_trades(SYMBOL)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.05)
    assert {trade["order"] for trade in trades} == {ack["id"]}
    assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
    assert {trade["fee"]["currency"] for trade in trades} == {"BTC"}
    assert order["fee"]["cost"] == pytest.approx(sum(trade["fee"]["cost"] for trade in trades))
    assert order["cost"] == pytest.approx(sum(trade["cost"] for trade in trades))
    after = await client.fetch_balance()
    assert after["USDT"]["total"] == pytest.approx(before["USDT"]["total"] - order["cost"])
    bought = 0.05 - order["fee"]["cost"]
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] + bought)
    public = await public_trades(client, {trade["id"] for trade in trades})
    assert all(public[trade["id"]]["price"] == trade["price"] for trade in trades)


async def test_a_market_order_can_have_a_value(client):
    ack = await client.create_market_buy_order_with_cost(SYMBOL, 500)
    order = await order_of(client, ack)
    assert order["info"]["marketUnit"] == "quoteCoin"
    assert order["info"]["qty"] == "500"
    assert 490 < order["cost"] <= 500


async def test_post_only_is_acknowledged_and_then_cancelled(client):
    price = round(await price_of(client) * 1.01, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"postOnly": True})
    assert ack["id"]
    order = await order_of(client, ack)
    assert (order["status"], order["filled"]) == ("canceled", 0)
    assert order["info"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    resting = await client.create_order(
        SYMBOL, "limit", "buy", 0.01, round(price * 0.9, 1), {"postOnly": True}
    )
    assert (await order_of(client, resting))["status"] == "open"


async def test_an_unfilled_immediate_order_is_cancelled(client):
    price = await price_of(client)
    low, high = round(price * 0.9, 1), round(price * 1.02, 1)
    for force, reason in (("IOC", "EC_NoImmediateQtyToFill"), ("FOK", "EC_CancelForNoFullFill")):
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, {"timeInForce": force})
        order = await order_of(client, ack)
        assert (order["status"], order["timeInForce"]) == ("canceled", force)
        assert order["info"]["rejectReason"] == reason
        ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, high, {"timeInForce": force})
        assert (await order_of(client, ack))["status"] == "closed"


async def test_stops_are_listed_by_their_filter(client):
    price = await price_of(client)
    trigger = round(price * 0.9, 1)
    stop = await client.create_order(
        SYMBOL, "market", "sell", 0.01, None, {"triggerPrice": trigger}
    )
    profit = await client.create_order(
        SYMBOL, "limit", "sell", 0.01, round(price * 1.1, 1), {"takeProfitPrice": price * 1.1}
    )
    waiting = {one["id"]: one for one in await client.fetch_open_orders(SYMBOL)}
    assert waiting[stop["id"]]["info"]["orderStatus"] == "Untriggered"
    assert waiting[stop["id"]]["info"]["stopOrderType"] == "Stop"
    assert waiting[stop["id"]]["triggerPrice"] == trigger
    assert waiting[profit["id"]]["info"]["stopOrderType"] == "tpslOrder"
    of_stops = await client.fetch_open_orders(SYMBOL, params={"trigger": True})
    assert [one["id"] for one in of_stops] == [stop["id"]]
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(stop["id"], SYMBOL)
    await client.cancel_order(stop["id"], SYMBOL, {"trigger": True})
    assert (await order_of(client, stop))["info"]["orderStatus"] == "Deactivated"
    await client.cancel_all_orders(SYMBOL, {"orderFilter": "tpslOrder"})
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_all_orders_are_cancelled_by_symbol(client):
    for symbol in (SYMBOL, "ETH/USDT"):
        low = round(await price_of(client, symbol) * 0.9, 1)
        await client.create_order(symbol, "limit", "buy", 0.02, low)
    cancelled = await client.cancel_all_orders(SYMBOL)
    assert len(cancelled) == 1
    assert await client.fetch_open_orders(SYMBOL) == []
    assert len(await client.fetch_open_orders("ETH/USDT")) == 1


async def test_pages_of_orders_follow_one_another(client):
    low = round(await price_of(client) * 0.9, 1)
    acks = [await client.create_order(SYMBOL, "limit", "buy", 0.01, low) for _ in range(5)]
    pages = {"paginate": True, "maxEntriesPerRequest": 2}
    orders = await client.fetch_open_orders(SYMBOL, params=pages)
    assert sorted(one["id"] for one in orders) == sorted(ack["id"] for ack in acks)


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"symbol": "NOPEUSDT"}, 170121, ccxt.InvalidOrder),
        ({"side": "Hold"}, 170117, ccxt.ExchangeError),
        ({"orderType": "Dance"}, 170116, ccxt.ExchangeError),
        ({"timeInForce": "GTX"}, 170115, ccxt.ExchangeError),
        ({"price": "60000.123"}, 170134, ccxt.InvalidOrder),
        ({"qty": "0.0100001"}, 170137, ccxt.InvalidOrder),
        ({"qty": "0"}, 170136, ccxt.InvalidOrder),
        ({"qty": "-1"}, 170130, ccxt.BadRequest),
        ({"qty": "1e-30"}, 170130, ccxt.BadRequest),
        ({"qty": "0.00001"}, 170140, ccxt.InvalidOrder),
        ({"qty": "900"}, 170131, ccxt.InsufficientFunds),
        ({"orderLinkId": "a b"}, 170130, ccxt.BadRequest),
        ({"category": "linear"}, 10001, ccxt.BadRequest),
        ({"qty": 7}, 10001, ccxt.BadRequest),
    ],
)
async def test_wrong_orders_are_rejected_with_bybits_errors(client, changes, code: int, error):
    usual = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
    body = {**usual, "qty": "0.01", "price": "40000", **changes}
    with pytest.raises(error, match=f'"retCode":{code}'):
        await client.private_post_v5_order_create(body)
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_a_client_id_is_never_used_again(client):
    low = round(await price_of(client) * 0.9, 1)
    params = {"clientOrderId": "once"}
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    await client.cancel_order(ack["id"], SYMBOL)
    with pytest.raises(ccxt.InvalidOrder, match="170141"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, low, params)
    found = await client.private_get_v5_order_realtime({"category": "spot", "orderLinkId": "once"})
    assert [row["orderId"] for row in found["result"]["list"]] == [ack["id"]]


async def test_a_final_order_cannot_be_cancelled(client):
    ack = await client.create_order(SYMBOL, "market", "sell", 0.01)
    with pytest.raises(ccxt.OrderNotFound, match="170213"):
        await client.cancel_order(ack["id"], SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="170213"):
        await client.edit_order("19", SYMBOL, "limit", "buy", 1, 1)


async def test_accounts_do_not_see_each_others_orders(client):
    low = round(await price_of(client) * 0.9, 1)
    ack = await client.create_order(SYMBOL, "limit", "buy", 0.01, low)
    base = client.urls["api"]["private"]
    async with ccxt_client(base, **credentials(KEYS[1])) as other:
        assert await other.fetch_open_orders(SYMBOL) == []
        with pytest.raises(ccxt.OrderNotFound):
            await other.cancel_order(ack["id"], SYMBOL)


async def test_a_key_states_its_permissions(client):
    base = client.urls["api"]["private"]
    for key, may in ((KEYS[0], False), (KEYS[2], True)):
        async with ccxt_client(base, **credentials(key)) as one:
            found = (await one.private_get_v5_user_query_api())["result"]
            assert found["apiKey"] == key.key
            assert ("Withdraw" in found["permissions"]["Wallet"]) is may
            assert found["uta"] == 1


@pytest.mark.parametrize(
    ("config", "error", "code"),
    [
        ({"apiKey": "nobody"}, ccxt.AuthenticationError, 10003),
        ({"secret": "guessed"}, ccxt.AuthenticationError, 10004),
    ],
)
async def test_a_wrong_key_is_rejected(client, config, error, code: int):
    base = client.urls["api"]["private"]
    async with ccxt_client(base, **{**KEY, **config}) as wrong:
        with pytest.raises(error, match=f'"retCode":{code}'):
            await wrong.fetch_balance()


@pytest.mark.parametrize("off_ms", [-6000, 2000])
async def test_a_wrong_clock_is_rejected(client, off_ms: int):
    now = client.milliseconds
    client.milliseconds = lambda: now() + off_ms
    with pytest.raises(ccxt.InvalidNonce, match='"retCode":10002'):
        await client.fetch_balance()


async def test_a_call_must_be_signed(client):
    base = client.urls["api"]["private"]
    with pytest.raises(ccxt.BadRequest, match=r'10001,"retMsg":"empty value: apiTimestamp\[\]'):
        await client.fetch(f"{base}/v5/account/info")
