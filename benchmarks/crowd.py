"""Many symbols on one venue: what a venue's process does with 20,000 events/s of 200 instruments.

The frames are handled in reads of 2 ms, as they would come, so that every flush has a few frames of
many instruments: the hardest case for batches. Beside it, one book of 1,000 levels with updates of
20 levels.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from benchmarks import feeds
from benchmarks.feeds import Feed
from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from benchmarks.venues import one_pass, write
from kit.connector.contract.discovery import require
from kit.connector.contract.venue import Environment
from kit.marketdata.book.book import Book
from kit.marketdata.book.levels import BookSide, SideChanges
from kit.marketdata.model.columns import Scale
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.market_events import Instrument

VENUE = "binance"
SYMBOLS = 200
FRAMES = 40_000
EVENTS_PER_SECOND = 20_000
FRAMES_PER_READ = EVENTS_PER_SECOND * 2 // 1000
LEVELS, CHANGED, UPDATES = 1_000, 20, 2_000
FLUSHED = 10
"""Updates of one book that are handled together."""


def run(options: Options) -> Report:
    """Share of a core, memory, and time per update of a book."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "feed.jsonl"
        write(asyncio.run(feeds.make(VENUE, FRAMES, SYMBOLS, instruments)), file)
        found = [_measure(file) for _ in range(options.runs)]
    figures = [
        Figure("share of a core", "%", [one["core_share"] for one in found], "under 100"),
        Figure("memory of the process", "MB", [one["megabytes"] for one in found], "under 200"),
        Figure("book update of 20 levels", "us", [one["update_us"] for one in found], "under 15"),
    ]
    return Report("crowd: 200 symbols at 20,000 events/s, one venue process", figures)


def _measure(file: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.crowd", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def instruments(like: Instrument) -> list[Instrument]:
    """SYMBOLS instruments with the terms of one."""
    return [replace(like, base=f"C{number:03}", share=1.0) for number in range(SYMBOLS)]


def update_seconds() -> float:
    """Time of one update of a book of constant size."""
    chance = np.random.default_rng(1)
    prices = np.arange(10_000, 10_000 + LEVELS, dtype=np.int64)
    book, nothing = Book(), BookSide.of([])
    book.apply(BookSide(prices, np.ones(LEVELS, dtype=np.int64)), nothing)
    updates = []
    for _ in range(UPDATES):
        chosen = chance.choice(prices, CHANGED)
        updates.append(BookSide(chosen, chance.integers(1, 9, CHANGED)))
    each = [updates[start : start + FLUSHED] for start in range(0, UPDATES, FLUSHED)]
    changes = [(SideChanges.joined(some), SideChanges.joined([nothing] * FLUSHED)) for some in each]
    flush = np.arange(FLUSHED)
    started = time.process_time()
    for bids, asks in changes:
        book.follow(flush, bids, asks, None, Scale())
    return (time.process_time() - started) / UPDATES


def read(file: Path) -> Feed:
    """Read the frames that ``write`` wrote."""
    head, *frames = file.read_bytes().splitlines()
    header = msgspec.json.decode(head)
    books = {
        symbol: ExchangeBookSnapshot(book["nonce"], book["bids"], book["asks"])
        for symbol, book in header["books"].items()
    }
    venue = require(VENUE)(Environment("simulate", "http://127.0.0.1:1"))
    return Feed(venue, venue.feed_protocols[0], tuple(header["symbols"]), frames, books)


def _resident_bytes() -> int:
    """Memory of this process, including its input frames."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def main(file: Path) -> None:
    """Measure in this process, and print one JSON object."""
    feed = read(file)
    seconds = await one_pass(feed, FRAMES_PER_READ)
    of_real_time = len(feed.frames) / EVENTS_PER_SECOND
    found = {
        "core_share": 100 * seconds / of_real_time,
        "megabytes": _resident_bytes() / 1e6,
        "update_us": update_seconds() * 1e6,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
