"""The unmodified ccxt trades on the simulated Binance spot market."""

import asyncio

import ccxt.pro
import pytest

from kit.simulator.matching.contract import KEYS
from tests.support.raw_client import raw_client
from venues.binance.simulator.authentication import ed25519_credentials
from venues.binance.simulator.tests.running import running, trading_client

SYMBOL = "BTC/USDT"


async def far_price(client) -> float:
    """Below the market, on the tick."""
    book = await client.fetch_order_book(SYMBOL, 5)
    return float(int(book["bids"][0][0] * 0.95))


async def test_an_order_is_placed_found_changed_and_cancelled():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        named = {"clientOrderId": "0123456789abcdef0123456789abcdef"}
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, named)
        assert (order["status"], order["clientOrderId"]) == ("open", named["clientOrderId"])
        by_id = await client.fetch_order(order["id"], SYMBOL)
        by_name = await client.fetch_order("", SYMBOL, named)
        assert by_id["id"] == by_name["id"] == order["id"]
        assert (by_id["price"], by_id["amount"], by_id["filled"]) == (price, 0.01, 0)
        edited = await client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
        assert edited["id"] != order["id"]
        assert [one["id"] for one in await client.fetch_open_orders(SYMBOL)] == [edited["id"]]
        cancelled = await client.cancel_order(edited["id"], SYMBOL)
        assert cancelled["status"] == "canceled"
        for _ in range(2):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
        assert len(await client.fetch_open_orders()) == 2
        await client.cancel_all_orders(SYMBOL)
        assert await client.fetch_open_orders() == []
        statuses = [one["status"] for one in await client.fetch_orders(SYMBOL)]
        assert statuses == ["canceled"] * 4


async def test_fills_and_balances_agree():
    async with running("simulate") as base, trading_client(base) as client:
        before = await client.fetch_balance()
        order = await client.create_order(SYMBOL, "market", "buy", 0.05)
        assert (order["status"], order["filled"]) == ("closed", 0.05)
        spent = await client.create_market_buy_order_with_cost(SYMBOL, 100)
        assert 90 < spent["cost"] <= 100
        fills = await client.fetch_my_trades(SYMBOL)
        mine = [one for one in fills if one["order"] == order["id"]]
        assert sum(one["amount"] for one in mine) == pytest.approx(0.05)
        assert {one["takerOrMaker"] for one in fills} == {"taker"}
        cost = sum(one["cost"] for one in fills)
        fees = sum(one["fee"]["cost"] for one in fills)
        after = await client.fetch_balance()
        assert before["USDT"]["total"] - after["USDT"]["total"] == pytest.approx(cost)
        bought = 0.05 + spent["filled"] - fees
        assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(bought)


async def test_times_in_force_of_orders():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        for lifetime in ("IOC", "FOK"):
            params = {"timeInForce": lifetime}
            order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, params)
            assert (order["status"], order["filled"]) == ("expired", 0)
            order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price * 2, params)
            assert (order["status"], order["filled"]) == ("closed", 0.01)
        maker = {"postOnly": True}
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, maker)
        assert (order["status"], order["postOnly"]) == ("open", True)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price * 2, maker)


