"""Real clients against the simulated Deribit: the unmodified ccxt, and raw sockets on captures."""

import json
from pathlib import Path

from kit.simulator.capture_files import CaptureFiles
from tests.support.raw_client import raw_client
from venues.deribit.simulator.tests.running import ccxt_client, running, subscribed

BTC, ETH = "BTC/USD:BTC", "ETH/USD:ETH"


async def test_unmodified_ccxt_trades_on_a_simulated_market():
    async with running("simulate", events_per_second=1_000) as base, ccxt_client(base) as client:
        await client.load_markets()
        market = client.markets[BTC]
        assert (market["precision"]["price"], market["contractSize"]) == (0.5, 10)
        assert market["inverse"]
        trades = await client.watch_trades(BTC)
        while len(trades) < 5:
            trades += await client.watch_trades(BTC)
        numbers = [trade["info"]["trade_seq"] for trade in trades]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        known = await client.fetch_trades(BTC, limit=1000)
        assert {trade["id"] for trade in trades} <= {trade["id"] for trade in known}
        times = []
        for _ in range(10):
            book = await client.watch_order_book(BTC)
            assert book["bids"][0][0] < book["asks"][0][0]
            times.append(book["timestamp"])
        assert times == sorted(set(times))
        fetched = await client.fetch_order_book(BTC, 20)
        assert len(fetched["bids"]) == 20
        quote = (await client.watch_bids_asks([ETH]))[ETH]
        assert quote["bid"] < quote["ask"]
        candles = await client.fetch_ohlcv(BTC, "1m", limit=10)
        assert len(candles) == 10
        assert candles[1][0] - candles[0][0] == 60_000
        ticker = await client.watch_ticker(ETH)
        assert ticker["last"] > 0
        assert ticker["markPrice"] > 0
        live = await client.watch_ohlcv(BTC, "1m")
        assert live[-1][0] % 60_000 == 0


async def test_every_frame_of_a_capture_arrives_once_in_order(captures: Path):
    file = captures / "deribit" / "options_4_2021" / "frames.jsonl"
    lines = [line for block in CaptureFiles([file]).blocks() for line in block.lines]
    frames = [
        json.loads(line.replace(b'.raw"', b'.100ms"')) for line in lines if b'"method"' in line
    ]
    channels = sorted({frame["params"]["channel"] for frame in frames})
    assert len(frames) > 80
    async with (
        running("replay", replay=[f"deribit={file}"], speed="max") as base,
        raw_client(base) as client,
    ):
        websocket = await subscribed(client, *channels)
        assert (await websocket.receive_json())["result"] == channels
        for frame in frames:
            assert await websocket.receive_json() == frame


async def test_options_of_a_capture_are_listed_for_ccxt(captures: Path):
    file = captures / "deribit" / "options_4_2021" / "frames.jsonl"
    async with (
        running("replay", replay=[f"deribit={file}"], speed="max") as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        market = client.markets["BTC/USD:BTC-210924-8000-P"]
        assert (market["optionType"], market["strike"]) == ("put", 8000)
        assert market["expiry"] == 1_632_470_400_000
