"""Finds missing rows: trades by their ids, quotes by growing ids or times.

Rows go in; gaps, each with the rows that follow it, come out. NumPy checks the usual case, where
every row follows the one before, for all rows at once; otherwise rows are checked one by one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import IntColumn
from kit.marketdata.model.columns import QuoteRows, TradeRows

TEXT_IDS_MAX = 5_000
"""Ids remembered per instrument: more than a venue sends again."""
HOLES_MAX = 256
"""Open holes per instrument; a late trade of an older hole counts as a duplicate."""

RowsT = TypeVar("RowsT", TradeRows, QuoteRows)


@dataclass(frozen=True, slots=True)
class CheckedRows(Generic[RowsT]):
    """Gaps, and the rows after them."""

    gaps: list[types_pb2.Gap]
    rows: RowsT


class RowSequenceNumbers(NamedTuple):
    """The numbers that show how rows follow each other."""

    number: IntColumn
    before: IntColumn | None
    """The number of the row that must come before; None where numbers only grow."""
    may_repeat: bool = False
    """Whether a growing number may repeat."""


class LastRow(NamedTuple):
    """The newest row of an instrument."""

    number: int
    time_ns: int
    reconnected: bool
    """Whether the connection was made again since."""


@dataclass(slots=True)
class _Seen:
    """The newest row of an instrument."""

    id: int = 0
    time_ns: int = 0
    reconnected: bool = False
    holes: list[tuple[int, int]] = field(default_factory=list)
    repeated_up_to: int = 0
    """Rows of the current connection up to this number were received over the previous one."""


class RowCheckResult(NamedTuple):
    """Whether to keep a row, and the reason of the gap before it, if there is one."""

    keep: bool
    reason: "types_pb2.GapReason.ValueType | None" = None


class ContinuityChecker(Generic[RowsT]):
    """The newest number of each instrument of a channel, and what is missing before it."""

    def __init__(self, links: Callable[[RowsT], RowSequenceNumbers]) -> None:
        self._links: Callable[[RowsT], RowSequenceNumbers] = links
        self._seen: dict[str, _Seen] = {}
        self.dropped_total = 0
        """Number of dropped rows: duplicates, and quotes older than the newest one."""

    def reconnected(self, symbols: Iterable[str]) -> None:
        """These instruments have a new connection; their next row shows what was missed."""
        for symbol in symbols:
            if symbol in self._seen:
                self._seen[symbol].reconnected = True

    def connection_replaced(self) -> None:
        """Another connection delivers from now on. Until it has caught up with the previous one,
        its older rows are repetitions, not late rows."""
        for seen in self._seen.values():
            seen.repeated_up_to = seen.id

    def check(self, rows: RowsT) -> list[CheckedRows[RowsT]]:
        """The rows to keep, split where rows are missing."""
        links, times = self._links(rows), times_of(rows)
        if self._whole(rows, links, times):
            return [CheckedRows([], rows)]
        return self._row_by_row(rows, links, times)

    def is_whole(self, rows: RowsT) -> bool:
        """Whether every row follows the one before; only then the rows count as seen."""
        return self._whole(rows, self._links(rows), times_of(rows))

    def without_known(self, rows: RowsT) -> RowsT:
        """Drop rows that another connection has brought: their numbers are not above the newest
        one, and nothing older of the instrument is missing."""
        number = self._links(rows).number
        known = np.zeros(len(rows.symbols.names), dtype=np.int64)
        for place, name in enumerate(rows.symbols.names):
            seen = self._seen.get(name)
            if seen is not None and not seen.holes:
                known[place] = seen.id
        fresh = np.flatnonzero(number > known[rows.symbols.row])
        if len(fresh) == len(rows):
            return rows
        self.dropped_total += len(rows) - len(fresh)
        return rows.take(fresh)

    def last(self, symbol: str) -> LastRow | None:
        """The newest row of an instrument; None before the first."""
        seen = self._seen.get(symbol)
        return None if seen is None else LastRow(seen.id, seen.time_ns, seen.reconnected)

    def _whole(self, rows: RowsT, links: RowSequenceNumbers, times: IntColumn) -> bool:
        parts = list(rows.symbols.rows_of())
        if not all(self._joins(name, links, part) for name, part in parts):
            return False
        for name, part in parts:
            newest = part[-1]
            self._advance(name, int(links.number[newest]), int(times[newest]))
        return True

    def _joins(self, symbol: str, links: RowSequenceNumbers, part: IntColumn) -> bool:
        seen = self._seen.get(symbol)
        if seen is not None:
            if seen.reconnected:
                return False
            if not _follows(seen.id, links, int(part[0])):
                return False
        return len(part) == 1 or _all_follow(links, part)

    def _row_by_row(
        self, rows: RowsT, links: RowSequenceNumbers, times: IntColumn
    ) -> list[CheckedRows[RowsT]]:
        starts: list[tuple[int, types_pb2.Gap]] = []
        kept: list[int] = []
        for row, symbol in enumerate(rows.symbols.per_row()):
            number, time_ns = int(links.number[row]), int(times[row])
            seen = self._seen.get(symbol)
            verdict = RowCheckResult(True) if seen is None else _judge(seen, links, row)
            if seen is not None and verdict.reason is not None:
                gap = types_pb2.Gap(
                    symbol=symbol,
                    reason=verdict.reason,
                    last_id_before=seen.id,
                    first_id_after=number if links.before is None else int(links.before[row]) + 1,
                    last_time_ns=seen.time_ns,
                    first_time_ns=time_ns,
                    detected_time_ns=int(rows.received_time_ns[row]),
                )
                starts.append((len(kept), gap))
            if seen is None or number >= seen.id:
                self._advance(symbol, number, time_ns)
            if verdict.keep:
                kept.append(row)
            else:
                self.dropped_total += 1
        return cut(rows, kept, starts)

    def _advance(self, symbol: str, number: int, time_ns: int) -> None:
        seen = self._seen.setdefault(symbol, _Seen())
        seen.id, seen.time_ns, seen.reconnected = number, time_ns, False
        if number > seen.repeated_up_to:
            seen.repeated_up_to = 0


def trade_continuity() -> ContinuityChecker[TradeRows]:
    """For ids that follow each other. A late trade that fills a hole is kept; any other old one is
    a duplicate."""
    return ContinuityChecker(lambda rows: RowSequenceNumbers(rows.trade_id, rows.previous_id))


def quote_continuity() -> ContinuityChecker[QuoteRows]:
    """For ids that grow, or times where there are no ids. A quote older than the newest one is
    dropped: it is no longer true."""
    return ContinuityChecker(_quote_links)


def _quote_links(rows: QuoteRows) -> RowSequenceNumbers:
    if rows.sequence[0]:
        return RowSequenceNumbers(rows.sequence, None)
    return RowSequenceNumbers(times_of(rows), None, may_repeat=True)


def _follows(last: int, links: RowSequenceNumbers, row: int) -> bool:
    if links.before is not None:
        return int(links.before[row]) == last
    number = int(links.number[row])
    return number > last or (links.may_repeat and number == last)


def _all_follow(links: RowSequenceNumbers, part: IntColumn) -> bool:
    number = links.number[part]
    if links.before is not None:
        return bool((links.before[part[1:]] == number[:-1]).all())
    grown = number[1:] - number[:-1]
    return bool((grown >= (0 if links.may_repeat else 1)).all())


def _judge(seen: _Seen, links: RowSequenceNumbers, row: int) -> RowCheckResult:
    number = int(links.number[row])
    if links.before is None:
        return _judge_growing(seen, number, links.may_repeat)
    before = int(links.before[row])
    if before <= seen.id < number:
        # Usually they are equal; an aggregate trade may overlap after a reconnect.
        return RowCheckResult(True)
    if number > seen.id:
        seen.holes.append((seen.id + 1, before))
        del seen.holes[:-HOLES_MAX]
        missed = types_pb2.GAP_REASON_RECONNECT
        return RowCheckResult(True, missed if seen.reconnected else types_pb2.GAP_REASON_SEQUENCE)
    for index, (first, last) in enumerate(seen.holes):
        if first <= number <= last:
            rest = [(first, before), (number + 1, last)]
            seen.holes[index : index + 1] = [hole for hole in rest if hole[0] <= hole[1]]
            return RowCheckResult(True, types_pb2.GAP_REASON_OUT_OF_ORDER)
    return RowCheckResult(False)


def _judge_growing(seen: _Seen, number: int, may_repeat: bool) -> RowCheckResult:
    if number > seen.id or (may_repeat and number == seen.id):
        return RowCheckResult(True, types_pb2.GAP_REASON_RECONNECT if seen.reconnected else None)
    is_late = number < seen.id and not seen.repeated_up_to
    return RowCheckResult(False, types_pb2.GAP_REASON_OUT_OF_ORDER if is_late else None)


class TextIdContinuityChecker:
    """Trades with text ids: repeated ones are dropped; missing ones cannot be seen."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, None]] = {}
        self._newest: dict[str, int] = {}
        self._gap_end_ns: dict[str, int] = {}
        self._reconnected: set[str] = set()
        self.dropped_total = 0
        """Number of repeated trades."""

    def reconnected(self, symbols: Iterable[str]) -> None:
        """These instruments have a new connection: trades may have been missed."""
        self._reconnected.update(symbol for symbol in symbols if symbol in self._known)

    def may_miss(self, symbol: str) -> bool:
        """Whether trades before the next one may have been missed."""
        return symbol in self._reconnected

    def missed_nothing(self, symbol: str) -> None:
        """The trades that were missed since the last connection are there now."""
        self._reconnected.discard(symbol)

    def gap_end_ns(self, symbol: str) -> int:
        """Time of the first trade after the newest published gap; 0 without a gap."""
        return self._gap_end_ns.get(symbol, 0)

    def knows(self, symbol: str, trade_id: str) -> bool:
        """Whether this trade was seen lately."""
        return trade_id in self._known.get(symbol, ())

    def check(self, rows: TradeRows) -> list[CheckedRows[TradeRows]]:
        """The rows to keep, split where rows may be missing."""
        assert rows.trade_id_text is not None
        starts: list[tuple[int, types_pb2.Gap]] = []
        kept: list[int] = []
        times = times_of(rows)
        for row, symbol in enumerate(rows.symbols.per_row()):
            known = self._known.setdefault(symbol, {})
            if rows.trade_id_text[row] in known:
                self.dropped_total += 1
                continue
            if symbol in self._reconnected:
                self._reconnected.discard(symbol)
                self._gap_end_ns[symbol] = int(times[row])
                starts.append((len(kept), self._gap(symbol, rows, row, int(times[row]))))
            known[rows.trade_id_text[row]] = None
            if len(known) > TEXT_IDS_MAX:
                del known[next(iter(known))]
            self._newest[symbol] = int(times[row])
            kept.append(row)
        if len(kept) == len(rows) and not starts:
            return [CheckedRows([], rows)]
        return cut(rows, kept, starts)

    def _gap(self, symbol: str, rows: TradeRows, row: int, time_ns: int) -> types_pb2.Gap:
        return types_pb2.Gap(
            symbol=symbol,
            reason=types_pb2.GAP_REASON_RECONNECT,
            last_time_ns=self._newest[symbol],
            first_time_ns=time_ns,
            detected_time_ns=int(rows.received_time_ns[row]),
        )


