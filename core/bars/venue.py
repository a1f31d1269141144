"""The bars of one venue: batches of its trades channel in, bars out, in the order of the stream."""

import heapq
from collections.abc import Container, Iterable, Sequence
from itertools import compress, count

from venuemesh.common.v1 import types_pb2

from core.bars.coverage import Span
from core.bars.instrument import Bar, Instrument
from core.bars.kernel import Trades, take
from core.bars.watermark import Watermark
from kit.columns import SIDE_BUY, Batch, Scale
from kit.cursor import START, Cursor

SCALE_MAX = 36
"""More decimal places than any venue has; beyond them a batch is malformed."""
TIME_NS_MAX = 2**62
"""Venue times are before the year 2116, so that the end of a bar is a 64-bit integer."""

_BOUGHT = bytes(side == SIDE_BUY for side in range(256))


class MalformedBatch(ValueError):
    """A batch contradicts itself."""


class Venue:
    """The instruments of a venue and the watermark of its stream.

    ``take`` gathers, ``fold`` makes bars of what has gathered, ``evict`` lets go of bars that have
    been final for a while. What comes out in the end does not depend on when ``fold`` is called.
    """

    def __init__(
        self,
        venue_id: str,
        watermark: Watermark,
        checkpoints_count: bool,
        position: Cursor = START,
    ) -> None:
        self.venue_id = venue_id
        self.watermark = watermark
        self.position = position
        """The last batch that was taken."""
        self.instruments: dict[str, Instrument] = {}
        self.changed: set[Instrument] = set()
        """Those that trades or gaps have come for since the last fold."""
        self.horizon_ns = 0
        """Bars that ended here or before may be in the database only."""
        self._checkpoints_count = checkpoints_count
        self._channel_starts: list[int] = []
        self._open: list[tuple[int, int, Bar]] = []
        self._evictable: list[tuple[int, int, Bar]] = []
        self._tie_break = count()

    def gap_before(self, cursor: Cursor, batch: Batch) -> types_pb2.Gap | None:
        """What batches that are missing from the stream itself have left, unless the batch says so.

        Batches are numbered without holes; each epoch begins with 1.
        """
        expected = self.position.sequence + 1 if cursor.epoch == self.position.epoch else 1
        if self.position == START or cursor.sequence == expected:
            return None
        if any(not gap.symbol for gap in batch.gaps):
            return None
        return types_pb2.Gap(
            reason=types_pb2.GAP_REASON_CURSOR_EXPIRED,
            detail=f"the stream no longer held what is between {self.position} and {cursor}",
        )

    def take(self, cursor: Cursor, batch: Batch, gaps: Iterable[types_pb2.Gap]) -> int:
        """Take one batch, after the gaps before it. Returns its number of trades.

        Raises MalformedBatch; nothing of the batch then counts, and it has to be skipped.
        """
        trades = _trades(batch)
        self.position = cursor
        for gap in gaps:
            self._add_gap(gap)
        if trades.time_ns:
            self._add_trades(batch, trades)
        elif not batch.gaps and self._checkpoints_count:
            self.watermark.reach(batch.published_time_ns)
        return len(trades.time_ns)

    def skip(self, cursor: Cursor, why: str) -> types_pb2.Gap:
        """Pass over a batch that cannot be read. Returns the gap that this leaves."""
        gap = types_pb2.Gap(reason=types_pb2.GAP_REASON_MALFORMED, detail=why)
        self.position = cursor
        self._add_gap(gap)
        return gap

    @property
    def waits_for_fold(self) -> int:
        """Number of partials that have not become part of bars."""
        return sum(instrument.waits_for_fold for instrument in self.changed)

    def hold(self, bar: Bar) -> None:
        """Watch over a bar that is in memory from now on."""
        heap = self._evictable if bar.final else self._open
        heapq.heappush(heap, (bar.end_ns, next(self._tie_break), bar))

    def fold(self) -> list[Bar]:
        """Make bars of what has gathered. Returns the bars that changed.

        What the instruments call ``unloaded`` must have been restored before.
        """
        changed: dict[Bar, None] = {}
        for instrument in self.changed:
            fold = instrument.fold()
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

    def evict(self, kept_ns: int, busy: Container[Bar]) -> None:
        """Let go of bars that ended this long before the watermark and are not busy."""
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

    def add_instrument(self, instrument: Instrument) -> None:
        """Take an instrument from the database."""
        self.instruments[instrument.symbol] = instrument
        for hole in instrument.coverage.holes:
            if hole.whole_channel and hole.end_ns is None:
                self._channel_starts.append(hole.start_ns)

    def restore(
        self, instrument: Instrument, bars: Iterable[Bar], spans: Iterable[Span] = ()
    ) -> None:
        """Take bars of an instrument from the database: all that there are in these times."""
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

    def _add_trades(self, batch: Batch, trades: Trades) -> None:
        watermarks = self.watermark.pass_trades(trades.time_ns, batch.trades.received_time_ns)
        fresh_rows: list[int] = []
        for place, rows in _rows_by_place(batch.trades.instrument):
            entry = batch.instruments[place]
            instrument = self.instruments.get(entry.symbol)
            if instrument is None:
                instrument = self.instruments[entry.symbol] = Instrument(entry.symbol)
            whole = len(rows) == len(trades.time_ns)
            fresh = instrument.add(
                trades if whole else take(trades, rows),
                Scale(entry.price_scale, entry.size_scale),
                watermarks if whole or watermarks is None else [watermarks[row] for row in rows],
            )
            self.changed.add(instrument)
            if self._channel_starts:
                fresh_rows += rows if fresh is None else compress(rows, fresh)
        if fresh_rows:
            self._pass_channel(trades.time_ns[row] for row in sorted(fresh_rows))

    def _pass_channel(self, times_ns: Iterable[int]) -> None:
        """New trades came. The first that is not older than a hole of the whole channel ends it."""
        for time_ns in times_ns:
            if any(start_ns <= time_ns for start_ns in self._channel_starts):
                for instrument in self.instruments.values():
                    instrument.coverage.pass_channel(time_ns)
                self.changed.update(self.instruments.values())
                self._channel_starts = [s for s in self._channel_starts if s > time_ns]


def _rows_by_place(places: Sequence[int]) -> Iterable[tuple[int, Sequence[int]]]:
    """The rows of each instrument entry, in their order."""
    if len(set(places)) == 1:
        return [(places[0], range(len(places)))]
    rows: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        rows.setdefault(place, []).append(row)
    return rows.items()


def _trades(batch: Batch) -> Trades:
    """The rows of a batch as columns. Raises MalformedBatch."""
    rows = batch.trades
    count = len(rows.instrument)
    columns = (rows.venue_time_ns, rows.received_time_ns, rows.trade_id, rows.price, rows.size)
    if any(len(column) != count for column in (*columns, rows.side)):
        raise MalformedBatch("columns differ in length")
    for entry in batch.instruments:
        if max(entry.price_scale, entry.size_scale) > SCALE_MAX or "\0" in entry.symbol:
            raise MalformedBatch("an instrument entry has an absurd scale or symbol")
    times_ns = list(rows.venue_time_ns)
    if count and (
        max(list(rows.instrument)) >= len(batch.instruments)
        or min(times_ns) < 0
        or max(times_ns) > TIME_NS_MAX
    ):
        raise MalformedBatch("a row refers to no instrument or has an absurd time")
    return Trades(
        times_ns,
        list(rows.trade_id),
        list(rows.price),
        list(rows.size),
        # Sides beyond those known today are one byte, too; what is not BUY did not buy.
        bytes(list(rows.side)).translate(_BOUGHT),
    )
