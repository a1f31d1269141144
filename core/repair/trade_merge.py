"""Decides whether a venue's trades join the recorded ones, and which of them were missing.

Pure functions. A venue may return trades out of order, twice, or with impossible times, and a
different trade under a recorded id. A trade counts only if it is proven to belong between the
recorded trades on both sides of a hole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from core.repair.holes import HoleSpan
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

AHEAD_MAX_NS = 5 * NANOSECONDS_PER_SECOND
"""A trade with a later time is left out."""
SAME_TIME_NS = NANOSECONDS_PER_MILLISECOND
"""A venue's history may tell times to the millisecond, where its feed tells them finer."""

SLACK_NS = NANOSECONDS_PER_SECOND
"""Times of trades in the order of their ids may step back a little."""


class TradeConflict(Exception):
    """The venue's trades contradict the record or each other."""


class ExactTrade(NamedTuple):
    """One trade, exact. Times in ns."""

    trade_id: str
    price: Decimal
    size: Decimal
    side: int
    time_ns: int

    @property
    def number(self) -> int:
        """Its id, where that is a number."""
        return int(self.trade_id)

    def __str__(self) -> str:
        side = {1: "buy ", 2: "sell "}.get(self.side, "")
        return f"{side}{self.size} at {self.price}, {self.time_ns} ns"


@dataclass(frozen=True, slots=True)
class VenueTrades:
    """Trades of a venue, in order and each once."""

    trades: Sequence[ExactTrade]
    notes: Sequence[str] = ()
    """What was corrected."""


@dataclass(frozen=True, slots=True)
class TradeMergeResult:
    """How the trades of a venue join the record."""

    missing: Sequence[ExactTrade]
    """Trades that were missing, in order."""
    before: bool
    """Whether the answer joins the recorded trade before the hole."""
    after: bool
    """Whether they join the recorded trade after the hole."""
    lost: tuple[int, int] | None = None
    """The first and the last id that neither the venue nor the record has."""
    notes: Sequence[str] = field(default=())


def in_order(reported: Iterable[ExactTrade], numbered: bool, now_ns: int) -> VenueTrades:
    """An answer without repetitions and impossible times, oldest first. Raises Unjoinable."""
    notes: list[str] = []
    unique: dict[str, ExactTrade] = {}
    count = future = 0
    for trade in reported:
        count += 1
        if trade.time_ns > now_ns + AHEAD_MAX_NS:
            future += 1
        elif unique.setdefault(trade.trade_id, trade) != trade:
            known = unique[trade.trade_id]
            raise TradeConflict(f"trade {trade.trade_id} is reported twice: {known}; {trade}")
    if future:
        notes.append(f"{future} reported with times in the future were left out")
    if count - future > len(unique):
        notes.append(f"{count - future - len(unique)} were reported twice")
    trades = list(unique.values())
    ordered = sorted(trades, key=_number if numbered else _time)
    if ordered != trades:
        notes.append("they were reported out of order")
    return VenueTrades(ordered, notes)


def join_numbers(
    answer: VenueTrades,
    recorded: Sequence[ExactTrade],
    span: HoleSpan,
    after: int,
    consecutive: bool,
) -> TradeMergeResult:
    """Where trades are numbered. ``after`` is the id of the recorded trade on the other side of the
    hole, at least its ``first_id_after``: one that sums up several has the id of the last of them.

    ``recorded`` are all trades from the one before the hole to that one, in order. With
    ``consecutive`` every id between must be reported or recorded. Raises Unjoinable.
    """
    first, last = span.last_id_before, span.first_id_after
    reported = {trade.number: trade for trade in answer.trades}
    numbers = sorted(reported)
    known = {trade.number for trade in recorded}
    covered: set[int] = set()
    bound = first
    for trade in recorded:
        if trade.number in reported:
            parts = () if consecutive else _between(numbers, bound, trade.number)
            covered |= _covered(trade, reported, parts, is_edge=trade.number == first)
        bound = trade.number
    between = [number for number in _between(numbers, first, last) if number not in covered | known]
    missing = [reported[number] for number in between if _is_inside(reported[number], span)]
    had = known.union(covered, (trade.number for trade in missing))
    notes = list(answer.notes)
    if len(missing) < len(between):
        notes.append(f"{len(between) - len(missing)} reported with times outside were left out")
    is_lacking = consecutive or len(missing) < len(between)
    end = min(last, max(numbers[-1] + 1, first + 1)) if numbers else last
    return TradeMergeResult(
        missing=missing,
        before=first in reported and first in known,
        after=after in reported and after in known,
        lost=_lost(first, end, had) if is_lacking else None,
        notes=notes,
    )


