"""Whether anything is missing: trades by their consecutive ids, quotes by their growing ids.

Rows go in, segments come out: each a set of gaps and the rows that follow them. The usual case,
where every id follows the one before, is checked by numpy for the whole row set; only a set with
something odd in it is looked at row by row.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.columns import QuoteRows, TradeRows
from kit.numbers import IntColumn

HOLES_MAX = 256
"""Open holes remembered per instrument; a late trade of an older hole counts as a duplicate."""

RowsT = TypeVar("RowsT", TradeRows, QuoteRows)


@dataclass(frozen=True, slots=True)
class Segment(Generic[RowsT]):
    """Gaps, and the rows after them."""

    gaps: list[types_pb2.Gap]
    rows: RowsT


@dataclass(slots=True)
class _Seen:
    """The newest row of an instrument."""

    id: int = 0
    time_ns: int = 0
    reconnected: bool = False
    holes: list[tuple[int, int]] = field(default_factory=list)


Verdict = tuple[bool, types_pb2.Gap | None]
"""Whether to keep a row, and the gap before it."""


class Continuity(Generic[RowsT]):
    """The newest id of each instrument of a channel, and what is missing before it."""

    def __init__(
        self,
        ids: Callable[[RowsT], IntColumn],
        judge: Callable[[_Seen, int], tuple[bool, "types_pb2.GapReason.ValueType | None"]],
        usual: Callable[[IntColumn], bool],
    ) -> None:
        self._ids: Callable[[RowsT], IntColumn] = ids
        self._judge = judge
        self._usual = usual
        self._seen: dict[str, _Seen] = {}
        self.dropped_total = 0
        """Rows left out: duplicates, and quotes that a newer one had overtaken."""

    def reconnected(self, symbols: Iterable[str]) -> None:
        """These instruments have a new connection; their next row tells what was missed."""
        for symbol in symbols:
            if symbol in self._seen:
                self._seen[symbol].reconnected = True

    def check(self, rows: RowsT) -> list[Segment[RowsT]]:
        """The rows to keep, in segments that begin where something is missing."""
        ids, times = self._ids(rows), _times(rows)
        parts = list(rows.symbols.rows_of())
        if all(self._joins(name, ids[part]) for name, part in parts):
            for name, part in parts:
                self._advance(name, int(ids[part][-1]), int(times[part][-1]))
            return [Segment([], rows)]
        return self._row_by_row(rows, ids, times)

    def _joins(self, symbol: str, ids: IntColumn) -> bool:
        seen = self._seen.get(symbol)
        if seen is None:
            return self._usual(ids)
        return not seen.reconnected and self._usual(np.concatenate(([seen.id], ids)))

    def _row_by_row(self, rows: RowsT, ids: IntColumn, times: IntColumn) -> list[Segment[RowsT]]:
        starts: list[tuple[int, types_pb2.Gap]] = []
        kept: list[int] = []
        for row, symbol in enumerate(rows.symbols.per_row()):
            keep, gap = self._row(symbol, int(ids[row]), int(times[row]), rows, row)
            if gap is not None:
                starts.append((len(kept), gap))
            if keep:
                kept.append(row)
            else:
                self.dropped_total += 1
        return _cut(rows, kept, starts)

    def _row(self, symbol: str, number: int, time_ns: int, rows: RowsT, row: int) -> Verdict:
        seen = self._seen.get(symbol)
        if seen is None:
            self._advance(symbol, number, time_ns)
            return True, None
        keep, reason = self._judge(seen, number)
        gap = None
        if reason is not None:
            gap = types_pb2.Gap(
                symbol=symbol,
                reason=reason,
                last_id_before=seen.id,
                first_id_after=number,
                last_time_ns=seen.time_ns,
                first_time_ns=time_ns,
                detected_time_ns=int(rows.received_time_ns[row]),
            )
        if number > seen.id:
            self._advance(symbol, number, time_ns)
        return keep, gap

    def _advance(self, symbol: str, number: int, time_ns: int) -> None:
        seen = self._seen.setdefault(symbol, _Seen())
        seen.id, seen.time_ns, seen.reconnected = number, time_ns, False


def trade_continuity() -> Continuity[TradeRows]:
    """Ids grow by one. A late trade that fills a hole is kept, any other old one is a duplicate."""
    return Continuity(
        ids=lambda rows: rows.trade_id,
        judge=_judge_trade,
        usual=lambda ids: bool((np.diff(ids) == 1).all()),
    )


def quote_continuity() -> Continuity[QuoteRows]:
    """Ids grow. A quote that a newer one has overtaken is not passed on: it is wrong by now."""
    return Continuity(
        ids=lambda rows: rows.sequence,
        judge=_judge_quote,
        usual=lambda ids: bool((np.diff(ids) > 0).all()),
    )


def _judge_trade(seen: _Seen, number: int) -> tuple[bool, "types_pb2.GapReason.ValueType | None"]:
    if number == seen.id + 1:
        return True, None
    if number > seen.id:
        seen.holes.append((seen.id + 1, number - 1))
        del seen.holes[:-HOLES_MAX]
        missed = types_pb2.GAP_REASON_RECONNECT
        return True, missed if seen.reconnected else types_pb2.GAP_REASON_SEQUENCE
    for index, (first, last) in enumerate(seen.holes):
        if first <= number <= last:
            rest = [(first, number - 1), (number + 1, last)]
            seen.holes[index : index + 1] = [hole for hole in rest if hole[0] <= hole[1]]
            return True, types_pb2.GAP_REASON_OUT_OF_ORDER
    return False, None


def _judge_quote(seen: _Seen, number: int) -> tuple[bool, "types_pb2.GapReason.ValueType | None"]:
    if number > seen.id:
        return True, types_pb2.GAP_REASON_RECONNECT if seen.reconnected else None
    return False, types_pb2.GAP_REASON_OUT_OF_ORDER if number < seen.id else None


def _times(rows: TradeRows | QuoteRows) -> IntColumn:
    """Venue time, or receive time where the venue does not say."""
    return np.where(rows.venue_time_ns > 0, rows.venue_time_ns, rows.received_time_ns)


def _cut(
    rows: RowsT, kept: list[int], starts: list[tuple[int, types_pb2.Gap]]
) -> list[Segment[RowsT]]:
    """Split the kept rows at the places where gaps are."""
    gaps_at: dict[int, list[types_pb2.Gap]] = {}
    for place, gap in starts:
        gaps_at.setdefault(place, []).append(gap)
    places: list[int] = sorted({0, *gaps_at})
    segments: list[Segment[RowsT]] = []
    for place, stop in zip(places, [*places[1:], len(kept)], strict=True):
        part = rows.take(np.array(kept[place:stop], dtype=np.int64))
        if len(part) or place in gaps_at:
            segments.append(Segment(gaps_at.get(place, []), part))
    return segments
