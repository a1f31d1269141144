"""The newest state of a channel for one reader, instead of every event.

ConflatedRows    the newest row of each instrument
ConflatedBook   the best levels of each instrument, as a snapshot
ConflatedTrades  all trades up to a bound; beyond it the oldest go, and a Gap with OVERFLOW says so

Each gathers batches with ``add`` and gives what is to be sent with ``take``. What it holds is
bounded by the number of instruments and the bound of trades, however slow the reader is.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.cursor import StreamKey, channel_name
from kit.marketdata.book.levels import Levels
from kit.marketdata.delivery.subscription import PublishedBatch, SymbolFilter
from kit.marketdata.model import columns
from kit.marketdata.model.batches import Batch, row_count
from kit.marketdata.model.columns import Scale


class BookTop(NamedTuple):
    """The best levels of a book that is proven."""

    scale: Scale
    epoch: int
    last_sequence: int
    venue_time_ns: int
    received_time_ns: int
    bids: Levels
    asks: Levels


class BookSource(Protocol):
    """Whoever keeps whole books."""

    def top(self, key: StreamKey, symbol: str, depth: int) -> BookTop | None:
        """The book now, None while it cannot be relied on."""


class ConflatedGaps:
    """Gaps that wait. Several of one instrument become one: from the first event before them to
    the first event after the last."""

    def __init__(self) -> None:
        self._gaps: dict[str, types_pb2.Gap] = {}

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def add(self, gaps: Iterable[types_pb2.Gap], symbols: SymbolFilter) -> None:
        """Take those that concern these symbols (none named: all)."""
        for gap in gaps:
            if not symbols or not gap.symbol or gap.symbol in symbols:
                self._join(gap)

    def take(self) -> list[types_pb2.Gap]:
        """All of them; none wait afterwards."""
        gaps = list(self._gaps.values())
        self._gaps.clear()
        return gaps

    def _join(self, gap: types_pb2.Gap) -> None:
        joined = types_pb2.Gap()
        joined.CopyFrom(gap)
        before = self._gaps.get(gap.symbol)
        if before is not None:
            joined.last_id_before = before.last_id_before
            joined.last_time_ns = before.last_time_ns
        self._gaps[gap.symbol] = joined


class ConflatedRows:
    """The newest row of each instrument, for channels whose rows replace each other."""

    def __init__(self, key: StreamKey) -> None:
        self._key = key
        self._column = channel_name(key.channel)
        self._gaps = ConflatedGaps()
        self._newest: dict[tuple[str, RowKind], tuple[batch_pb2.InstrumentEntry, Batch, int]] = {}
        self._published_time_ns = 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._newest or self._gaps)

    def add(self, publication: PublishedBatch, symbols: SymbolFilter) -> None:
        batch = publication.message
        self._published_time_ns = batch.published_time_ns
        self._gaps.add(batch.gaps, symbols)
        rows = getattr(batch, self._column)
        for row, instrument in enumerate(rows.instrument):
            entry = batch.instruments[instrument]
            if not symbols or entry.symbol in symbols:
                key = entry.symbol, _kind(rows, row)
                # Taken out first: what is newest stands last.
                self._newest.pop(key, None)
                self._newest[key] = entry, batch, row

    def take(self) -> Iterator[Batch]:
        merged = Batch(
            venue=self._key.venue,
            channel=self._key.channel,
            gaps=self._gaps.take(),
            published_time_ns=self._published_time_ns,
        )
        target = getattr(merged, self._column)
        for place, (entry, batch, row) in enumerate(self._newest.values()):
            merged.instruments.append(entry)
            for field, column in getattr(batch, self._column).ListFields():
                value = place if field.name == "instrument" else column[row]
                getattr(target, field.name).append(value)
        self._newest.clear()
        yield merged


class ConflatedTrades:
    """All trades, up to ``rows_max`` at a time."""

    def __init__(self, key: StreamKey, rows_max: int) -> None:
        self._key = key
        self._rows_max = rows_max
        self._batches: deque[Batch] = deque()
        self._rows = 0
        self._gaps = ConflatedGaps()
        self._lost: dict[str, int] = {}
        self._sent: dict[str, tuple[int, int]] = {}
        """Id and venue time of the last trade that was sent, by symbol."""

    @property
    def waiting(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._batches)

    def add(self, publication: PublishedBatch, symbols: SymbolFilter) -> None:
        batch = publication.select(symbols)
        if batch is None:
            return
        self._batches.append(batch)
        self._rows += row_count(batch)
        while self._rows > self._rows_max and len(self._batches) > 1:
            self._give_up(self._batches.popleft())

    def take(self) -> Iterator[Batch]:
        """One batch, and one more for each gap on the way."""
        merged: list[Batch] = []
        for batch in self._batches:
            # Gaps stand before the rows of their batch, so each begins a new one.
            if not merged or batch.gaps:
                merged.append(Batch(venue=self._key.venue, channel=self._key.channel))
                merged[-1].gaps.extend(batch.gaps)
            _append_trades(merged[-1], batch)
        if self._lost or self._gaps:
            merged[0].gaps.extend([*self._gaps.take(), *self._overflows(merged)])
        for batch in merged:
            self._note_sent(batch)
        self._batches.clear()
        self._lost.clear()
        self._rows = 0
        yield from merged

    def _give_up(self, batch: Batch) -> None:
        self._rows -= row_count(batch)
        self._gaps.add(batch.gaps, frozenset())
        for instrument in batch.trades.instrument:
            symbol = batch.instruments[instrument].symbol
            self._lost[symbol] = self._lost.get(symbol, 0) + 1

    def _overflows(self, merged: list[Batch]) -> Iterator[types_pb2.Gap]:
        first: dict[str, tuple[int, int]] = {}
        for batch in reversed(merged):
            first.update(_last_trades(batch, reverse=True))
        for symbol, count in self._lost.items():
            last_id, last_time_ns = self._sent.get(symbol, (0, 0))
            first_id, first_time_ns = first.get(symbol, (0, 0))
            yield types_pb2.Gap(
                symbol=symbol,
                reason=types_pb2.GAP_REASON_OVERFLOW,
                last_id_before=last_id,
                first_id_after=first_id,
                last_time_ns=last_time_ns,
                first_time_ns=first_time_ns,
                detected_time_ns=merged[-1].published_time_ns,
                detail=f"{count} trades were more than one interval may bring",
            )

    def _note_sent(self, batch: Batch) -> None:
        self._sent.update(_last_trades(batch))


class ConflatedBook:
    """Which books have changed. Their levels are looked up when they are sent."""

    def __init__(self, key: StreamKey, books: BookSource, depth: int) -> None:
        self._key = key
        self._books = books
        self._depth = depth
        self._changed: dict[str, None] = {}
        self._gaps = ConflatedGaps()
        self._published_time_ns = 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._changed or self._gaps)

    @property
    def urgent(self) -> bool:
        """Whether the reader holds a book that it must no longer rely on."""
        return bool(self._gaps)

    def add(self, publication: PublishedBatch, symbols: SymbolFilter) -> None:
        batch = publication.message
        self._published_time_ns = batch.published_time_ns
        self._gaps.add(batch.gaps, symbols)
        for entry in batch.instruments:
            if not symbols or entry.symbol in symbols:
                self._changed[entry.symbol] = None

    def changed(self, symbol: str) -> None:
        """A book is there, or is there again, without a batch that says so."""
        self._changed[symbol] = None

    def take_gaps(self) -> Iterator[Batch]:
        """One batch with the gaps, if there are any."""
        if self._gaps:
            batch = self._batch()
            batch.gaps.extend(self._gaps.take())
            yield batch

    def take(self) -> Iterator[Batch]:
        """One batch with the gaps, then one for each book that changed and is not in doubt. A book
        in doubt comes when it is proven: then it changes again."""
        yield from self.take_gaps()
        changed, self._changed = self._changed, {}
        for symbol in changed:
            top = self._books.top(self._key, symbol, self._depth)
            if top is not None:
                batch = self._batch()
                batch.instruments.append(columns.instrument_entry(symbol, top.scale))
                batch.book.CopyFrom(_snapshot(top))
                yield batch

    def _batch(self) -> Batch:
        return Batch(
            venue=self._key.venue,
            channel=self._key.channel,
            published_time_ns=self._published_time_ns,
        )


RowKind = tuple[object, ...]


def _kind(rows: Any, row: int) -> RowKind:
    """Rows of one instrument that do not replace each other: candles of other intervals, and marks
    of venues that tell mark price, index and funding one by one."""
    if isinstance(rows, batch_pb2.CandleColumns):
        return (rows.interval_s[row],)
    if isinstance(rows, batch_pb2.MarkColumns):
        says = rows.mark_price[row], rows.index_price[row], rows.next_funding_time_ns[row]
        return tuple(map(bool, says))
    return ()


def _append_trades(merged: Batch, batch: Batch) -> None:
    """Add the rows of a batch, whose instruments may stand at other positions."""
    known = {_entry_key(entry): place for place, entry in enumerate(merged.instruments)}
    moved = []
    for entry in batch.instruments:
        if _entry_key(entry) not in known:
            known[_entry_key(entry)] = len(known)
            merged.instruments.append(entry)
        moved.append(known[_entry_key(entry)])
    for field, column in batch.trades.ListFields():
        if field.name == "instrument":
            column = [moved[instrument] for instrument in column]
        getattr(merged.trades, field.name).extend(column)
    merged.published_time_ns = batch.published_time_ns


def _entry_key(entry: batch_pb2.InstrumentEntry) -> tuple[str, int, int]:
    return entry.symbol, entry.price_scale, entry.size_scale


def _last_trades(batch: Batch, reverse: bool = False) -> dict[str, tuple[int, int]]:
    """Id and venue time of the last (or first) trade of each symbol."""
    trades = batch.trades
    rows = list(zip(trades.instrument, trades.trade_id, trades.venue_time_ns, strict=False))
    last = {row[0]: row[1:] for row in (reversed(rows) if reverse else rows)}
    return {batch.instruments[instrument].symbol: value for instrument, value in last.items()}


def _snapshot(top: BookTop) -> batch_pb2.BookColumns:
    levels = [*top.bids, *top.asks]
    return batch_pb2.BookColumns(
        instrument=[0],
        first_sequence=[top.last_sequence],
        last_sequence=[top.last_sequence],
        snapshot=[True],
        book_epoch=[top.epoch],
        venue_time_ns=[top.venue_time_ns],
        received_time_ns=[top.received_time_ns],
        bid_count=[len(top.bids)],
        ask_count=[len(top.asks)],
        price=[price for price, _ in levels],
        size=[size for _, size in levels],
    )