def without_spent(segment: CheckedRows[TradeRows]) -> CheckedRows[TradeRows]:
    """Drop ids that belong to no trade; the same rows when there are none."""
    rows = segment.rows
    if rows.spent is None or not rows.spent.any():
        return segment
    return CheckedRows(segment.gaps, rows.take(np.flatnonzero(rows.spent == 0)))


def without_overtaken(segment: CheckedRows[RowsT]) -> CheckedRows[RowsT]:
    """Drop OUT_OF_ORDER gaps: repeated rows from another connection are late by nature."""
    gaps = [gap for gap in segment.gaps if gap.reason != types_pb2.GAP_REASON_OUT_OF_ORDER]
    return segment if len(gaps) == len(segment.gaps) else CheckedRows(gaps, segment.rows)


def times_of(rows: TradeRows | QuoteRows) -> IntColumn:
    """Venue time, or receive time where the venue does not say."""
    return np.where(rows.venue_time_ns > 0, rows.venue_time_ns, rows.received_time_ns)


def cut(
    rows: RowsT, kept: list[int], starts: list[tuple[int, types_pb2.Gap]]
) -> list[CheckedRows[RowsT]]:
    """Split the kept rows at the places where gaps are."""
    gaps_at: dict[int, list[types_pb2.Gap]] = {}
    for place, gap in starts:
        gaps_at.setdefault(place, []).append(gap)
    places: list[int] = sorted({0, *gaps_at})
    segments: list[CheckedRows[RowsT]] = []
    for place, stop in zip(places, [*places[1:], len(kept)], strict=True):
        part = rows.take(np.array(kept[place:stop], dtype=np.int64))
        if len(part) or place in gaps_at:
            segments.append(CheckedRows(gaps_at.get(place, []), part))
    return segments
