"""One core: frames to numbered, serialised batches with books; compared with other libraries.

Ours and the other libraries run in turns in separate processes, so that a change of the machine's
speed affects all. Processor time is measured. ccxt.pro and cryptofeed end at Python objects; ours
ends at serialised bytes.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from kit.base.clock import SystemClock
from kit.base.telemetry import Meter
from kit.connector.contract.discovery import require
from kit.connector.contract.venue import BookSnapshot, ControlMessage, Environment
from kit.connector.publishing.feed_handler import FeedHandler
from kit.marketdata.model.columns import PriceLevels

SYMBOL = "BTCUSDT"
SNAPSHOT_MARK = b"lastUpdateId"
FRAMES_PER_READ = 2_000
"""About what one read from a busy socket holds."""
PASSES = 5
"""Passes over the file in one process; the fastest counts, as it was disturbed least."""


def run(options: Options) -> Report:
    """Events per second, and how many times the peers'."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        Path(file.name).write_bytes(b"\n".join(options.lines()) + b"\n")
        contestants = {"venuemesh": [sys.executable, "-m", "benchmarks.decode", file.name]}
        if options.peers is not None:
            for peer in ("ccxt", "cryptofeed"):
                script = ROOT / "benchmarks" / "peers" / f"{peer}_decode.py"
                contestants[peer] = [str(options.peers), str(script), file.name]
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(options.runs):
            for name, command in contestants.items():
                rates[name].append(_measure(command))
    return _report(rates)


def _measure(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    return float(found["events"] / found["seconds"])


def _report(rates: dict[str, list[float]]) -> Report:
    targets = {"ccxt": "at least 10", "cryptofeed": "at least 8"}
    figures = [Figure(name, "events/s", runs) for name, runs in rates.items()]
    notes = []
    for peer, target in targets.items():
        if peer in rates:
            pairs = zip(rates["venuemesh"], rates[peer], strict=True)
            figures.append(
                Figure(f"times {peer}", "x", [ours / other for ours, other in pairs], target)
            )
        else:
            notes.append(f"{peer}: not installed, see docs/BENCHMARKS.md")
    return Report("decode: frame to serialised batch, one core", figures, notes)


async def _one_pass(lines: list[bytes]) -> float:
    clock = SystemClock()
    venue = require("binance")(Environment("replay", "http://127.0.0.1:1"))
    (protocol,) = venue.feed_protocols
    source = Silent()
    feed_handler = FeedHandler.of(venue, Meter("binance"), clock)
    feed_handler.subscribe([SYMBOL])
    feed_handler.book_manager.on_snapshot(SYMBOL, snapshot_of(lines, clock.time_ns()))
    frames = [line for line in lines if SNAPSHOT_MARK not in line[:20]]
    reads = [
        frames[start : start + FRAMES_PER_READ] for start in range(0, len(frames), FRAMES_PER_READ)
    ]
    buffer = feed_handler.pipeline.buffer(protocol)
    started = time.process_time()
    for read in reads:
        buffer.add(read, clock.time_ns(), source)
        feed_handler.pipeline.flush()
    return time.process_time() - started


def snapshot_of(lines: list[bytes], received_time_ns: int) -> BookSnapshot:
    """The book that the session begins with."""
    found = next(json.loads(line) for line in lines if SNAPSHOT_MARK in line[:20])
    return BookSnapshot(
        last_sequence=found["lastUpdateId"],
        bids=PriceLevels.parse(found["bids"]),
        asks=PriceLevels.parse(found["asks"]),
        received_time_ns=received_time_ns,
    )


class Silent:
    """A connection on which nothing but data comes."""

    def on_control_message(self, message: ControlMessage) -> None:
        raise ValueError(f"not data: {message}")

    def on_missing_frame(self, detail: str) -> None:
        raise ValueError(detail)


def main(file: Path) -> None:
    """Measure ours in this process, and print it as the peers' scripts do."""
    lines = file.read_bytes().splitlines()
    seconds = min(asyncio.run(_one_pass(lines)) for _ in range(PASSES))
    events = sum(SNAPSHOT_MARK not in line[:20] for line in lines)
    print(json.dumps({"events": events, "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
