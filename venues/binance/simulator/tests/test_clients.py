"""Real clients against the simulated Binance: unmodified ccxt, and websockets on real captures."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from tests.support.raw_client import lines_of, raw_client
from venues.binance.simulator.tests.running import ccxt_client, running

STREAMS = "btcusdt@trade/btcusdt@depth@100ms/btcusdt@bookTicker"


async def test_unmodified_ccxt_trades_on_a_simulated_market():
    async with running("simulate", events_per_second=1_000) as base, ccxt_client(base) as client:
        await client.load_markets()
        assert client.markets["BTC/USDT"]["precision"]["price"] == 0.01
        trades = await client.watch_trades("BTC/USDT")
        while len(trades) < 5:
            trades += await client.watch_trades("BTC/USDT")
        ids = [int(trade["id"]) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        known = await client.fetch_trades("BTC/USDT", limit=1000)
        assert set(ids) <= {int(trade["id"]) for trade in known}
        nonces = []
        for _ in range(10):
            book = await client.watch_order_book("BTC/USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            nonces.append(book["nonce"])
        assert nonces == sorted(set(nonces))
        quote = (await client.watch_bids_asks(["ETH/USDT"]))["ETH/USDT"]
        assert quote["bid"] < quote["ask"]
        candles = await client.fetch_ohlcv("BTC/USDT", "1m", limit=10)
        assert len(candles) == 10
        assert candles[1][0] - candles[0][0] == 60_000
        assert (await client.watch_ticker("SOL/USDT"))["last"] > 0
        live = await client.watch_ohlcv("BTC/USDT", "1m")
        assert live[-1][0] % 60_000 == 0


async def test_unmodified_ccxt_follows_a_replayed_book(captures: Path):
    file = captures / "binance" / "btcusdt_20240808" / "frames.jsonl.gz"
    async with (
        running("replay", replay=[f"binance={file}"], speed="20") as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        trades, book = await asyncio.gather(
            client.watch_trades("BTC/USDT"), client.watch_order_book("BTC/USDT")
        )
        assert int(trades[0]["id"]) >= 3_735_683_259
        nonces = set()
        while len(nonces) < 20:
            book = await client.watch_order_book("BTC/USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            nonces.add(book["nonce"])
        assert min(nonces) >= 50_093_239_218
        past = await client.fetch_trades("BTC/USDT", limit=10)
        assert past


def with_frames(captures: Path) -> list[Path]:
    folder = captures / "binance"
    return sorted([*folder.glob("*/frames.jsonl"), *folder.glob("*/frames.jsonl.gz")])


async def test_every_frame_of_every_capture_arrives_once_in_order(captures: Path):
    for file in with_frames(captures):
        frames = [line for line in lines_of(file) if line.startswith(b'{"stream"')]
        streams = {json.loads(line)["stream"] for line in frames}
        async with (
            running("replay", replay=[f"binance={file}"], speed="max") as base,
            raw_client(base) as client,
        ):
            websocket = await client.connect(f"/stream?streams={'/'.join(streams)}")
            for frame in frames:
                assert (await websocket.receive()).data.encode() == frame
            status = await client.get("/../replay/status")
            assert status["venues"][0]["frames_sent"] == len(frames)


async def test_the_snapshot_of_a_capture_is_the_answer_to_depth(captures: Path):
    file = captures / "binance" / "btcusdt_20240808" / "frames.jsonl.gz"
    (line,) = [line for line in lines_of(file) if line.startswith(b'{"lastUpdateId"')]
    async with (
        running("replay", replay=[f"binance={file}"], speed="max") as base,
        raw_client(base) as client,
    ):
        asked = asyncio.create_task(client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000"))
        websocket = await client.connect(f"/stream?streams={STREAMS}")
        first = msgspec.json.decode((await websocket.receive()).data)
        snapshot = json.loads(line)
        assert await asked == snapshot
        assert first["data"]["U"] <= snapshot["lastUpdateId"] + 1


async def test_a_capture_with_rest_bodies_answers_with_them(captures: Path):
    folder = captures / "binance" / "binance_us_2021"
    async with (
        running("replay", replay=[f"binance={folder / 'frames.jsonl'}"], speed="max") as base,
        raw_client(base) as client,
    ):
        recorded = json.loads((folder / "rest" / "api_v3_exchangeInfo.json").read_text())
        assert await client.get("/api/v3/exchangeInfo") == recorded
        websocket = await client.connect("/stream?streams=zrxusdt@depth@100ms")
        for symbol in ("COMPUSDT", "ZRXUSDT"):
            name = f"api_v3_depth_symbol_{symbol}_limit_1000.json"
            expected = json.loads((folder / "rest" / name).read_text())
            assert await client.get(f"/api/v3/depth?symbol={symbol}&limit=1000") == expected
        assert not websocket.closed


@pytest.mark.parametrize("path", ["/ws/btcusdt@trade", "/stream/ws/0"])
async def test_a_raw_connection_gets_events_without_wrapper(path: str):
    async with (
        running("simulate", events_per_second=1_000) as base,
        raw_client(base) as client,
    ):
        websocket = await client.connect(path)
        call = {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}
        await websocket.send_json(call)
        while (event := await websocket.receive_json()).get("e") != "trade":
            assert event == {"result": None, "id": 1}
        assert event["s"] == "BTCUSDT"
