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

PASSES = 5


def as_aggregate(frame: bytes) -> str:
    """A trade in the words of an aggregated one."""
    text = frame.decode()
    if '@trade"' in text[:40]:
        text = text.replace('"e":"trade"', '"e":"aggTrade"').replace('"t":', '"a":')
    return text


async def ignore(*_: object) -> None:
    """The callback of a user."""
    return


def make_feed(snapshot: dict) -> Binance:
    """A feed whose book is the snapshot."""
    Symbols.set(Binance.id, {"BTC-USDT": "BTCUSDT"}, {})
    feed = Binance(
        symbols=["BTC-USDT"],
        channels=[TRADES, TICKER, L2_BOOK],
        callbacks={TRADES: ignore, TICKER: ignore, L2_BOOK: ignore},
    )
    book = OrderBook(Binance.id, "BTC-USDT", max_depth=feed.max_depth)
    for side, levels in ((BID, snapshot["bids"]), (ASK, snapshot["asks"])):
        book.book[side] = {Decimal(price): Decimal(size) for price, size in levels}
    feed._l2_book["BTC-USDT"] = book  # noqa: SLF001  # it has no other door
    feed.last_update_id["BTC-USDT"] = snapshot["lastUpdateId"]
    return feed


async def one_pass(lines: list[bytes]) -> float:
    snapshot = next(json.loads(line) for line in lines if b"lastUpdateId" in line[:20])
    feed = make_feed(snapshot)
    frames = [as_aggregate(line) for line in lines if b"lastUpdateId" not in line[:20]]
    started = time.process_time()
    for frame in frames:
        await feed.message_handler(frame, None, 0.0)
    return time.process_time() - started


def main(file: Path) -> None:
    """The fastest of some passes counts, as it was disturbed least."""
    lines = file.read_bytes().splitlines()
    seconds = min(asyncio.run(one_pass(lines)) for _ in range(PASSES))
    events = sum(b"lastUpdateId" not in line[:20] for line in lines)
    print(json.dumps({"events": events, "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
