"""Coverage: the time in which an instrument was watched, from its first trade on, without holes.

A Gap leaves a hole. Where the gap does not state everything, the widest possible hole is assumed: a
missing start is the newest trade before it, a missing end is the next trade after it, and the hole
is open until that trade. When ids show that all trades of a hole came late, the hole is removed
and its time counts again, as does a hole between two consecutive ids.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.bars.trade_ids import NO_ID, TradeIds

HOLES_MAX = 1024
END_OF_TIME_NS = 2**63 - 1

Span = tuple[int, int]
"""From the first time to before the second, ns since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class CoverageHole:
    """A time in which trades may be missing."""

    start_ns: int
    end_ns: int | None
    """None: not known yet."""
    last_id: int = NO_ID
    """Id of the trade before it. NO_ID: not known; the hole can then not be proven filled."""
    first_id: int = NO_ID
    """Id of the trade after it. NO_ID: not known yet."""
    whole_channel: bool = False
    """Whether the next trade of any instrument of the venue ends it."""

    @property
    def span(self) -> Span:
        """Its start and end; open holes last for ever."""
        return self.start_ns, END_OF_TIME_NS if self.end_ns is None else self.end_ns

    @property
    def waits_for_trade(self) -> bool:
        """Whether the next trade of the instrument determines its end or last id."""
        needs_id = self.last_id != NO_ID and self.first_id == NO_ID
        return needs_id or (self.end_ns is None and not self.whole_channel)


class TradeCoverage:
    """The watched time of one instrument.

    At most ``HOLES_MAX`` holes are kept: beyond that the two oldest become one, from the start of
    the first to the end of the second. Coverage is then understated, never overstated.
    """

    def __init__(self, since_ns: int | None = None, holes: Iterable[CoverageHole] = ()) -> None:
        self.since_ns = since_ns
        """Venue time of the first trade. None: no trade yet."""
        self.holes = list(holes)
        self._missing: list[Span] | None = None
        self.touched: list[Span] = []
        """Spans whose coverage has changed. Cleared by the caller that has measured them."""

    def begin(self, time_ns: int) -> None:
        """Start coverage at this venue time, unless it started earlier."""
        if self.since_ns is None:
            self.since_ns = time_ns
        elif time_ns < self.since_ns:
            self.touched.append((time_ns, self.since_ns))
            self.since_ns = time_ns

    def add(self, hole: CoverageHole) -> None:
        if hole in self.holes:
            return
        self.holes.append(hole)
        if len(self.holes) > HOLES_MAX:
            self.holes.sort(key=lambda hole: hole.start_ns)
            first, second, *rest = self.holes
            end_ns = max(first.span[1], second.span[1])
            joined = CoverageHole(first.start_ns, None if end_ns == END_OF_TIME_NS else end_ns)
            self.holes = [joined, *rest]
            self.touched.append(joined.span)
        self._change(hole.span)

    @property
    def waits_for_trade(self) -> bool:
        """Whether the next trade of the instrument determines something about a hole."""
        return any(hole.waits_for_trade for hole in self.holes)

    def pass_trade(self, time_ns: int, trade_id: int) -> None:
        """Note a trade. It ends the holes that wait for one and start before it."""
        for index, hole in enumerate(self.holes):
            if hole.waits_for_trade:
                self._learn(index, self._after_trade(hole, time_ns, trade_id))

    def pass_channel(self, time_ns: int) -> None:
        """Note a trade of any instrument of the venue."""
        for index, hole in enumerate(self.holes):
            if hole.whole_channel and hole.end_ns is None and time_ns >= hole.start_ns:
                self._learn(index, replace(hole, end_ns=time_ns))

    def fill(self, start_ns: int, end_ns: int) -> None:
        """Remove holes between these times: a repair found the trades complete."""
        if self.since_ns is None or end_ns <= start_ns:
            return
        if start_ns < self.since_ns:
            # The time between the repaired span and the first trade was never watched.
            if end_ns < self.since_ns:
                self.holes.append(CoverageHole(end_ns, self.since_ns))
            self._change((start_ns, self.since_ns))
            self.since_ns = start_ns
        rest: list[CoverageHole] = []
        for hole in self.holes:
            left = _without(hole, (start_ns, end_ns))
            if left != [hole]:
                self._change(hole.span)
            rest += left
        self.holes = rest

    def close(self, seen: TradeIds) -> None:
        """Remove holes whose trades were all seen."""
        for hole in self.holes:
            if _is_filled(hole, seen):
                self._change(hole.span)
        self.holes = [hole for hole in self.holes if not _is_filled(hole, seen)]

    def covered_ns(self, start_ns: int, stop_ns: int) -> int:
        """How much of a span was watched, ns."""
        if self.since_ns is None:
            return 0
        start_ns = max(start_ns, self.since_ns)
        if start_ns >= stop_ns:
            return 0
        missing = self._merged()
        covered = stop_ns - start_ns
        for index in range(bisect_right(missing, start_ns, key=_end), len(missing)):
            lost_from, lost_to = missing[index]
            if lost_from >= stop_ns:
                break
            covered -= min(lost_to, stop_ns) - max(lost_from, start_ns)
        return covered

    def _after_trade(self, hole: CoverageHole, time_ns: int, trade_id: int) -> CoverageHole:
        if hole.end_ns is None and not hole.whole_channel and time_ns >= hole.start_ns:
            hole = replace(hole, end_ns=time_ns)
        if hole.last_id != NO_ID and hole.first_id == NO_ID and trade_id > hole.last_id:
            hole = replace(hole, first_id=trade_id)
        return hole

    def _learn(self, index: int, hole: CoverageHole) -> None:
        before, self.holes[index] = self.holes[index], hole
        if before.end_ns != hole.end_ns:
            self._change((hole.span[1], before.span[1]))

    def _change(self, span: Span) -> None:
        self._missing = None
        self.touched.append(span)

    def _merged(self) -> list[Span]:
        """The holes as spans that neither touch nor overlap, ascending."""
        if self._missing is None:
            self._missing = merged(hole.span for hole in self.holes)
        return self._missing


def merged(spans: Iterable[Span]) -> list[Span]:
    """The union of spans, as ascending spans that neither touch nor overlap and are not empty."""
    result: list[Span] = []
    for start_ns, stop_ns in sorted(span for span in spans if span[0] < span[1]):
        if result and start_ns <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], stop_ns))
        else:
            result.append((start_ns, stop_ns))
    return result


def _is_filled(hole: CoverageHole, seen: TradeIds) -> bool:
    return NO_ID not in (hole.last_id, hole.first_id) and seen.has_all(
        hole.last_id + 1, hole.first_id - 1
    )


def _without(hole: CoverageHole, span: Span) -> list[CoverageHole]:
    """The parts of a hole outside a span."""
    start_ns, end_ns = span
    if end_ns <= hole.start_ns or hole.span[1] <= start_ns:
        return [hole]
    left = []
    if hole.start_ns < start_ns:
        left.append(replace(hole, end_ns=start_ns))
    if end_ns < hole.span[1]:
        left.append(replace(hole, start_ns=end_ns))
    return left


def _end(span: Span) -> int:
    return span[1]
