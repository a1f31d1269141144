"""Unmodified ccxt trades on the simulated OKX: spot and swaps."""

import asyncio

import ccxt.pro
import pytest

from tests.support.raw_client import raw_client
from venues.okx.simulator.tests.running import running, trading_client

SYMBOL, SWAP = "BTC/USDT", "BTC/USDT:USDT"
NAME = "0123456789abcdef0123456789abcdef"


async def far_price(client, symbol: str = SYMBOL) -> float:
    """Below the market, on the tick."""
    book = await client.fetch_order_book(symbol, 5)
    return float(int(book["bids"][0][0] * 0.95))


@pytest.mark.parametrize(
    ("venue", "symbol", "size"), [("okx", SYMBOL, 0.01), ("okx_futures", SWAP, 3)]
)
async def test_an_order_is_placed_found_changed_and_cancelled(venue, symbol, size):
    async with running("simulate", venue) as base, trading_client(base) as client:
        price = await far_price(client, symbol)
        named = {"clientOrderId": NAME}
        placed = await client.create_order(symbol, "limit", "buy", size, price, named)
        assert (placed["clientOrderId"], placed["status"]) == (NAME, None)
        order = await client.fetch_order(placed["id"], symbol)
        by_name = await client.fetch_order("", symbol, named)
        assert order["id"] == by_name["id"] == placed["id"]
        assert (order["status"], order["price"], order["amount"]) == ("open", price, size)
        await client.edit_order(placed["id"], symbol, "limit", "buy", size * 2, price - 10)
        (changed,) = await client.fetch_open_orders(symbol)
        assert (changed["id"], changed["price"], changed["amount"]) == (
            placed["id"], price - 10, size * 2,
        )  # fmt: skip
        await client.cancel_order(placed["id"], symbol)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(placed["id"], symbol)
        ids = [
            (await client.create_order(symbol, "limit", "buy", size, price))["id"] for _ in range(2)
        ]
        await client.cancel_orders(ids, symbol)
        assert await client.fetch_open_orders() == []
        gone = await client.fetch_canceled_orders(symbol)
        assert {one["id"] for one in gone} == {placed["id"], *ids}


async def test_the_configuration_of_the_account_is_stated():
    async with running("simulate", "okx_futures") as base, trading_client(base) as client:
        assert (await client.fetch_position_mode())["hedged"] is False
        leverage = await client.fetch_leverage(SWAP, {"marginMode": "cross"})
        assert (leverage["longLeverage"], leverage["marginMode"]) == (10, "cross")
        assert abs(await client.fetch_time() - client.milliseconds()) < 30_000


async def test_fills_and_balances_agree():
    async with running("simulate") as base, trading_client(base) as client:
        before = await client.fetch_balance()
        placed = await client.create_order(SYMBOL, "market", "buy", 0.05)
        order = await client.fetch_order(placed["id"], SYMBOL)
        assert (order["status"], order["filled"]) == ("closed", 0.05)
        spent = await client.create_market_buy_order_with_cost(SYMBOL, 100)
        spent = await client.fetch_order(spent["id"], SYMBOL)
        fills = await client.fetch_my_trades(SYMBOL)
        mine = [one for one in fills if one["order"] == order["id"]]
        assert sum(one["amount"] for one in mine) == pytest.approx(0.05)
        assert {one["takerOrMaker"] for one in fills} == {"taker"}
        cost = sum(one["cost"] for one in fills)
        fees = sum(one["fee"]["cost"] for one in fills)
        assert fees == pytest.approx(order["fee"]["cost"] + spent["fee"]["cost"])
        after = await client.fetch_balance()
        assert before["USDT"]["total"] - after["USDT"]["total"] == pytest.approx(cost)
        bought = 0.05 + spent["filled"] - fees
        assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(bought)
        (closed,) = [
            one for one in await client.fetch_closed_orders(SYMBOL) if one["id"] == order["id"]
        ]
        assert closed["average"] == pytest.approx(order["average"])


async def test_an_order_is_acknowledged_before_it_is_cancelled():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        cases = (
            ({"postOnly": True}, price * 1.1, "31"),
            ({"timeInForce": "FOK"}, price, "13"),
            ({"timeInForce": "IOC"}, price, "14"),
        )
        for params, at, source in cases:
            placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, at, params)
            assert placed["info"]["sCode"] == "0"
            order = await client.fetch_order(placed["id"], SYMBOL)
            assert (order["status"], order["filled"]) == ("canceled", 0)
            assert order["info"]["cancelSource"] == source
        maker = {"postOnly": True}
        placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, maker)
        order = await client.fetch_order(placed["id"], SYMBOL)
        assert (order["status"], order["postOnly"]) == ("open", True)


