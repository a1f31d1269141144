"""One core: trades to bars, in processor time.

``bar_arithmetic`` is columns in and bars out: all eleven intervals of time, and each other kind.
``process`` is what the aggregator does with the bytes of batches, short of the database: decoded,
checked, deduplicated, counted and made into bars of time.
"""

import random
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from benchmarks.options import Options
from benchmarks.report import Figure, Report
from core.bars import bar_arithmetic, series
from core.bars.bar_arithmetic import TradeArrays
from core.bars.bar_kinds import BarSpec
from core.bars.rules import rule
from core.bars.series import BarSeriesState
from core.bars.venue_bars import VenueBars
from core.bars.watermark import Watermark
from kit.base.cursor import Cursor
from kit.base.intervals import INTERVALS
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import Scale

TRADES = 1_000_000
CHUNK = 8_192
"""Most trades that the aggregator collects before it makes partial bars of them."""
BATCH = 500
"""Trades of a batch when the whole path is at its limit, roughly."""
BATCHES_PER_FOLD = 64
SCALE = Scale(2, 8)
KINDS = (
    "tick:100",
    "volume:20",
    "value:1000000",
    "imbalance:100",
    "runs:100",
    "range:5",
    "renko:5",
)
START_NS = 1_722_816_000_000_000_000


def run(options: Options) -> Report:
    """Trades per second on one core."""
    trades = _market(TRADES)
    batches = _batches(trades)
    figures = [_figure("kernel, time", options, lambda: _time_bars(trades), "at least 2,000,000")]
    figures += [
        _figure(f"kernel, {text}", options, partial(_other_bars, trades, text)) for text in KINDS
    ]
    figures.append(_figure(f"process, batches of {BATCH}", options, lambda: _process(batches)))
    return Report("bars: trades to bars, one core", figures)


def _figure(name: str, options: Options, work: Callable[[], None], target: str = "") -> Figure:
    rates = []
    for _ in range(options.runs):
        started = time.process_time()
        work()
        rates.append(TRADES / (time.process_time() - started))
    return Figure(name, "trades/s", rates, target)


def _time_bars(trades: TradeArrays) -> None:
    held: list[dict[int, bar_arithmetic.PartialBar]] = [{} for _ in INTERVALS]
    for start in range(0, TRADES, CHUNK):
        chunk = bar_arithmetic.in_order(bar_arithmetic.take(trades, slice(start, start + CHUNK)))
        found = bar_arithmetic.by_second(chunk)
        for bars, interval in zip(held, INTERVALS, strict=True):
            found = bar_arithmetic.roll_up(found, interval)
            for open_ns, total in found:
                before = bars.get(open_ns)
                bars[open_ns] = bar_arithmetic.combine(before, total) if before else total


def _other_bars(trades: TradeArrays, text: str) -> None:
    ends, state = rule(BarSpec.parse(text), SCALE), BarSeriesState()
    for start in range(0, TRADES, CHUNK):
        chunk = bar_arithmetic.in_recorded_order(
            bar_arithmetic.take(trades, slice(start, start + CHUNK))
        )
        _, state = series.advance(ends, state, chunk)


def _process(batches: list[bytes]) -> None:
    venue = VenueBars("binance", Watermark(2_000_000_000), checkpoints_count=False)
    for number, data in enumerate(batches, 1):
        venue.take(Cursor(1, number), Batch.FromString(data), ())
        if number % BATCHES_PER_FOLD == 0:
            venue.roll_up()
            venue.evict(10_000_000_000, busy=())
    venue.roll_up()


def _market(count: int) -> TradeArrays:
    """A random walk of about a hundred trades per second, the same each time."""
    source = np.random.default_rng(7)
    steps = source.integers(-30, 31, count)
    return TradeArrays(
        time_ns=START_NS + np.cumsum(source.integers(0, 20_000_000, count)),
        trade_id=np.arange(1, count + 1),
        price=6_000_000 + np.cumsum(steps),
        size=source.integers(1_000, 100_000_000, count),
        side=source.integers(1, 3, count),
        received_ns=START_NS + np.arange(count),
    )


def _batches(trades: TradeArrays) -> list[bytes]:
    found = []
    source = random.Random(7)
    start = 0
    while start < TRADES:
        part = bar_arithmetic.take(trades, slice(start, start + source.randint(1, 2 * BATCH)))
        start += len(part.time_ns)
        batch = batch_pb2.MarketDataBatch(venue="binance", channel=types_pb2.CHANNEL_TRADES)
        batch.instruments.add(symbol="BTCUSDT", price_scale=SCALE.price, size_scale=SCALE.size)
        batch.trades.instrument.extend([0] * len(part.time_ns))
        batch.trades.price.extend(part.price.tolist())
        batch.trades.size.extend(part.size.tolist())
        batch.trades.side.extend(part.side.tolist())
        batch.trades.venue_time_ns.extend(part.time_ns.tolist())
        batch.trades.received_time_ns.extend(part.time_ns.tolist())
        batch.trades.trade_id.extend(part.trade_id.tolist())
        found.append(batch.SerializeToString())
    return found
