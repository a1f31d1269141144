"""The unmodified ccxt trades on the simulated USD-M futures."""

import asyncio

import ccxt.pro
import pytest

from tests.support.raw_client import raw_client
from venues.binance.simulator.tests.running import running, trading_futures_client

SYMBOL = "BTC/USDT:USDT"
VENUE = "binance_futures"


async def far_price(client) -> float:
    """Below the market, on the tick."""
    book = await client.fetch_order_book(SYMBOL, 5)
    return float(int(book["bids"][0][0] * 0.95))


async def test_an_order_is_placed_found_changed_and_cancelled():
    async with running("simulate", VENUE) as base, trading_futures_client(base) as client:
        price = await far_price(client)
        named = {"clientOrderId": "0123456789abcdef0123456789abcdef"}
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, named)
        assert (order["status"], order["clientOrderId"]) == ("open", named["clientOrderId"])
        by_name = await client.fetch_order("", SYMBOL, named)
        assert (by_name["id"], by_name["price"]) == (order["id"], price)
        edited = await client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
        assert (edited["id"], edited["price"], edited["amount"]) == (order["id"], price - 10, 0.02)
        assert (await client.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
        orders = [await client.create_order(SYMBOL, "limit", "buy", 0.01, price) for _ in range(3)]
        (gone,) = await client.cancel_orders([orders[0]["id"]], SYMBOL)
        assert gone["status"] == "canceled"
        assert len(await client.fetch_open_orders()) == 2
        await client.cancel_all_orders(SYMBOL)
        assert await client.fetch_open_orders(SYMBOL) == []
        statuses = [one["status"] for one in await client.fetch_orders(SYMBOL)]
        assert statuses == ["canceled"] * 4


async def test_the_configuration_of_the_account_is_stated():
    async with running("simulate", VENUE) as base, trading_futures_client(base) as client:
        assert (await client.fetch_position_mode())["hedged"] is False
        mode = (await client.fetch_margin_modes([SYMBOL]))[SYMBOL]
        assert mode["marginMode"] == "cross"
        account = await client.fapiprivate_get_accountconfig()
        assert (account["canTrade"], account["dualSidePosition"]) == (True, False)
        assert abs(await client.fetch_time() - client.milliseconds()) < 30_000


async def test_a_position_is_opened_and_closed():
    async with running("simulate", VENUE) as base, trading_futures_client(base) as client:
        order = await client.create_order(SYMBOL, "market", "sell", 0.05)
        assert (order["status"], order["filled"]) == ("closed", 0.05)
        (position,) = await client.fetch_positions()
        assert (position["symbol"], position["side"]) == (SYMBOL, "short")
        assert (position["contracts"], position["leverage"]) == (0.05, 10)
        assert position["entryPrice"] == pytest.approx(order["average"])
        held = await client.fetch_balance()
        assert held["USDT"]["used"] > 0
        reducing = {"reduceOnly": True}
        with pytest.raises(ccxt.ExchangeError, match="-2022"):
            await client.create_order(SYMBOL, "market", "sell", 0.05, None, reducing)
        await client.create_order(SYMBOL, "market", "buy", 0.05, None, reducing)
        assert await client.fetch_positions() == []
        fills = await client.fetch_my_trades(SYMBOL)
        assert {one["fee"]["currency"] for one in fills} == {"USDT"}
        assert sum(one["amount"] for one in fills) == pytest.approx(0.1)


async def test_times_in_force_of_orders():
    async with running("simulate", VENUE) as base, trading_futures_client(base) as client:
        price = await far_price(client)
        for lifetime in ("IOC", "FOK"):
            params = {"timeInForce": lifetime}
            order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, params)
            assert (order["status"], order["filled"]) == ("expired", 0)
        maker = {"postOnly": True}
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, maker)
        assert (order["status"], order["postOnly"]) == ("open", True)
        with pytest.raises(ccxt.ExchangeError, match="-5022"):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price * 1.1, maker)
        until = client.milliseconds() + 700_000
        params = {"timeInForce": "GTD", "goodTillDate": until}
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, params)
        assert (order["timeInForce"], order["info"]["goodTillDate"]) == ("GTD", until)
        params = {"timeInForce": "GTD", "goodTillDate": until - 200_000}
        with pytest.raises(ccxt.ExchangeError, match="-5040"):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price, params)


async def test_another_client_of_the_account_gets_its_events():
    async with (
        running("simulate", VENUE) as base,
        trading_futures_client(base) as client,
        trading_futures_client(base) as watcher,
    ):
        price = await far_price(client)
        hearing = asyncio.create_task(watcher.watch_orders(SYMBOL))
        await connected(base)
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
        (reported,) = await hearing
        assert (reported["id"], reported["status"], reported["price"]) == (
            order["id"],
            "open",
            price,
        )
        fills = asyncio.create_task(watcher.watch_my_trades(SYMBOL))
        money = asyncio.create_task(watcher.watch_balance())
        positions = asyncio.create_task(watcher.watch_positions([SYMBOL]))
        await asyncio.sleep(0)
        await client.create_order(SYMBOL, "market", "buy", 0.02)
        assert (await fills)[0]["takerOrMaker"] == "taker"
        assert (await money)["info"]["e"] == "ACCOUNT_UPDATE"
        (position,) = await positions
        while position["contracts"] < 0.02:
            (position,) = await watcher.watch_positions([SYMBOL])
        assert (position["side"], position["contracts"]) == ("long", 0.02)


async def connected(base: str) -> None:
    """Wait until a connection is there."""
    async with raw_client(base) as raw:
        while not (await raw.get("/../status"))["venues"][0]["connections"]:
            await asyncio.sleep(0.01)


async def test_orders_over_the_websocket():
    async with running("simulate", VENUE) as base, trading_futures_client(base) as client:
        price = await far_price(client)
        order = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price)
        assert order["status"] == "open"
        edited = await client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, price)
        assert (edited["id"], edited["amount"]) == (order["id"], 0.02)
        cancelled = await client.cancel_order_ws(order["id"], SYMBOL)
        assert cancelled["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order_ws(order["id"], SYMBOL)
