"""ccxt.pro reads a file of Binance frames. Prints {"events": …, "seconds": …} as JSON.

Run with the interpreter of the peers' environment: ``python ccxt_decode.py FRAMES``.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import ccxt.pro

URL = "wss://stream.binance.com:9443/stream/ws"


async def measure(lines: list[bytes]) -> dict[str, float]:
    exchange = ccxt.pro.binance({"options": {"tradesLimit": 1000}})
    market = exchange.safe_market_structure(
        {
            "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT",
            "baseId": "BTC", "quoteId": "USDT", "type": "spot", "spot": True,
            "active": True, "precision": {"amount": 1e-5, "price": 0.01},
        }
    )
    exchange.set_markets([market])
    client = exchange.client(URL)
    snapshot = next(json.loads(line) for line in lines if b"lastUpdateId" in line[:20])
    book = exchange.order_book(exchange.parse_order_book(snapshot, "BTC/USDT"), 1000)
    book["nonce"] = snapshot["lastUpdateId"]
    exchange.orderbooks["BTC/USDT"] = book
    frames = [line for line in lines if b"lastUpdateId" not in line[:20]]
    started = time.perf_counter()
    for frame in frames:
        exchange.handle_message(client, json.loads(frame)["data"])
    seconds = time.perf_counter() - started
    result = exchange.orderbooks["BTC/USDT"]
    await exchange.close()
    return {"events": len(frames), "seconds": seconds, "best_bid": result["bids"][0][0]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]).read_bytes().splitlines()))))
