"""Real clients against the simulated Bybit: ccxt as it comes, and raw sockets on real captures."""

import json
from pathlib import Path

from tests.support.raw_client import raw_client
from venues.bybit.simulator.tests.running import ccxt_client, running, subscribed


async def test_unmodified_ccxt_trades_on_a_simulated_market():
    async with running("simulate", events_per_second=1_000) as base, ccxt_client(base) as client:
        await client.load_markets()
        assert client.markets["BTC/USDT"]["precision"]["price"] == 0.1
        trades = await client.watch_trades("BTC/USDT")
        while len(trades) < 5:
            trades += await client.watch_trades("BTC/USDT")
        ids = [int(trade["id"]) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        known = await client.fetch_trades("BTC/USDT", limit=60)
        newest = [int(trade["id"]) for trade in known]
        assert newest == list(range(newest[0], newest[0] + len(newest)))
        assert newest[-1] >= ids[-1]
        for depth in (50, 200):
            book = await client.watch_order_book("ETH/USDT" if depth == 50 else "SOL/USDT", depth)
            for _ in range(5):
                book = await client.watch_order_book(book["symbol"], depth)
                assert book["bids"][0][0] < book["asks"][0][0]
                assert len(book["bids"]) == len(book["asks"]) == depth
        quote = (await client.watch_bids_asks(["BTC/USDT"]))["BTC/USDT"]
        assert quote["bid"] < quote["ask"]
        assert (await client.watch_ticker("SOL/USDT"))["last"] > 0
        live = await client.watch_ohlcv("BTC/USDT", "1m")
        assert live[-1][0] % 60_000 == 0


async def test_unmodified_ccxt_reads_over_rest():
    async with running("simulate", events_per_second=1_000) as base, ccxt_client(base) as client:
        book = await client.fetch_order_book("BTC/USDT", 100)
        assert len(book["bids"]) == len(book["asks"]) == 100
        candles = await client.fetch_ohlcv("BTC/USDT", "1m", limit=10)
        assert len(candles) == 10
        assert candles[1][0] - candles[0][0] == 60_000
        again = await client.fetch_ohlcv("BTC/USDT", "1m", since=candles[0][0], limit=2)
        assert again == candles[:2]
        ticker = await client.fetch_ticker("BTC/USDT")
        assert ticker["bid"] < ticker["ask"]


def with_frames(captures: Path) -> list[Path]:
    return sorted((captures / "bybit").glob("*/frames.jsonl"))


async def test_every_frame_of_every_capture_arrives_once_in_order(captures: Path):
    for file in with_frames(captures):
        frames = [line for line in file.read_text().splitlines() if line.startswith('{"topic"')]
        topics = {json.loads(line)["topic"] for line in frames}
        async with (
            running("replay", replay=[f"bybit={file}"], speed="max") as base,
            raw_client(base) as client,
        ):
            websocket = await subscribed(client, *topics)
            for frame in frames:
                assert (await websocket.receive()).data == frame
            status = await client.get("/../replay/status")
            assert status["venues"][0]["frames_sent"] == len(frames)


async def test_unmodified_ccxt_follows_a_replayed_book(captures: Path):
    file = captures / "bybit" / "btcusdt_book50_2026" / "frames.jsonl"
    async with (
        running("replay", replay=[f"bybit={file}"], speed="max") as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        book = await client.watch_order_book("BTC/USDT", 50)
        while book["timestamp"] < 1787612486456:
            book = await client.watch_order_book("BTC/USDT", 50)
        assert book["bids"][0] == [78715, 1.278364]
        assert len(book["bids"]) == len(book["asks"]) == 50
