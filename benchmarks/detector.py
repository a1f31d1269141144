"""The detector: rules of one core, a strategy over the past, and many strategies beside each other.

``evaluated live`` is what a worker process does with each bar: the rules, the exits, the signal and
the state that is stored. ``over the past`` is the same strategy over bars in memory, with positions
as if each signal were filled, in turns with backtrader, which gets the same bars and rules; the
signals are compared. ``bar to stored``: many strategies run in two worker processes, get the bars
of their instruments in the same moment, and store every step on disk. The bars come from the same
process, not over gRPC.
"""

import importlib
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2

from benchmarks.database import empty_database
from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from core.detector.evaluation import BarStep, StrategySource
from core.detector.workers.hosted_instance import HostedInstance
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.features.evaluator import FeatureBar
from kit.strategy.instance import FLAT, OPEN, StrategyInstance, feature_bar
from kit.strategy.loader import LoadedStrategy, load_source
from kit.strategy.past_signals import AssumedPositions, past_signals
from kit.strategy.strategy import Instrument

STRATEGY = ROOT / "benchmarks" / "eight_rules.py"
PEER = ROOT / "benchmarks" / "peers" / "backtrader_signals.py"
RULES = 8
BTCUSDT = Instrument("binance", "BTCUSDT")
BARS, LIVE_BARS = 200_000, 20_000
STRATEGIES, INSTRUMENTS = 500, 50
WARM_UP, SENT_BARS = 60, 40
FIRST_NS = 1_700_000_040 * NANOSECONDS_PER_SECOND
Signal = tuple[int, str, str]
"""Number of the bar, open or close, buy or sell."""


def run(options: Options) -> Report:
    """Rates of one core, percentiles in ms, and memory."""
    live = [_live_rate() for _ in range(options.runs)]
    past = _past(options)
    together = [uvloop.run(_together()) for _ in range(options.runs)]
    figures = [
        Figure("rules evaluated live", "1/s", live, "50,000"),
        *past.figures,
        *_together_figures(together),
    ]
    notes = [
        *past.notes,
        f"{STRATEGIES} strategies, {SENT_BARS} bars of {INSTRUMENTS} instruments; fsync is on",
    ]
    return Report("detector: strategies of eight rules", figures, notes)


def made_bars(
    count: int, interval: str, seed: int = 11, instrument: Instrument = BTCUSDT
) -> list[bars_pb2.Bar]:
    """Bars of a price that wanders, the same each time."""
    source, price = random.Random(seed), 60_000.0
    length_ns = NANOSECONDS_PER_SECOND * (60 if interval == "1m" else 1)
    found = []
    for number in range(count):
        opened = price
        price = max(1.0, price * (1 + source.gauss(0, 0.0008)))
        low, high = min(opened, price), max(opened, price)
        volume = source.uniform(1, 30)
        found.append(
            bars_pb2.Bar(
                venue=instrument.venue, symbol=instrument.symbol, interval=interval,
                open_time_ns=FIRST_NS + number * length_ns,
                close_time_ns=FIRST_NS + (number + 1) * length_ns,
                open=f"{opened:.2f}", high=f"{high * (1 + source.uniform(0, 4e-4)):.2f}",
                low=f"{low * (1 - source.uniform(0, 4e-4)):.2f}", close=f"{price:.2f}",
                volume=f"{volume:.4f}", buy_volume=f"{volume * source.random():.4f}",
                quote_volume=f"{volume * price:.4f}", trade_count=100, covered_ns=length_ns,
                final=True, source=bars_pb2.BAR_SOURCE_TRADES,
            )
        )  # fmt: skip
    return found


def _loaded(**parameters: str) -> LoadedStrategy:
    (found,) = load_source(STRATEGY, STRATEGY.read_bytes(), parameters)
    return found


def _live_rate() -> float:
    """Rules per second of a worker process, without its socket."""
    steps = [[BarStep(one)] for one in made_bars(LIVE_BARS, "1m")]
    hosted = HostedInstance(_loaded(), BTCUSDT)
    started = time.process_time()
    for step in steps:
        hosted.update(step, FLAT)
    return RULES * LIVE_BARS / (time.process_time() - started)


def _past(options: Options) -> Report:
    """Bars per second, and how many times backtrader's."""
    bars = [feature_bar(one) for one in made_bars(BARS, "1m")]
    ours: list[float] = []
    peers: list[float] = []
    differences = 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bars.txt")
        file.write_text("".join(f"{' '.join(map(repr, bar[:5]))}\n" for bar in bars))
        for _ in range(options.runs):
            rate, signals = _past_run(bars)
            ours.append(rate)
            if options.peers is not None:
                peer_rate, peer_signals = _peer_run(options.peers, file)
                peers.append(peer_rate)
                differences += len(set(signals) ^ set(peer_signals))
    figures = [Figure("bars over the past", "1/s", ours, "100,000")]
    if not peers:
        return Report("past", figures, ["backtrader: not installed, see docs/BENCHMARKS.md"])
    ratios = [one / other for one, other in zip(ours, peers, strict=True)]
    figures += [Figure("backtrader", "1/s", peers), Figure("times backtrader", "x", ratios)]
    note = f"{len(signals)} signals, {differences} differ from backtrader"
    return Report("past", figures, [note])


def _past_run(bars: Sequence[FeatureBar]) -> tuple[float, list[Signal]]:
    instance = StrategyInstance(_loaded(), BTCUSDT)
    started = time.process_time()
    found = list(past_signals(instance, bars, 0, AssumedPositions()))
    rate = len(bars) / (time.process_time() - started)
    length_ns = instance.strategy.bar_interval.length_ns
    return rate, [
        (
            (one.bar.open_time_ns - FIRST_NS) // length_ns,
            "open" if one.raised.action == OPEN else "close",
            "buy" if one.raised.side == types_pb2.SIDE_BUY else "sell",
        )
        for one in found
    ]


def _peer_run(python: Path, file: Path) -> tuple[float, list[Signal]]:
    command = [str(python), str(PEER), str(file)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    signals = [(number, action, side) for number, action, side in found["signals"]]
    return found["bars"] / found["seconds"], signals


async def _together() -> Any:
    """What ``core.detector.tests.timed_signals`` measures."""
    rig = importlib.import_module("core.detector.tests.timed_signals")
    content, sources = STRATEGY.read_bytes(), []
    instruments = [Instrument("binance", f"COIN{number}USDT") for number in range(INSTRUMENTS)]
    for number in range(STRATEGIES):
        parameters = {"interval": "1s", "fast": str(5 + number % 18)}
        source = StrategySource(content, STRATEGY.name, "", parameters)
        sources.append((instruments[number % INSTRUMENTS], source, f"eight_rules_{number}"))
    bars = {
        one: made_bars(WARM_UP + SENT_BARS, "1s", seed, one) for seed, one in enumerate(instruments)
    }
    async with empty_database() as url:
        return await rig.measure(url, sources, bars, WARM_UP, time.perf_counter)


def _together_figures(runs: Sequence[Any]) -> list[Figure]:
    figures = []
    for name, field, target in (("signal", "signal_ms", "under 50"), ("state", "step_ms", "")):
        for number in (50, 99):
            values = [float(np.percentile(getattr(one, field), number)) for one in runs]
            aim = target if number == 99 else ""
            figures.append(Figure(f"bar to stored {name}, p{number}", "ms", values, aim))
    for name, field in (("workers", "worker_bytes"), ("detector", "detector_bytes")):
        values = [getattr(one, field) / 1_000 for one in runs]
        figures.append(Figure(f"memory of a strategy, {name}", "kB", values))
    return figures
