"""ccxt.pro places orders on Binance, one after another. Prints the call times as JSON.

Run as ``python ccxt_orders.py JOB``, where the job is JSON: {"url", "key", "secret", "method",
"price", "size", "pause_s", "count"}; the method is createOrder or createOrderWs. The times are
those of the machine's monotonic clock, which all processes share.
"""

import asyncio
import json
import sys
import time
from typing import Any

import ccxt.pro


def client(job: dict[str, Any]) -> Any:
    """A usual client with another address."""
    rest, feed = f"{job['url']}/api/v3", job["url"].replace("http", "ws", 1)
    streams = {"spot": f"{feed}/stream", "ws-api": {"spot": f"{feed}/ws-api/v3"}}
    urls = {"public": rest, "private": rest, "sapi": f"{job['url']}/sapi/v1", "ws": streams}
    return ccxt.pro.binance(
        {
            "apiKey": job["key"],
            "secret": job["secret"],
            "enableRateLimit": False,
            "options": {"fetchCurrencies": False, "fetchMarkets": {"types": ["spot"]}},
            "urls": {"api": urls},
        }
    )


async def place_all(job: dict[str, Any]) -> list[float]:
    exchange = client(job)
    try:
        await exchange.load_markets()
        place = (
            exchange.create_order_ws if job["method"] == "createOrderWs" else exchange.create_order
        )
        started = []
        for _ in range(job["count"]):
            started.append(time.perf_counter())
            await place("BTC/USDT", "limit", "buy", job["size"], job["price"])
            await asyncio.sleep(job["pause_s"])
        await exchange.cancel_all_orders("BTC/USDT")
        return started
    finally:
        await exchange.close()


print(json.dumps(asyncio.run(place_all(json.loads(sys.argv[1])))))