async def test_orders_that_the_exchange_rejects():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": NAME})
        with pytest.raises(ccxt.InvalidOrder, match="51016"):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": NAME})
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "a-b"})
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(SYMBOL, "limit", "buy", 900_000, price)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order("2000000000000987654", SYMBOL)
        orders = [
            {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": size, "price": price}
            for size in (0.01, 900_000)
        ]
        accepted, rejected = await client.create_orders(orders)
        assert accepted["info"]["sCode"] == "0"
        assert (rejected["status"], rejected["info"]["sCode"]) == ("rejected", "51008")


async def test_a_position_is_opened_and_closed():
    async with running("simulate", "okx_futures") as base, trading_client(base) as client:
        await client.create_order(SWAP, "market", "sell", 5)
        (position,) = await client.fetch_positions()
        assert (position["symbol"], position["side"]) == (SWAP, "short")
        assert (position["contracts"], position["contractSize"]) == (5, 0.01)
        (fill, *_) = await client.fetch_my_trades(SWAP)
        assert position["entryPrice"] == pytest.approx(fill["price"], rel=1e-3)
        assert (await client.fetch_balance())["USDT"]["used"] > 0
        reducing = {"reduceOnly": True}
        with pytest.raises(ccxt.ExchangeError, match="51169"):
            await client.create_order(SWAP, "market", "sell", 5, None, reducing)
        await client.create_order(SWAP, "market", "buy", 5, None, reducing)
        assert await client.fetch_positions() == []


async def test_an_algo_order_is_placed_found_changed_and_cancelled():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        stop = {"stopPrice": price}
        limit = await client.create_order(SYMBOL, "limit", "sell", 0.01, price - 50, stop)
        losing = {"stopLossPrice": price}
        market = await client.create_order(SYMBOL, "market", "sell", 0.01, None, losing)
        assert await client.fetch_open_orders(SYMBOL) == []
        algo = {"trigger": True}
        (found,) = await client.fetch_open_orders(SYMBOL, params=algo)
        assert (found["id"], found["triggerPrice"]) == (limit["id"], price)
        conditional = {"ordType": "conditional"}
        (found,) = await client.fetch_open_orders(SYMBOL, params=conditional)
        assert (found["id"], found["stopLossPrice"]) == (market["id"], price)
        losing = {"stopLossPrice": price - 100, "newSlOrdPx": -1}
        await client.edit_order(market["id"], SYMBOL, "conditional", "sell", 0.02, None, losing)
        (found,) = await client.fetch_open_orders(SYMBOL, params=conditional)
        assert (found["stopLossPrice"], found["amount"]) == (price - 100, 0.02)
        one = await client.fetch_order(limit["id"], SYMBOL, algo)
        assert (one["status"], one["info"]["ordPx"]) == ("open", str(int(price - 50)))
        await client.cancel_order(limit["id"], SYMBOL, algo)
        await client.cancel_orders([market["id"]], SYMBOL, algo)
        both = {"ordType": "conditional,trigger"}
        assert await client.fetch_open_orders(SYMBOL, params=both) == []
        trailing = {"trailingPercent": 2}
        trailed = await client.create_order(SYMBOL, "market", "sell", 0.01, None, trailing)
        found = await client.fetch_open_orders(SYMBOL, params={"trailing": True})
        assert [one["id"] for one in found] == [trailed["id"]]


async def test_an_algo_order_is_watched():
    async with (
        running("simulate") as base,
        trading_client(base) as client,
        trading_client(base) as watcher,
    ):
        algo = {"trigger": True}
        watching = asyncio.create_task(watcher.watch_orders(SYMBOL, params=algo))
        await subscribed(base, "orders-algo")
        stop = {"stopLossPrice": await far_price(client), "clientOrderId": NAME}
        order = await client.create_order(SYMBOL, "market", "sell", 0.01, None, stop)
        (event,) = await watching
        assert (event["id"], event["status"]) == (order["id"], "open")
        assert event["info"]["algoClOrdId"] == NAME
        watching = asyncio.create_task(watcher.watch_orders(SYMBOL, params=algo))
        await asyncio.sleep(0)
        await client.cancel_order(order["id"], SYMBOL, algo)
        (event,) = await watching
        assert (event["id"], event["status"]) == (order["id"], "canceled")


async def test_wrong_keys_have_different_errors():
    async with running("simulate") as base:
        cases = (
            ("nobody", "demo-secret", "demo-password", "50111"),
            ("demo-key", "wrong", "demo-password", "50113"),
            ("demo-key", "demo-secret", "wrong", "50105"),
        )
        for *names, code in cases:
            with pytest.raises(ccxt.AuthenticationError, match=code):
                async with trading_client(base, *names):
                    raise AssertionError("the client loaded currencies with a wrong key")
        async with trading_client(base) as client:
            client.nonce = lambda: client.milliseconds() - 31_000
            with pytest.raises(ccxt.InvalidNonce):
                await client.fetch_balance()
        for name, may in (("demo", False), ("withdraw", True)):
            names = (f"{name}-key", f"{name}-secret", f"{name}-password")
            async with trading_client(base, *names) as client:
                (config,) = (await client.private_get_account_config())["data"]
                assert ("withdraw" in config["perm"]) is may


@pytest.mark.parametrize(
    ("venue", "symbol", "size"), [("okx", SYMBOL, 0.01), ("okx_futures", SWAP, 3)]
)
async def test_another_client_of_the_account_gets_its_events(venue, symbol, size):
    async with (
        running("simulate", venue) as base,
        trading_client(base) as client,
        trading_client(base) as watcher,
    ):
        price = await far_price(client, symbol)
        watching = asyncio.create_task(watcher.watch_orders(symbol))
        await subscribed(base, "orders")
        order = await client.create_order(symbol, "limit", "buy", size, price)
        (event,) = await watching
        assert (event["id"], event["status"], event["price"]) == (order["id"], "open", price)
        watching = asyncio.create_task(watcher.watch_orders(symbol))
        await asyncio.sleep(0)
        await client.edit_order(order["id"], symbol, "limit", "buy", size, price - 10)
        (event,) = await watching
        assert (event["price"], event["info"]["amendResult"]) == (price - 10, "0")
        fills = asyncio.create_task(watcher.watch_my_trades(symbol))
        assert (await watcher.watch_balance())["USDT"]["total"] > 0
        await subscribed(base, "account")
        await client.create_order(symbol, "market", "buy", size)
        (fill, *_) = await fills
        assert (fill["takerOrMaker"], fill["side"]) == ("taker", "buy")
        assert fill["fee"]["cost"] < 0


async def test_an_open_order_is_filled_by_another_account():
    names = ("other-key", "other-secret", "other-password")
    async with (
        running("simulate") as base,
        trading_client(base) as maker,
        trading_client(base, *names) as taker,
    ):
        watching = asyncio.create_task(maker.watch_my_trades(SYMBOL))
        await subscribed(base, "orders")
        book = await maker.fetch_order_book(SYMBOL, 5)
        price = book["asks"][0][0] + 1
        order = await maker.create_order(SYMBOL, "limit", "sell", 0.01, price)
        await taker.create_order(SYMBOL, "market", "buy", 8)
        (fill, *_) = await watching
        assert (fill["order"], fill["takerOrMaker"], fill["price"]) == (order["id"], "maker", price)
        closed = await maker.fetch_order(order["id"], SYMBOL)
        assert (closed["status"], closed["average"]) == ("closed", price)
        assert closed["fee"]["currency"] == "USDT"


async def test_positions_are_reported():
    async with (
        running("simulate", "okx_futures") as base,
        trading_client(base) as client,
        trading_client(base) as watcher,
    ):
        assert await watcher.watch_positions() == []
        watching = asyncio.create_task(watcher.watch_positions())
        await asyncio.sleep(0)
        await client.create_order(SWAP, "market", "buy", 4)
        (position,) = await watching
        while position["contracts"] < 4:
            (position,) = await watcher.watch_positions()
        assert (position["side"], position["contracts"]) == ("long", 4)


async def subscribed(base: str, channel: str) -> None:
    """Wait until a client is subscribed to this channel."""
    async with raw_client(base) as raw:
        while True:
            (venue,) = (await raw.get("/../status"))["venues"]
            if any(name.startswith(channel) for name in venue["streams"]):
                return
            await asyncio.sleep(0.01)


async def test_orders_over_the_websocket():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        named = {"clientOrderId": NAME}
        order = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price, named)
        assert order["clientOrderId"] == NAME
        await client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, price)
        assert (await client.fetch_order(order["id"], SYMBOL))["amount"] == 0.02
        with pytest.raises(ccxt.InvalidOrder):
            await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price, named)
        await client.cancel_order_ws(order["id"], SYMBOL)
        assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order_ws(order["id"], SYMBOL)