def join_equals(
    answer: VenueTrades, recorded: Sequence[ExactTrade], start_time_ns: int, end_time_ns: int
) -> TradeMergeResult:
    """Where ids say nothing: the answer joins where it has a recorded trade of each side, equal in
    everything, and between them nothing can be missing that the venue has. Raises Unjoinable."""
    known = {trade.trade_id: trade for trade in recorded}
    is_known = [_is_same(trade, known) for trade in answer.trades]
    # As they are recorded: a history may round them.
    times = [known.get(trade.trade_id, trade).time_ns for trade in answer.trades]
    instruments = range(len(answer.trades))
    before = max(
        (at for at in instruments if is_known[at] and times[at] <= start_time_ns),
        default=None,
    )
    begin = 0 if before is None else before + 1
    after = min(
        (at for at in instruments[begin:] if is_known[at] and times[at] >= end_time_ns),
        default=None,
    )
    proven = after is not None
    between = [answer.trades[at] for at in instruments[begin:after] if proven and not is_known[at]]
    missing = [
        trade
        for trade in between
        if start_time_ns - SAME_TIME_NS < trade.time_ns < end_time_ns + SAME_TIME_NS
    ]
    notes = list(answer.notes)
    if before is not None and len(missing) < len(between):
        notes.append(f"{len(between) - len(missing)} reported with times outside were left out")
    return TradeMergeResult(missing, before is not None, proven, notes=notes)


def _between(numbers: Sequence[int], first: int, last: int) -> Sequence[int]:
    """Those of sorted numbers that lie between two others."""
    return numbers[bisect_right(numbers, first) : bisect_left(numbers, last)]


def _is_inside(trade: ExactTrade, span: HoleSpan) -> bool:
    return span.start_time_ns - SLACK_NS <= trade.time_ns <= span.end_time_ns + SLACK_NS


def _covered(
    recorded: ExactTrade, reported: Mapping[int, ExactTrade], parts: Sequence[int], is_edge: bool
) -> set[int]:
    """The reported trades that a recorded one stands for: itself, and those of ``parts`` that it
    sums up. Of a sum at the edge only the last part may be reported."""
    itself = reported[recorded.number]
    found, total = {recorded.number}, itself.size
    for number in reversed(parts):
        part = reported[number]
        if total >= recorded.size or (part.price, part.side) != (itself.price, itself.side):
            break
        found.add(number)
        total += part.size
    is_whole = total == recorded.size or (is_edge and total < recorded.size)
    if (itself.price, itself.side) != (recorded.price, recorded.side) or not is_whole:
        raise TradeConflict(
            f"trade {recorded.trade_id} is recorded as {recorded}, reported as {itself}"
        )
    if abs(itself.time_ns - recorded.time_ns) >= SAME_TIME_NS:
        raise TradeConflict(
            f"trade {recorded.trade_id} is recorded as {recorded}, reported as {itself}"
        )
    return found


def _lost(first: int, last: int, had: Iterable[int]) -> tuple[int, int] | None:
    """Hull of the ids between these two that are not among those."""
    between = sorted(number for number in had if first < number < last)
    if len(between) == last - first - 1:
        return None
    low, high = first + 1, last - 1
    for number in between:
        if number != low:
            break
        low += 1
    for number in reversed(between):
        if number != high:
            break
        high -= 1
    return low, high


def _is_same(trade: ExactTrade, known: dict[str, ExactTrade]) -> bool:
    found = known.get(trade.trade_id)
    if found is not None and (
        found[1:4] != trade[1:4] or abs(found.time_ns - trade.time_ns) >= SAME_TIME_NS
    ):
        raise TradeConflict(f"trade {trade.trade_id} is recorded as {found}, reported as {trade}")
    return found is not None


def _number(trade: ExactTrade) -> int:
    return trade.number


def _time(trade: ExactTrade) -> int:
    return trade.time_ns
