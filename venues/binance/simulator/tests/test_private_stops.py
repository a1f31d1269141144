"""Orders that wait for a price, placed by the unmodified ccxt on both of Binance's markets."""

import ccxt.pro
import pytest

from venues.binance.simulator.tests.running import running, trading_client, trading_futures_client

SPOT_SYMBOL, FUTURES_SYMBOL = "BTC/USDT", "BTC/USDT:USDT"


async def far_price(client, symbol: str) -> float:
    """Below the market, on the tick."""
    book = await client.fetch_order_book(symbol, 5)
    return float(int(book["bids"][0][0] * 0.95))


async def test_a_stop_waits_for_its_price():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client, SPOT_SYMBOL)
        stop = {"stopPrice": price}
        limit = await client.create_order(SPOT_SYMBOL, "limit", "sell", 0.01, price - 50, stop)
        market = await client.create_order(SPOT_SYMBOL, "market", "sell", 0.01, None, stop)
        taking = {"takeProfitPrice": price}
        taker = await client.create_order(SPOT_SYMBOL, "limit", "buy", 0.01, price + 50, taking)
        orders = await client.fetch_open_orders(SPOT_SYMBOL)
        assert [one["id"] for one in orders] == [limit["id"], market["id"], taker["id"]]
        assert {one["triggerPrice"] for one in orders} == {price}
        far = {"stopPrice": price * 1.5}
        with pytest.raises(ccxt.InvalidOrder, match="trigger immediately"):
            await client.create_order(SPOT_SYMBOL, "limit", "sell", 0.01, price, far)
        await client.cancel_all_orders(SPOT_SYMBOL)
        assert await client.fetch_open_orders(SPOT_SYMBOL) == []


async def test_a_conditional_order_is_the_algo_services():
    async with (
        running("simulate", "binance_futures") as base,
        trading_futures_client(base) as client,
    ):
        price = await far_price(client, FUTURES_SYMBOL)
        stop = {"stopLossPrice": price, "clientAlgoId": "mine"}
        order = await client.create_order(FUTURES_SYMBOL, "market", "sell", 0.01, None, stop)
        assert (order["status"], order["triggerPrice"]) == ("open", price)
        trailing = {"trailingPercent": 1}
        trailed = await client.create_order(FUTURES_SYMBOL, "market", "sell", 0.01, None, trailing)
        assert trailed["status"] == "open"
        conditional = {"trigger": True}
        assert await client.fetch_open_orders(FUTURES_SYMBOL) == []
        found = await client.fetch_open_orders(FUTURES_SYMBOL, params=conditional)
        assert [one["id"] for one in found] == [order["id"], trailed["id"]]
        by_name = await client.fetch_order(
            "", FUTURES_SYMBOL, {"clientAlgoId": "mine", "trigger": True}
        )
        assert by_name["id"] == order["id"]
        await client.cancel_order(order["id"], FUTURES_SYMBOL, conditional)
        await client.cancel_all_orders(FUTURES_SYMBOL, conditional)
        assert await client.fetch_open_orders(FUTURES_SYMBOL, params=conditional) == []
        found = await client.fetch_orders(FUTURES_SYMBOL, params=conditional)
        assert {one["status"] for one in found} == {"canceled"}
