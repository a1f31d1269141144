"""The bars of one venue: batches of its trades channel in, bars out, in the order of the stream."""

import heapq
from collections.abc import Container, Iterable
from itertools import compress, count

from venuemesh.common.v1 import types_pb2

from core.bars.coverage import Span
from core.bars.instrument import Bar, Instrument
from core.bars.kernel import take
from core.bars.rows import Rows, read_rows
from core.bars.watermark import Watermark
from kit.batches import Batch
from kit.cursor import START, Cursor


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
        rows = read_rows(batch)
        self.position = cursor
        for gap in gaps:
            self._add_gap(gap)
        if rows.parts:
            self._add_rows(rows)
        elif not batch.gaps and self._checkpoints_count:
            self.watermark.reach(batch.published_time_ns)
        return len(rows.received_ns)

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

    def _add_rows(self, rows: Rows) -> None:
        trades = rows.trades
        watermarks = self.watermark.pass_trades(trades.time_ns, rows.received_ns)
        fresh_rows: list[int] = []
        for symbol, scale, numbers in rows.parts:
            instrument = self.instruments.get(symbol)
            if instrument is None:
                instrument = self.instruments[symbol] = Instrument(symbol)
            if numbers is None:
                fresh = instrument.add(trades, scale, watermarks)
            else:
                marks = None if watermarks is None else [watermarks[row] for row in numbers]
                fresh = instrument.add(take(trades, numbers), scale, marks)
            self.changed.add(instrument)
            if self._channel_starts:
                those = range(len(trades.time_ns)) if numbers is None else numbers
                fresh_rows += those if fresh is None else compress(those, fresh)
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
