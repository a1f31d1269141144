"""Real clients against the simulated Kraken: ccxt as it comes, and raw sockets on real captures."""

import json
from pathlib import Path

from tests.support.raw_client import lines_of, raw_client
from venues.kraken.simulator.tests.running import ccxt_client, running, subscribe

SAMPLE = "kraken/v2_btcusd_book10_sample/frames.jsonl"


async def test_unmodified_ccxt_trades_on_a_simulated_market():
    async with running("simulate", events_per_second=1_000) as base, ccxt_client(base) as client:
        await client.load_markets()
        assert client.markets["BTC/USDT"]["precision"]["price"] == 0.1
        assert client.markets["ETH/BTC"]["id"] == "XETHXXBT"
        assert client.markets["DOGE/USDT"]["id"] == "XDGUSDT"
        trades = await client.watch_trades("BTC/USDT")
        while len(trades) < 60:
            trades += await client.watch_trades("BTC/USDT")
        ids = [int(trade["id"]) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        known = await client.fetch_trades("BTC/USDT", limit=1000)
        assert set(ids) <= {int(trade["id"]) for trade in known}
        for _ in range(10):
            book = await client.watch_order_book("BTC/USDT", 25)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert len(book["bids"]) == len(book["asks"]) == 25
        fetched = await client.fetch_order_book("ETH/BTC", 20)
        assert len(fetched["bids"]) == 20
        assert fetched["bids"][0][0] < fetched["asks"][0][0]
        quote = (await client.watch_bids_asks(["ETH/USDT"]))["ETH/USDT"]
        assert quote["bid"] < quote["ask"]
        candles = await client.fetch_ohlcv("BTC/USDT", "1m", limit=10)
        assert len(candles) == 10
        assert candles[1][0] - candles[0][0] == 60_000
        assert (await client.watch_ticker("SOL/USDT"))["last"] > 0
        assert (await client.fetch_ticker("DOGE/USDT"))["last"] > 0
        live = await client.watch_ohlcv("BTC/USDT", "1m")
        assert live[-1][0] % 60_000 == 0


async def test_unmodified_ccxt_follows_a_replayed_book(captures: Path):
    async with (
        running("replay", replay=[f"kraken={captures / SAMPLE}"], speed="0.05") as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        for _ in range(8):
            book = await client.watch_order_book("BTC/USD", 10)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert len(book["bids"]) == 10


async def test_every_frame_of_every_capture_arrives_once_in_order(captures: Path):
    for file in sorted((captures / "kraken").glob("v2_*/frames.jsonl")):
        frames = [line for line in lines_of(file) if line.startswith(b'{"channel":"book"')]
        async with (
            running("replay", replay=[f"kraken={file}"], speed="max") as base,
            raw_client(base) as client,
        ):
            websocket = await client.connect("/v2")
            await subscribe(websocket, "book", "BTC/USD", depth=10)
            assert (await websocket.receive_json())["channel"] == "status"
            assert (await websocket.receive_json())["success"] is True
            heard = []
            while len(heard) < len(frames):
                heard.append((await websocket.receive()).data.encode())
                if heard[-1] == b'{"channel":"heartbeat"}':
                    del heard[-1]
            assert heard == frames
            status = await client.get("/../replay/status")
            assert status["venues"][0]["frames_sent"] == len(frames)


async def test_a_capture_with_rest_bodies_answers_with_them(captures: Path):
    folder = captures / "kraken" / "v1_legacy_48"
    async with (
        running("replay", replay=[f"kraken={folder / 'frames.jsonl'}"], speed="max") as base,
        raw_client(base) as client,
    ):
        recorded = json.loads((folder / "rest" / "0_public_AssetPairs.json").read_text())
        assert await client.get("/0/public/AssetPairs") == recorded


async def test_heartbeats_start_with_the_first_subscription():
    async with running("simulate") as base, raw_client(base) as client:
        websocket = await client.connect("/v2")
        assert (await websocket.receive_json())["channel"] == "status"
        await subscribe(websocket, "book", "BTC/USDT")
        while await websocket.receive_json() != {"channel": "heartbeat"}:
            pass
        await websocket.send_json({"method": "ping", "req_id": 9})
        while (answer := await websocket.receive_json()).get("method") != "pong":
            pass
        assert answer["req_id"] == 9
