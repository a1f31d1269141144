"""Each venue's frames to serialised batches on one core, compared with ccxt.pro.

Ours maintains and proves the books, checks all ids and ends at serialised bytes; ccxt.pro ends at
Python objects and, on most venues, proves nothing. They run in turns in separate processes;
processor time is measured.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks import feeds
from benchmarks.feeds import Feed
from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from kit.base.clock import SystemClock
from kit.base.telemetry import Meter
from kit.connector.contract.venue import BookSnapshot, ControlMessage
from kit.connector.publishing.feed_handler import FeedHandler
from kit.marketdata.model.columns import PriceLevels

VENUES = (
    "binance",
    "binance_futures",
    "bybit",
    "kraken",
    "okx",
    "okx_futures",
    "coinbase",
    "deribit",
)
FRAMES = 20_000
SYMBOLS = 3
FRAMES_PER_READ = 2_000
PASSES = 3
CCXT = ROOT / "benchmarks" / "peers" / "ccxt_venues.py"


def run(options: Options) -> Report:
    """Frames per second of each venue, and how many times ccxt.pro's."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for venue_id in VENUES:
            file = Path(folder) / f"{venue_id}.jsonl"
            write(asyncio.run(feeds.make(venue_id, FRAMES, SYMBOLS)), file)
            figures += _compare(venue_id, file, options)
    notes = [] if options.peers else ["ccxt: not installed, see docs/BENCHMARKS.md"]
    return Report("venues: frame to serialised batch, one core", figures, notes)


def _compare(venue_id: str, file: Path, options: Options) -> list[Figure]:
    ours = [sys.executable, "-m", "benchmarks.venues", venue_id]
    theirs = [str(options.peers), str(CCXT), str(file)]
    rates: list[float] = []
    times: list[float] = []
    for _ in range(options.runs):
        rates.append(_measure(ours))
        if options.peers:
            times.append(rates[-1] / _measure(theirs))
    found = [Figure(venue_id, "frames/s", rates)]
    if times:
        found.append(Figure(f"{venue_id}, times ccxt", "x", times, "at least 10, better 20"))
    return found


def _measure(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["frames"] / found["seconds"])


def write(feed: Feed, file: Path) -> None:
    """The input of ccxt: a line with the venue, then the frames."""
    head = {
        "venue": feed.venue.venue_id,
        "symbols": feed.symbols,
        "books": {
            symbol: {"bids": book.bids, "asks": book.asks, "nonce": book.sequence}
            for symbol, book in feed.books.items()
        },
    }
    file.write_bytes(b"\n".join([msgspec.json.encode(head), *feed.frames]) + b"\n")


class Silent:
    """A connection that ignores control messages."""

    def on_control_message(self, message: ControlMessage) -> None:
        """Do nothing."""

    def on_missing_frame(self, detail: str) -> None:
        raise ValueError(detail)


async def one_pass(feed: Feed, frames_per_read: int = FRAMES_PER_READ) -> float:
    """Seconds for all frames. Raises ValueError when a book is not proven at the end."""
    clock, meter = SystemClock(), Meter(feed.venue.venue_id)
    feed_handler = FeedHandler.of(feed.venue, meter, clock)
    feed_handler.subscribe(feed.symbols)
    for symbol, book in feed.books.items():
        bids, asks = PriceLevels.parse(book.bids), PriceLevels.parse(book.asks)
        feed_handler.book_manager.on_snapshot(symbol, BookSnapshot(book.sequence, bids, asks, 1))
    source = Silent()
    starts = range(0, len(feed.frames), frames_per_read)
    reads = [feed.frames[start : start + frames_per_read] for start in starts]
    buffer = feed_handler.pipeline.buffer(feed.wire)
    started = time.process_time()
    for read in reads:
        buffer.add(read, clock.time_ns(), source)
        feed_handler.pipeline.flush()
    seconds = time.process_time() - started
    doubted = feed_handler.book_manager.wanting_snapshot()
    if doubted or meter.counters.get("skipped_frames_total"):
        raise ValueError(f"in doubt: {doubted}, counters: {meter.counters}")
    return seconds


def main(venue_id: str) -> None:
    """Measure ours in this process, and print it as the peer's script does."""
    feed = asyncio.run(feeds.make(venue_id, FRAMES, SYMBOLS))
    seconds = min(asyncio.run(one_pass(feed)) for _ in range(PASSES))
    print(json.dumps({"frames": len(feed.frames), "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
