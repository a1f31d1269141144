"""Real clients against the simulated Coinbase: unmodified ccxt, and websockets on real captures."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from tests.support.raw_client import raw_client
from venues.coinbase.simulator.tests.running import ccxt_client, running

BOTH = pytest.mark.parametrize("feed", ["advanced", "exchange"])
CAPTURE = "coinbase/exchange_6_products_2021"
ALL_CHANNELS = ["level2_batch", "matches", "ticker"]


@BOTH
async def test_unmodified_ccxt_trades_on_a_simulated_market(feed: str) -> None:
    async with (
        running("simulate", events_per_second=1_000) as base,
        ccxt_client(base, feed) as client,
    ):
        await client.load_markets()
        assert client.markets["BTC/USD"]["precision"] == {"amount": 1e-8, "price": 0.01}
        trades = await client.watch_trades("BTC/USD")
        while len(trades) < 5:
            trades += await client.watch_trades("BTC/USD")
        ids = sorted({int(trade["id"]) for trade in trades})
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        known = await client.fetch_trades("BTC/USD", limit=1000)
        assert set(ids) <= {int(trade["id"]) for trade in known}
        for _ in range(10):
            book = await client.watch_order_book("BTC/USD")
            assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await client.watch_ticker("BTC/USD")
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert ticker["bid"] < ticker["ask"]
        candles = await client.fetch_ohlcv("BTC/USD", "1m", limit=10)
        assert len(candles) == 10
        assert candles[1][0] - candles[0][0] == 60_000
        whole = await client.fetch_order_book("BTC/USD")
        assert whole["bids"][0][0] < whole["asks"][0][0]


@BOTH
async def test_ccxt_has_the_side_of_the_maker_on_advanced(feed: str) -> None:
    """ccxt turns the maker's side into the taker's on Exchange only. The raw side tells which."""
    async with (
        running("simulate", events_per_second=1_000) as base,
        ccxt_client(base, feed) as client,
    ):
        await client.load_markets()
        for trade in await client.watch_trades("BTC/USD"):
            raw = trade["info"]["side"].lower()
            assert (trade["side"] == raw) is (feed == "advanced")


async def test_unmodified_ccxt_follows_a_replayed_book(captures: Path) -> None:
    file = captures / CAPTURE / "frames.jsonl"
    async with (
        running("replay", replay=[f"coinbase={file}"], speed="20") as base,
        ccxt_client(base, "exchange") as client,
    ):
        await client.load_markets()
        assert client.markets["SKL/USD"]["precision"]["amount"] == 0.1
        book, trades = await asyncio.gather(
            client.watch_order_book("SKL/USD"), client.watch_trades("SKL/USD")
        )
        assert int(trades[0]["id"]) >= 1_568_268
        for _ in range(20):
            book = await client.watch_order_book("SKL/USD")
            assert book["bids"][0][0] < book["asks"][0][0]


async def test_every_frame_of_the_capture_arrives_once_in_order(captures: Path) -> None:
    file = captures / CAPTURE / "frames.jsonl"
    lines = file.read_bytes().splitlines()
    frames = [line for line in lines if not line.startswith(b'{"type":"subscriptions"')]
    products = sorted({json.loads(line)["product_id"] for line in frames})
    async with (
        running("replay", replay=[f"coinbase={file}"], speed="max") as base,
        raw_client(base) as client,
    ):
        assert len(await client.get("/products")) > 100
        websocket = await client.connect()
        call = {"type": "subscribe", "product_ids": products, "channels": ALL_CHANNELS}
        await websocket.send_json(call)
        assert (await websocket.receive_json())["type"] == "subscriptions"
        for frame in frames:
            assert (await websocket.receive()).data.encode() == frame
        status = await client.get("/../replay/status")
        assert status["venues"][0]["frames_sent"] == len(frames)
        past = await client.get("/products/SKL-USD/trades?limit=3")
        assert [trade["trade_id"] for trade in past] == [1568319, 1568318, 1568317]


async def subscribe(websocket: aiohttp.ClientWebSocketResponse, *channels: str) -> None:
    for channel in channels:
        call = {"type": "subscribe", "channel": channel, "product_ids": ["BTC-USD"]}
        await websocket.send_json(call)


async def test_each_connection_to_advanced_counts_its_own_frames() -> None:
    async with running("simulate", events_per_second=1_000) as base, raw_client(base) as client:
        sockets = [await client.connect(), await client.connect()]
        await subscribe(sockets[0], "heartbeats", "level2", "market_trades", "ticker")
        await subscribe(sockets[1], "level2")
        for websocket in sockets:
            numbers = [(await websocket.receive_json())["sequence_num"] for _ in range(40)]
            assert numbers == list(range(40))


async def test_a_lost_frame_of_advanced_leaves_a_hole_in_the_numbers() -> None:
    async with running("simulate", events_per_second=1_000) as base, raw_client(base) as client:
        websocket = await client.connect()
        await subscribe(websocket, "level2")
        before = [(await websocket.receive_json())["sequence_num"] for _ in range(5)]
        assert before == list(range(5))
        await client.order(fault="sequence_gap", symbol="BTC-USD", channel="book")
        number = 5
        while (found := (await websocket.receive_json())["sequence_num"]) == number:
            number += 1
        assert found == number + 1


async def test_a_slow_reader_gets_a_last_error() -> None:
    async with running("simulate", events_per_second=1_000) as base, raw_client(base) as client:
        websocket = await client.connect()
        await subscribe(websocket, "level2")
        await websocket.receive_json()
        await client.order(fault="slow_consumer", symbol="BTC-USD")
        while "message" not in (found := await websocket.receive_json()):
            assert found["channel"] in ("l2_data", "subscriptions")
        assert found == {"type": "error", "message": "ErrSlowConsume"}
        while not websocket.closed:
            await websocket.receive()


async def test_an_update_may_come_before_the_whole_book() -> None:
    async with running("simulate", events_per_second=1_000) as base, raw_client(base) as client:
        first = await client.connect()
        call = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["level2_batch"]}
        await first.send_json(call)
        types = [(await first.receive_json())["type"] for _ in range(3)]
        assert types == ["subscriptions", "snapshot", "l2update"]
        await client.order(fault="update_before_snapshot", symbol="BTC-USD", channel="book")
        before = await first.receive_json()
        while (update := await first.receive_json()) != before:
            before = update
        second = await client.connect()
        await second.send_json(call)
        types = [(await second.receive_json())["type"] for _ in range(3)]
        assert types == ["subscriptions", "l2update", "snapshot"]


async def test_a_halted_product_cannot_be_traded_on_either_api() -> None:
    async with running("simulate") as base, raw_client(base) as client:
        await client.order(fault="halt", symbol="BTC-USD")
        first = await client.get("/api/v3/brokerage/market/products/BTC-USD")
        second = await client.get("/products/BTC-USD")
        assert first["trading_disabled"] is second["trading_disabled"] is True


async def test_a_connection_without_subscriptions_is_closed() -> None:
    async with running("simulate") as base, raw_client(base) as client:
        websocket = await client.connect()
        assert (await websocket.receive()).type is aiohttp.WSMsgType.CLOSE
