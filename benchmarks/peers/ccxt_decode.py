"""ccxt.pro reads a file of Binance frames. Prints {"events": …, "seconds": …} as JSON.

Run with the interpreter of the peers' environment: ``python ccxt_decode.py FRAMES``.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import ccxt.pro

PASSES = 2
URL = "wss://stream.binance.com:9443/stream/ws"


async def one_pass(lines: list[bytes]) -> float:
    exchange = ccxt.pro.binance({"options": {"tradesLimit": 1000}})
    market = exchange.safe_market_structure(
        {
            "id": "BTCUSDT",
            "symbol": "BTC/USDT",
            "base": "BTC",
            "quote": "USDT",
            "baseId": "BTC",
            "quoteId": "USDT",
            "type": "spot",
            "spot": True,
            "active": True,
            "precision": {"amount": 1e-5, "price": 0.01},
        }
    )
    exchange.set_markets([market])
    client = exchange.client(URL)
    snapshot = next(json.loads(line) for line in lines if b"lastUpdateId" in line[:20])
    book = exchange.order_book(exchange.parse_order_book(snapshot, "BTC/USDT"), 1000)
    book["nonce"] = snapshot["lastUpdateId"]
    exchange.orderbooks["BTC/USDT"] = book
    frames = [line for line in lines if b"lastUpdateId" not in line[:20]]
    started = time.process_time()
    for frame in frames:
        exchange.handle_message(client, json.loads(frame)["data"])
    seconds = time.process_time() - started
    await exchange.close()
    return seconds


def main(file: Path) -> None:
    """The fastest of some passes counts, as it was disturbed least."""
    lines = file.read_bytes().splitlines()
    seconds = min(asyncio.run(one_pass(lines)) for _ in range(PASSES))
    events = sum(b"lastUpdateId" not in line[:20] for line in lines)
    print(json.dumps({"events": events, "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