async def test_orders_that_the_exchange_rejects():
    async with running("simulate") as base, trading_client(base) as client:
        price = await far_price(client)
        named = {"clientOrderId": "once"}
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price, named)
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price, named)
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(SYMBOL, "limit", "buy", 900_000, price)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order("987654", SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order("987654", SYMBOL)
        with pytest.raises(ccxt.ExchangeError, match="NOTIONAL"):
            await client.create_order(SYMBOL, "limit", "buy", 0.00001, price)


async def test_wrong_keys_have_different_errors():
    async with running("simulate") as base:
        cases = (("demo-key", "wrong", "-1022"), ("nobody", "demo-secret", "-2015"))
        for key, secret, code in cases:
            with pytest.raises(ccxt.AuthenticationError, match=code):
                async with trading_client(base, key, secret):
                    raise AssertionError("balances were sent to a stranger")
        async with trading_client(base) as client:
            client.options["timeDifference"] = 60_000
            with pytest.raises(ccxt.InvalidNonce):
                await client.fetch_balance()
            client.options["timeDifference"] = -60_000
            with pytest.raises(ccxt.InvalidNonce):
                await client.fetch_balance()
        async with trading_client(base, "withdraw-key", "withdraw-secret") as client:
            rights = await client.sapi_get_account_apirestrictions()
            assert rights["enableWithdrawals"] is True


async def test_another_client_of_the_account_gets_its_events():
    async with (
        running("simulate") as base,
        trading_client(base) as client,
        trading_client(base) as watcher,
        trading_client(base, "other-key", "other-secret") as stranger,
    ):
        price = await far_price(client)
        hearing = asyncio.create_task(watcher.watch_orders(SYMBOL))
        strange = asyncio.create_task(stranger.watch_orders(SYMBOL))
        await subscribed(base, 2)
        order = await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
        (reported,) = await hearing
        assert (reported["id"], reported["status"], reported["price"]) == (
            order["id"],
            "open",
            price,
        )
        hearing = asyncio.create_task(watcher.watch_orders(SYMBOL))
        await asyncio.sleep(0)
        await client.cancel_order(order["id"], SYMBOL)
        (reported,) = await hearing
        assert (reported["status"], reported["clientOrderId"]) == (
            "canceled",
            order["clientOrderId"],
        )
        fills = asyncio.create_task(watcher.watch_my_trades(SYMBOL))
        money = asyncio.create_task(watcher.watch_balance())
        await asyncio.sleep(0)
        await client.create_order(SYMBOL, "market", "buy", 0.01)
        assert (await fills)[0]["takerOrMaker"] == "taker"
        assert (await money)["info"]["e"] == "outboundAccountPosition"
        assert not strange.done()
        strange.cancel()


async def test_an_order_that_waits_is_met_by_another_account():
    async with (
        running("simulate") as base,
        trading_client(base) as maker,
        trading_client(base, "other-key", "other-secret") as taker,
    ):
        hearing = asyncio.create_task(maker.watch_my_trades(SYMBOL))
        await subscribed(base, 1)
        book = await maker.fetch_order_book(SYMBOL, 5)
        price = book["asks"][0][0] + 1
        order = await maker.create_order(SYMBOL, "limit", "sell", 0.01, price)
        await taker.create_order(SYMBOL, "market", "buy", 8)
        (fill, *_) = await hearing
        assert (fill["order"], fill["takerOrMaker"], fill["price"]) == (order["id"], "maker", price)
        assert fill["fee"]["currency"] == "USDT"
        closed = await maker.fetch_order(order["id"], SYMBOL)
        assert (closed["status"], closed["average"]) == ("closed", price)
        trades = await taker.fetch_my_trades(SYMBOL)
        assert fill["id"] in {one["id"] for one in trades}


async def subscribed(base: str, count: int) -> None:
    """Wait until so many connections are there."""
    async with raw_client(base) as raw:
        while (await raw.get("/../status"))["venues"][0]["connections"] < count:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_orders_over_the_websocket(kind: str):
    secret = "demo-secret" if kind == "hmac" else ed25519_credentials(KEYS[0])["secret"]
    async with running("simulate") as base, trading_client(base, secret=secret) as client:
        price = await far_price(client)
        named = {"newClientOrderId": "over-the-wire"}
        order = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price, named)
        assert (order["status"], order["clientOrderId"]) == ("open", "over-the-wire")
        found = await client.fetch_order_ws(order["id"], SYMBOL)
        assert found["status"] == "open"
        assert len(await client.fetch_open_orders_ws(SYMBOL)) == 1
        edited = await client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, price)
        cancelled = await client.cancel_order_ws(edited["id"], SYMBOL)
        assert cancelled["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order_ws(edited["id"], SYMBOL)
        leaked = {"clientOrderId": "both"}
        with pytest.raises(ccxt.ExchangeError, match="Not all sent parameters were read"):
            await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price, leaked)
        reported = await client.fetch_balance_ws()
        assert {one["asset"] for one in reported["info"]["balances"]} >= {"BTC", "USDT"}
