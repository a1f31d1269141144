"""The bars of one instrument: trades become partial bars of one second, which roll up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.bars import bar_arithmetic
from core.bars.bar_arithmetic import Ints, PartialBar, TradeArrays
from core.bars.coverage import CoverageHole, Span, TradeCoverage, merged
from core.bars.event_bars import EventBar, InstrumentEventBars
from core.bars.trade_ids import NO_ID, TradeIds
from kit.base.intervals import INTERVALS, SECOND
from kit.marketdata.model.columns import Scale

NO_DECIMALS = Scale()
GATHERED_ROWS_MAX = 8192
"""Trades collected before they become partial bars; a few at a time cost more each."""

Key = tuple[int, int]
"""Position in INTERVALS, and open time in ns."""


class TimeBar:
    """A time bar in its present state. Equal only to itself."""

    __slots__ = ("covered_ns", "final", "instrument", "level", "open_ns", "revision", "total")

    def __init__(
        self,
        instrument: "InstrumentBars",
        key: Key,
        total: PartialBar,
        revision: int = 0,
        final: bool = False,
        covered_ns: int = 0,
    ) -> None:
        self.instrument = instrument
        self.level, self.open_ns = key
        self.total = total
        self.revision = revision
        """Number of trades that came after the watermark had passed the end of the bar."""
        self.final = final
        self.covered_ns = covered_ns

    @property
    def end_ns(self) -> int:
        """Start of the next bar."""
        return self.open_ns + INTERVALS[self.level].length_ns


@dataclass(frozen=True, slots=True)
class RollUpResult:
    """The bars that a roll-up created and changed."""

    created: list[TimeBar]
    changed: list[TimeBar]
    """Includes the created ones."""


class InstrumentBars:
    """The state of one instrument, and those of its bars that are in memory.

    Bars that ended before a horizon may be in the database only. ``unloaded`` returns the times
    whose bars must be loaded before the next roll-up.
    """

    def __init__(
        self,
        symbol: str,
        scale: Scale = NO_DECIMALS,
        seen: TradeIds | None = None,
        coverage: TradeCoverage | None = None,
        newest_ns: int = 0,
        events: InstrumentEventBars | None = None,
    ) -> None:
        self.symbol = symbol
        self.scale = scale
        """Scale of all numbers in this object; the largest that any batch had."""
        self.seen = seen or TradeIds()
        self.coverage = coverage or TradeCoverage()
        self.newest_ns = newest_ns
        """Newest venue time of its trades."""
        self.events = events
        """Bars of other kinds than time, if any are configured."""
        self.bars: dict[Key, TimeBar] = {}
        self._gathered: list[TradeArrays] = []
        self._gathered_rows = 0
        self._seconds: dict[int, PartialBar] = {}
        self._late: Counter[Key] = Counter()
        self._loaded: set[Span] = set()
        if events is not None:
            self.have(events)

    def have(self, events: InstrumentEventBars) -> None:
        """Set the bars of other kinds, whose numbers are at the present scale."""
        self.events = events
        self.grow_to(events.places)

    @property
    def waiting_partials_max(self) -> int:
        """An upper bound of ``waiting_partials`` that costs nothing to compute."""
        return len(self._seconds) + self._gathered_rows

    def waiting_partials(self) -> int:
        """Partial bars that are not part of bars yet."""
        self._summarise()
        return len(self._seconds)

    def add(self, trades: TradeArrays, scale: Scale, watermarks: Ints | None) -> None:
        """Add trades in the order in which they came, with the watermark before each.

        Without watermarks none of them is late.
        """
        late_before = self.seen.late_total
        self._take(trades, scale, watermarks, self.seen.add(trades.trade_id))
        if self.coverage.holes and self.seen.late_total > late_before:
            self.coverage.close(self.seen)

    def repair(self, trades: TradeArrays, scale: Scale, watermark_ns: int) -> None:
        """Add trades that a repair fetched. They may be of any time, so they neither begin coverage
        nor end a hole."""
        fresh = self.seen.add_fetched(trades.trade_id)
        self._take(trades, scale, np.full(len(trades.time_ns), watermark_ns), fresh, fetched=True)
        self.coverage.close(self.seen)

    def fill(self, start_ns: int, end_ns: int) -> None:
        """Remove holes between these times: a repair found the trades complete."""
        self.coverage.fill(start_ns, end_ns)
        if self.events is not None:
            self.events.recount(start_ns, end_ns)

    def _take(
        self,
        trades: TradeArrays,
        scale: Scale,
        watermarks: Ints | None,
        fresh: list[bool] | None,
        fetched: bool = False,
    ) -> None:
        if fresh is not None:
            rows = np.flatnonzero(fresh)
            if len(rows) == 0:
                return
            trades = bar_arithmetic.take(trades, rows)
            watermarks = None if watermarks is None else watermarks[rows]
        trades = self._at_one_scale(trades, scale)
        if watermarks is not None:
            self._count_late(trades.time_ns, watermarks)
        if not fetched:
            if self.coverage.waits_for_trade:
                self._pass_holes(trades)
            self.coverage.begin(int(trades.time_ns.min()))
        self.newest_ns = max(self.newest_ns, int(trades.time_ns.max()))
        if self.events is not None:
            self.events.add(trades)
        self._gathered.append(trades)
        self._gathered_rows += len(trades.time_ns)
        if self._gathered_rows > GATHERED_ROWS_MAX:
            self._summarise()

    def add_gap(self, gap: types_pb2.Gap, channel_newest_ns: int) -> None:
        """Add the hole of a gap before the next trades."""
        if self.coverage.since_ns is None:
            return
        whole_channel = not gap.symbol
        last_id, first_id = int(gap.last_id_before), int(gap.first_id_after)
        if gap.reason == types_pb2.GAP_REASON_VENUE_RESET:
            self.seen.clear()
            last_id = first_id = NO_ID
        else:
            last_id = last_id or self.seen.newest
            if first_id != NO_ID and first_id <= last_id:
                last_id = first_id = NO_ID
        start_ns = gap.last_time_ns or (channel_newest_ns if whole_channel else self.newest_ns)
        end_ns = gap.first_time_ns or None
        self.coverage.add(CoverageHole(start_ns, end_ns, last_id, first_id, whole_channel))
        self.coverage.close(self.seen)

    def unloaded(self, horizon_ns: int) -> list[Span]:
        """Times whose bars a roll-up would change and that may be in the database only."""
        self._summarise()
        touched = self.coverage.touched
        if not touched and min(self._seconds, default=horizon_ns) >= horizon_ns:
            return []
        needed = [(second, second + SECOND.length_ns) for second in self._seconds]
        needed += [(start, min(stop, horizon_ns)) for start, stop in touched]
        return [
            span for span in merged(needed) if span[0] < horizon_ns and span not in self._loaded
        ]

    def restore(self, bars: Iterable[TimeBar], spans: Iterable[Span] = ()) -> list[TimeBar]:
        """Add bars loaded from the database: all bars in these spans. Returns the new ones."""
        self._loaded.update(spans)
        taken = [bar for bar in bars if (bar.level, bar.open_ns) not in self.bars]
        self.bars.update({(bar.level, bar.open_ns): bar for bar in taken})
        return taken

    def roll_up(self) -> RollUpResult:
        """Roll partial bars up into bars of every interval."""
        self._summarise()
        partials = sorted(self._seconds.items())
        created: list[TimeBar] = []
        changed: dict[TimeBar, None] = {}
        for level, interval in enumerate(INTERVALS):
            partials = bar_arithmetic.roll_up(partials, interval) if level else partials
            for open_ns, partial in partials:
                bar = self._merge((level, open_ns), partial, created)
                bar.revision += self._late.pop((level, open_ns), 0)
                changed[bar] = None
        if self.coverage.touched:
            changed.update(dict.fromkeys(self._overlapping(merged(self.coverage.touched))))
        self._seconds.clear()
        self.coverage.touched.clear()
        self._loaded.clear()
        return RollUpResult(created, list(changed))

    def settle(self, watermark_ns: int) -> list[EventBar]:
        """Make event bars from the trades that the watermark has passed."""
        return self.events.settle(watermark_ns, self.scale) if self.events else []

    def cover(self, bar: TimeBar, watermark_ns: int) -> None:
        """Measure the covered time of a bar, up to the watermark."""
        bar.covered_ns = self.coverage.covered_ns(bar.open_ns, min(bar.end_ns, watermark_ns))

    def grow_to(self, scale: Scale) -> None:
        """Convert all numbers to a scale that includes this one."""
        grown = Scale(max(scale.price, self.scale.price), max(scale.size, self.scale.size))
        price_factor = 10 ** (grown.price - self.scale.price)
        size_factor = 10 ** (grown.size - self.scale.size)
        self._summarise()
        self.scale = grown
        if price_factor == size_factor == 1:
            return
        for bar in self.bars.values():
            bar.total = bar_arithmetic.rescale(bar.total, price_factor, size_factor)
        for open_ns, partial in self._seconds.items():
            self._seconds[open_ns] = bar_arithmetic.rescale(partial, price_factor, size_factor)
        if self.events is not None:
            self.events.rescale(price_factor, size_factor)

    def _summarise(self) -> None:
        """Make one-second partial bars of the collected trades."""
        if not self._gathered:
            return
        trades = bar_arithmetic.in_order(bar_arithmetic.joined(self._gathered))
        self._gathered, self._gathered_rows = [], 0
        for open_ns, partial in bar_arithmetic.by_second(trades):
            held = self._seconds.get(open_ns)
            self._seconds[open_ns] = bar_arithmetic.combine(held, partial) if held else partial

    def _merge(self, key: Key, partial: PartialBar, created: list[TimeBar]) -> TimeBar:
        bar = self.bars.get(key)
        if bar is None:
            bar = self.bars[key] = TimeBar(self, key, partial)
            created.append(bar)
        else:
            bar.total = bar_arithmetic.combine(bar.total, partial)
        return bar

    def _overlapping(self, spans: list[Span]) -> Iterable[TimeBar]:
        for bar in self.bars.values():
            if any(start < bar.end_ns and bar.open_ns < stop for start, stop in spans):
                yield bar

    def _pass_holes(self, trades: TradeArrays) -> None:
        pairs = zip(trades.time_ns.tolist(), trades.trade_id.tolist(), strict=True)
        for time_ns, trade_id in pairs:
            self.coverage.pass_trade(time_ns, trade_id)
            if not self.coverage.waits_for_trade:
                break
        self.coverage.close(self.seen)

    def _count_late(self, times_ns: Ints, watermarks: Ints) -> None:
        ends_ns = times_ns - times_ns % SECOND.length_ns + SECOND.length_ns
        late = ends_ns <= watermarks
        for time_ns, watermark_ns in zip(
            times_ns[late].tolist(), watermarks[late].tolist(), strict=True
        ):
            for level, interval in enumerate(INTERVALS):
                open_ns = interval.open_ns(time_ns)
                if open_ns + interval.length_ns > watermark_ns:
                    break
                self._late[level, open_ns] += 1

    def _at_one_scale(self, trades: TradeArrays, scale: Scale) -> TradeArrays:
        """Trades at the scale of this object, which grows when they need it."""
        if scale == self.scale:
            return trades
        self.grow_to(scale)
        return trades._replace(
            price=bar_arithmetic.times(trades.price, 10 ** (self.scale.price - scale.price)),
            size=bar_arithmetic.times(trades.size, 10 ** (self.scale.size - scale.size)),
        )
