"""The outcome of a decision, from recorded bars: which of three barriers the price reached first,
the take-profit, the stop or the time limit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2

from core.advisor.amounts import positive
from core.advisor.decision_case import FLIP, OPEN, SIDES


class Barrier(StrEnum):
    """What ended the wait for an outcome."""

    TARGET = "target"
    STOP = "stop"
    TIME_LIMIT = "time_limit"
    UNKNOWN = "unknown"
    """The record does not show what came first."""


class BarrierOutcome(NamedTuple):
    """The outcome of a decision."""

    barrier: Barrier
    time_ns: int
    """End of the bar that shows it."""
    price: Decimal | None = None
    """The barrier's price; at the time limit the last close. None: unknown."""
    is_won: bool | None = None
    """Whether the price is better than at the decision. None: unknown."""
    reason: str = ""
    """Why it is unknown, or counts as the stop."""


@dataclass(frozen=True, slots=True)
class Barriers:
    """The barriers of a decision. A price that is None is never reached."""

    is_long: bool
    entry: Decimal
    stop: Decimal | None
    target: Decimal | None
    start_ns: int
    limit_ns: int

    @classmethod
    def of(
        cls, intent: decisions_pb2.ExecutionIntent, decided_ns: int, limit_ns: int
    ) -> "Barriers | None":
        """The barriers of an entry. None if the intent is none, or has no price."""
        entry = positive(intent.reference_price)
        if intent.action not in (OPEN, FLIP) or intent.side not in SIDES or entry is None:
            return None
        stop, target = positive(intent.stop_price), positive(intent.target_price)
        is_long = intent.side == types_pb2.SIDE_BUY
        return cls(is_long, entry, stop, target, decided_ns, limit_ns)

    def stop_reached(self, worst: Decimal) -> bool:
        return self.stop is not None and (
            worst <= self.stop if self.is_long else worst >= self.stop
        )

    def target_reached(self, best: Decimal) -> bool:
        return self.target is not None and (
            best >= self.target if self.is_long else best <= self.target
        )


def barrier_outcome(
    barriers: Barriers, bars: Sequence[bars_pb2.Bar], gaps: Iterable[range], known_until_ns: int
) -> BarrierOutcome | None:
    """The outcome; None if it is still open.

    ``bars``: time bars of one interval, oldest first, which are final. ``gaps``: times that are not
    recorded, ns. ``known_until_ns``: end of the time for which bars and gaps are complete; later
    ones are not looked at. The bars that end by the time limit count.
    """
    end_ns = min(barriers.limit_ns, known_until_ns)
    within = [bar for bar in bars if barriers.start_ns < bar.close_time_ns <= end_ns]
    found = next((one for bar in within if (one := _reached(barriers, bar))), None)
    if found is None and known_until_ns < barriers.limit_ns:
        return None
    if found is None:
        found = _at_time_limit(barriers, within)
    gap = _first_gap(barriers, gaps, found.time_ns)
    if gap is None:
        return found
    reason = f"nothing is recorded from {gap.start} to {gap.stop}"
    return BarrierOutcome(Barrier.UNKNOWN, found.time_ns, reason=reason)


def _reached(barriers: Barriers, bar: bars_pb2.Bar) -> BarrierOutcome | None:
    """The outcome within a bar."""
    first, high, low = positive(bar.open), positive(bar.high), positive(bar.low)
    if first is None or high is None or low is None:
        reason = "a bar has no prices"
        return BarrierOutcome(Barrier.UNKNOWN, bar.close_time_ns, reason=reason)
    best, worst = (high, low) if barriers.is_long else (low, high)
    is_stop, is_target = barriers.stop_reached(worst), barriers.target_reached(best)
    if not is_stop and not is_target:
        return None
    if bar.open_time_ns < barriers.start_ns:
        # Its prices may be from before the decision.
        reason = "a barrier was reached in the bar in which the decision was made"
        return BarrierOutcome(Barrier.UNKNOWN, bar.close_time_ns, reason=reason)
    both = is_stop and is_target
    if is_target and (not both or barriers.target_reached(first)):
        return BarrierOutcome(Barrier.TARGET, bar.close_time_ns, barriers.target, True)
    # A bar does not show whether its high or its low came first. A win too many makes later
    # convictions too high, which costs money; a loss too many makes them too low, which costs an
    # entry. To drop such outcomes would drop those of wild markets first.
    is_sure = not both or barriers.stop_reached(first)
    reason = "" if is_sure else "the take-profit was reached in the same bar"
    is_won = _is_better(barriers, barriers.stop)
    return BarrierOutcome(Barrier.STOP, bar.close_time_ns, barriers.stop, is_won, reason)


def _at_time_limit(barriers: Barriers, bars: Sequence[bars_pb2.Bar]) -> BarrierOutcome:
    price = positive(bars[-1].close) if bars else None
    if price is None:
        reason = "no trade is recorded until the time limit"
        return BarrierOutcome(Barrier.UNKNOWN, barriers.limit_ns, reason=reason)
    is_won = _is_better(barriers, price)
    return BarrierOutcome(Barrier.TIME_LIMIT, barriers.limit_ns, price, is_won)


def _is_better(barriers: Barriers, price: Decimal | None) -> bool:
    if price is None:
        return False
    return price > barriers.entry if barriers.is_long else price < barriers.entry


def _first_gap(barriers: Barriers, gaps: Iterable[range], end_ns: int) -> range | None:
    """The first gap between the decision and the outcome."""
    found = [gap for gap in gaps if gap.stop > barriers.start_ns and gap.start < end_ns]
    return min(found, key=lambda gap: gap.start, default=None)
