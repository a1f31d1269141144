"""cryptofeed reads a file of Binance frames. Prints {"events": …, "seconds": …} as JSON.

Run with the interpreter of the peers' environment: ``python cryptofeed_decode.py FRAMES``. It knows
aggregated trades only, so trades are renamed to that before the clock starts.
"""

import asyncio
import json
import sys
import time
from decimal import Decimal
from pathlib import Path

from cryptofeed.defines import ASK, BID, L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols
from cryptofeed.types import OrderBook


def as_aggregate(frame: bytes) -> str:
    text = frame.decode()
    if '@trade"' in text[:40]:
        text = text.replace('"e":"trade"', '"e":"aggTrade"').replace('"t":', '"a":')
    return text


async def ignore(*_: object) -> None:
    return


def make_feed(snapshot: dict) -> Binance:
    Symbols.set(Binance.id, {"BTC-USDT": "BTCUSDT"}, {})
    feed = Binance(
        symbols=["BTC-USDT"],
        channels=[TRADES, TICKER, L2_BOOK],
        callbacks={TRADES: ignore, TICKER: ignore, L2_BOOK: ignore},
    )
    book = OrderBook(Binance.id, "BTC-USDT", max_depth=feed.max_depth)
    for side, levels in ((BID, snapshot["bids"]), (ASK, snapshot["asks"])):
        book.book[side] = {Decimal(price): Decimal(size) for price, size in levels}
    feed._l2_book["BTC-USDT"] = book
    feed.last_update_id["BTC-USDT"] = snapshot["lastUpdateId"]
    return feed


async def measure(lines: list[bytes]) -> dict[str, float]:
    snapshot = next(json.loads(line) for line in lines if b"lastUpdateId" in line[:20])
    feed = make_feed(snapshot)
    frames = [as_aggregate(line) for line in lines if b"lastUpdateId" not in line[:20]]
    started = time.perf_counter()
    for frame in frames:
        await feed.message_handler(frame, None, 0.0)
    seconds = time.perf_counter() - started
    best = feed._l2_book["BTC-USDT"].book.bids.index(0)[0]
    return {"events": len(frames), "seconds": seconds, "best_bid": float(best)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]).read_bytes().splitlines()))))
