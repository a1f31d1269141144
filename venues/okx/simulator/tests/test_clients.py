"""Clients of the simulated OKX: unmodified ccxt, and raw websockets on real captures."""

import json
from pathlib import Path

import pytest

from tests.support.raw_client import lines_of, raw_client
from venues.okx.simulator.tests.running import ccxt_client, running


@pytest.mark.parametrize(
    ("venue_id", "symbol", "contract_size"),
    [("okx", "BTC/USDT", None), ("okx_futures", "BTC/USDT:USDT", 0.01)],
)
async def test_unmodified_ccxt_reads_a_simulated_market(venue_id, symbol, contract_size):
    async with (
        running("simulate", venue_id, events_per_second=1_000) as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        assert client.markets[symbol]["precision"]["price"] == 0.1
        assert client.markets[symbol]["contractSize"] == contract_size
        trades = await client.watch_trades(symbol)
        while len(trades) < 5:
            trades += await client.watch_trades(symbol)
        ids = [int(trade["id"]) for trade in trades]
        counts = [int(trade["info"]["count"]) for trade in trades]
        assert [number - count for number, count in zip(ids, counts, strict=True)][1:] == ids[:-1]
        known = await client.fetch_trades(symbol, limit=500)
        assert set(ids) <= {int(trade["id"]) for trade in known}
        nonces = []
        for _ in range(10):
            book = await client.watch_order_book(symbol)
            assert book["bids"][0][0] < book["asks"][0][0]
            nonces.append(book["nonce"])
        assert nonces == sorted(set(nonces))
        quote = (await client.watch_bids_asks([symbol]))[symbol]
        assert quote["bid"] < quote["ask"]
        candles = await client.fetch_ohlcv(symbol, "1m", limit=10)
        assert len(candles) == 10
        assert candles[1][0] - candles[0][0] == 60_000
        assert (await client.watch_ticker(symbol))["last"] > 0
        live = await client.watch_ohlcv(symbol, "1m")
        assert live[-1][0] % 60_000 == 0


async def test_unmodified_ccxt_reads_mark_index_and_funding():
    symbol = "ETH/USDT:USDT"
    async with (
        running("simulate", "okx_futures", events_per_second=500) as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        mark = (await client.watch_mark_price(symbol))["markPrice"]
        funding = await client.watch_funding_rate(symbol)
        asked = await client.fetch_funding_rate(symbol)
        price = (await client.fetch_ticker(symbol))["last"]
        assert abs(mark / price - 1) < 0.01
        assert abs(funding["fundingRate"]) < 0.01
        assert funding["fundingTimestamp"] == asked["fundingTimestamp"]
        assert funding["fundingTimestamp"] % (8 * 3_600_000) == 0


@pytest.mark.parametrize("name", ["btc_usdt_2022", "okcoin_2023"])
async def test_every_frame_of_every_capture_arrives_once_in_order(captures: Path, name: str):
    file = captures / "okx" / name / "frames.jsonl"
    frames = [line for line in lines_of(file) if line.startswith(b'{"arg"')]
    async with (
        running("replay", replay=[f"okx={file}"], speed="max") as base,
        raw_client(base) as client,
    ):
        public = await client.connect("/ws/v5/public")
        business = await client.connect("/ws/v5/business")
        for websocket, candles in ((public, False), (business, True)):
            chosen = [
                argument
                for argument in {json.dumps(json.loads(frame)["arg"]) for frame in frames}
                if ("candle" in argument) is candles
            ]
            call = {"op": "subscribe", "args": list(map(json.loads, chosen))}
            await websocket.send_json(call)
            for _ in chosen:
                assert (await websocket.receive_json())["event"] == "subscribe"
        for frame in frames:
            websocket = business if b'"candle' in frame else public
            assert (await websocket.receive()).data.encode() == frame


async def test_unmodified_ccxt_follows_a_replayed_book(captures: Path):
    file = captures / "okx" / "btc_usdt_2022" / "frames.jsonl"
    async with (
        running("replay", replay=[f"okx={file}"], speed="10") as base,
        ccxt_client(base) as client,
    ):
        await client.load_markets()
        assert client.markets["BTC/USDT"]["precision"]["amount"] == 1e-8
        times = set()
        while len(times) < 20:
            book = await client.watch_order_book("BTC/USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            times.add(book["timestamp"])
        assert min(times) >= 1_652_459_225_000


async def test_recorded_rest_bodies_are_the_answers(captures: Path):
    for name in ("btc_usdt_2022", "okcoin_2023"):
        folder = captures / "okx" / name
        async with (
            running("replay", replay=[f"okx={folder / 'frames.jsonl'}"], speed="max") as base,
            raw_client(base) as client,
        ):
            file = folder / "rest" / "api_v5_public_instruments_instType_SPOT.json"
            path = "/api/v5/public/instruments?instType="
            assert await client.get(f"{path}SPOT") == json.loads(file.read_text())
            assert (await client.get(f"{path}SWAP"))["data"] == []
