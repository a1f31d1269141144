"""The bars of one venue, made from batches of its trades and repairs."""

import heapq
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from itertools import count
from types import MappingProxyType

from venuemesh.common.v1 import types_pb2

from core.bars.bar_arithmetic import take
from core.bars.batch_trades import BatchTrades, read_trades
from core.bars.coverage import Span
from core.bars.event_bars import EventBar
from core.bars.instrument_bars import InstrumentBars, TimeBar
from core.bars.shards import SHARDS, shard_of
from core.bars.watermark import Watermark
from kit.base.cursor import START, Cursor, StreamKey
from kit.marketdata.delivery.stream_continuity import joins
from kit.marketdata.model.batches import Batch

ELSEWHERE_MAX = 10_000
"""Most symbols of other shards that are cached."""

MakeInstrument = Callable[[str], InstrumentBars]
"""Makes an instrument without history from its symbol."""


class VenueBars:
    """The instruments of a venue that are in some shards, and the watermark of its stream.

    ``take`` collects trades, ``roll_up`` and ``settle`` make bars of them, ``evict`` drops bars
    that have been final for a while. Final bars do not depend on when ``roll_up`` is called.
    """

    def __init__(
        self,
        venue_id: str,
        watermark: Watermark,
        checkpoints_count: bool,
        make_instrument: MakeInstrument = InstrumentBars,
        shards: Iterable[int] = range(SHARDS),
        positions: Mapping[StreamKey, Cursor] = MappingProxyType({}),
    ) -> None:
        self.venue_id = venue_id
        self.watermark = watermark
        self.shards = set(shards)
        self.trades_key = StreamKey(venue_id, types_pb2.CHANNEL_TRADES)
        self.repairs_key = StreamKey(venue_id, types_pb2.CHANNEL_REPAIRS)
        self.positions = {
            key: positions.get(key, START) for key in (self.trades_key, self.repairs_key)
        }
        """The last batch taken from each stream."""
        self.instruments: dict[str, InstrumentBars] = {}
        self.changed: set[InstrumentBars] = set()
        """Instruments with trades or gaps since the last roll-up."""
        self.horizon_ns = 0
        """Bars that ended at or before this time may be in the database only."""
        self._make_instrument = make_instrument
        self._elsewhere: set[str] = set()
        self._checkpoints_count = checkpoints_count
        self._channel_starts: list[int] = []
        self._open: list[tuple[int, int, TimeBar]] = []
        self._evictable: list[tuple[int, int, TimeBar]] = []
        self._tie_break = count()

    @property
    def position(self) -> Cursor:
        """The last batch of trades taken."""
        return self.positions[self.trades_key]

    def gap_before(self, cursor: Cursor, batch: Batch) -> types_pb2.Gap | None:
        """A gap for entries that are missing in the stream before a batch, unless the batch states
        one."""
        if self.position == START or joins(self.position, cursor, batch):
            return None
        return types_pb2.Gap(
            reason=types_pb2.GAP_REASON_CURSOR_EXPIRED,
            detail=f"the stream no longer held the entries between {self.position} and {cursor}",
        )

    def take(self, cursor: Cursor, batch: Batch, gaps: Iterable[types_pb2.Gap]) -> int:
        """Take a batch of trades, after the gaps before it. Returns the number of trades.

        Raises MalformedBatch and has then taken nothing; the caller skips the batch.
        """
        rows = read_trades(batch)
        self.positions[self.trades_key] = cursor
        for gap in gaps:
            self._add_gap(gap)
        if rows.parts:
            self._add_rows(rows)
        elif not batch.gaps and self._checkpoints_count:
            self.watermark.reach(batch.published_time_ns)
        return len(rows.trades.time_ns)

    def take_repairs(self, cursor: Cursor, batch: Batch) -> int:
        """Take a batch of repaired trades and outcomes of repairs. Returns the number of trades.

        Raises MalformedBatch and has then taken nothing; the caller skips the batch.
        """
        rows = read_trades(batch)
        self.positions[self.repairs_key] = cursor
        for symbol, scale, numbers in rows.parts:
            instrument = self._instrument(symbol)
            if instrument is not None:
                trades = rows.trades if numbers is None else take(rows.trades, numbers)
                instrument.repair(trades, scale, self.watermark.time_ns)
                self._changes(instrument, self.repairs_key)
        for fill in batch.fills:
            instrument = self.instruments.get(fill.symbol)
            if instrument is not None and fill.outcome == types_pb2.FILL_OUTCOME_COMPLETE:
                instrument.fill(fill.start_time_ns, fill.end_time_ns)
                self._changes(instrument, self.repairs_key)
        return len(rows.trades.time_ns)

    def skip(self, key: StreamKey, cursor: Cursor, why: str) -> types_pb2.Gap:
        """Skip a batch that cannot be read. Returns the gap that it leaves; only a batch of trades
        changes the coverage."""
        gap = types_pb2.Gap(reason=types_pb2.GAP_REASON_MALFORMED, detail=why)
        self.positions[key] = cursor
        if key == self.trades_key:
            self._add_gap(gap)
        return gap

    @property
    def waiting_partials_max(self) -> int:
        """An upper bound of ``waiting_partials`` that costs nothing to compute."""
        return sum(instrument.waiting_partials_max for instrument in self.changed)

    def waiting_partials(self) -> int:
        """Partial bars that are not part of bars yet."""
        return sum(instrument.waiting_partials() for instrument in self.changed)

    def hold(self, bar: TimeBar) -> None:
        """Track a bar that is in memory from now on."""
        heap = self._evictable if bar.final else self._open
        heapq.heappush(heap, (bar.end_ns, next(self._tie_break), bar))

    def roll_up(self) -> list[TimeBar]:
        """Make time bars of the collected trades. Returns the bars that changed.

        Bars that ``unloaded`` names must have been restored before.
        """
        changed: dict[TimeBar, None] = {}
        for instrument in self.changed:
            fold = instrument.roll_up()
            changed.update(dict.fromkeys(fold.changed))
            for bar in fold.created:
                self.hold(bar)
        self.changed.clear()
        while self._open and self._open[0][0] <= self.watermark.time_ns:
            bar = heapq.heappop(self._open)[2]
            bar.final = True
            changed[bar] = None
            self.hold(bar)
        for bar in changed:
            bar.instrument.cover(bar, self.watermark.time_ns)
        return list(changed)

    def settle(self) -> list[tuple[InstrumentBars, EventBar]]:
        """Make bars that end with a trade from the trades that the watermark has passed."""
        time_ns = self.watermark.time_ns
        return [
            (instrument, bar)
            for instrument in self.instruments.values()
            if instrument.events is not None and instrument.events.waits
            for bar in instrument.settle(time_ns)
        ]

    def is_at_position_of(self, other: "VenueBars") -> bool:
        """Whether both are parts of one venue at the same positions."""
        return self.venue_id == other.venue_id and self.positions == other.positions

    def join(self, other: "VenueBars") -> None:
        """Take over the shards of another part at the same positions."""
        self.shards |= other.shards
        self.instruments.update(other.instruments)
        self.changed |= other.changed
        self.horizon_ns = max(self.horizon_ns, other.horizon_ns)
        self._elsewhere.clear()
        for instrument in other.instruments.values():
            self._watch_channel(instrument)
        for bar in other.held():
            self.hold(bar)

    def held(self) -> list[TimeBar]:
        return [bar for _, _, bar in (*self._open, *self._evictable)]

    def leave(self, shards: Collection[int]) -> None:
        """Drop shards with their instruments and bars."""
        self.shards -= set(shards)
        gone = {symbol for symbol in self.instruments if shard_of(self.venue_id, symbol) in shards}
        self.changed -= {self.instruments.pop(symbol) for symbol in gone}
        for heap in (self._open, self._evictable):
            heap[:] = [item for item in heap if item[2].instrument.symbol not in gone]
            heapq.heapify(heap)

    def evict(self, kept_ns: int, busy: Container[TimeBar]) -> None:
        """Drop bars that ended ``kept_ns`` before the watermark and are not in ``busy``."""
        self.horizon_ns = max(self.horizon_ns, self.watermark.time_ns - kept_ns)
        again = []
        while self._evictable and self._evictable[0][0] <= self.horizon_ns:
            item = heapq.heappop(self._evictable)
            bar = item[2]
            if bar in busy:
                again.append(item)
            else:
                del bar.instrument.bars[bar.level, bar.open_ns]
        for item in again:
            heapq.heappush(self._evictable, item)

    def add_instrument(self, instrument: InstrumentBars) -> None:
        """Add an instrument loaded from the database."""
        self.instruments[instrument.symbol] = instrument
        self._want_late_days(instrument, self.trades_key)
        self._watch_channel(instrument)

    def restore(
        self, instrument: InstrumentBars, bars: Iterable[TimeBar], spans: Iterable[Span] = ()
    ) -> None:
        """Add bars of an instrument loaded from the database: all bars in these spans."""
        for bar in instrument.restore(bars, spans):
            self.hold(bar)

    def _add_gap(self, gap: types_pb2.Gap) -> None:
        if gap.reason == types_pb2.GAP_REASON_OUT_OF_ORDER:
            return
        if gap.symbol:
            concerned = [self.instruments[gap.symbol]] if gap.symbol in self.instruments else []
        else:
            concerned = list(self.instruments.values())
            if not gap.first_time_ns:
                self._channel_starts.append(gap.last_time_ns or self.watermark.newest_ns)
        for instrument in concerned:
            instrument.add_gap(gap, self.watermark.newest_ns)
        self.changed.update(concerned)

    def _add_rows(self, rows: BatchTrades) -> None:
        trades = rows.trades
        newest_ns = self.watermark.newest_ns
        watermarks = self.watermark.pass_trades(trades.time_ns, trades.received_ns)
        for symbol, scale, numbers in rows.parts:
            instrument = self._instrument(symbol)
            if instrument is None:
                continue
            if numbers is None:
                instrument.add(trades, scale, watermarks)
            else:
                marks = None if watermarks is None else watermarks[numbers]
                instrument.add(take(trades, numbers), scale, marks)
            self._changes(instrument, self.trades_key)
        if self._channel_starts:
            self._pass_channel(trades.time_ns.tolist(), newest_ns)

    def _instrument(self, symbol: str) -> InstrumentBars | None:
        """An instrument, made if it is new; None when it is in another shard."""
        instrument = self.instruments.get(symbol)
        if instrument is None and symbol not in self._elsewhere:
            if shard_of(self.venue_id, symbol) in self.shards:
                instrument = self.instruments[symbol] = self._make_instrument(symbol)
            elif len(self._elsewhere) < ELSEWHERE_MAX:
                self._elsewhere.add(symbol)
        return instrument

    def _changes(self, instrument: InstrumentBars, key: StreamKey) -> None:
        self.changed.add(instrument)
        self._want_late_days(instrument, key)

    def _want_late_days(self, instrument: InstrumentBars, key: StreamKey) -> None:
        if instrument.events is not None:
            for day_ns in instrument.events.late_days:
                instrument.events.want(day_ns, {key: self.positions[key]})
            instrument.events.late_days.clear()

    def _watch_channel(self, instrument: InstrumentBars) -> None:
        """Note the holes of an instrument that the next trade of any instrument ends."""
        for hole in instrument.coverage.holes:
            if hole.whole_channel and hole.end_ns is None:
                self._channel_starts.append(hole.start_ns)

    def _pass_channel(self, times_ns: Iterable[int], newest_ns: int) -> None:
        """End holes of the whole channel. The first trade that is newer than all before it, and not
        older than the hole, ends it; a repeated trade is never newer."""
        for time_ns in times_ns:
            if time_ns > newest_ns and any(
                start_ns <= time_ns for start_ns in self._channel_starts
            ):
                for instrument in self.instruments.values():
                    instrument.coverage.pass_channel(time_ns)
                self.changed.update(self.instruments.values())
                self._channel_starts = [s for s in self._channel_starts if s > time_ns]
            newest_ns = max(newest_ns, time_ns)
