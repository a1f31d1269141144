"""Holes and repair jobs."""

from dataclasses import dataclass
from typing import TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.repair.v1 import repair_pb2

HoleState: TypeAlias = "repair_pb2.HoleState.ValueType"
HoleSource: TypeAlias = "repair_pb2.HoleSource.ValueType"
JobState: TypeAlias = "repair_pb2.RepairState.ValueType"

OPEN = repair_pb2.HOLE_STATE_OPEN
IN_REPAIR = repair_pb2.HOLE_STATE_IN_REPAIR
FILLED = repair_pb2.HOLE_STATE_FILLED
UNAVAILABLE = repair_pb2.HOLE_STATE_UNAVAILABLE

QUEUED = repair_pb2.REPAIR_STATE_QUEUED
RUNNING = repair_pb2.REPAIR_STATE_RUNNING
DONE = repair_pb2.REPAIR_STATE_DONE
INCOMPLETE = repair_pb2.REPAIR_STATE_INCOMPLETE
CANCELLED = repair_pb2.REPAIR_STATE_CANCELLED
LIVE = (QUEUED, RUNNING)


@dataclass(frozen=True, slots=True)
class HoleSpan:
    """The recorded trades on both sides of a hole. Times are venue times in ns."""

    start_time_ns: int
    end_time_ns: int
    last_id_before: int = 0
    first_id_after: int = 0

    @property
    def has_ids(self) -> bool:
        """Whether ids state what is missing."""
        return self.last_id_before > 0 and self.first_id_after > 0

    def overlaps(self, other: "HoleSpan") -> bool:
        """Return whether they overlap in time; two that share an edge do not."""
        return self.start_time_ns < other.end_time_ns and other.start_time_ns < self.end_time_ns


@dataclass(frozen=True, slots=True)
class Hole:
    """A span in which trades are, or may be, missing."""

    hole_id: str
    venue: str
    symbol: str
    source: HoleSource
    state: HoleState
    span: HoleSpan
    reason: "types_pb2.GapReason.ValueType"
    found_time_ns: int
    attempt_count: int = 0
    told_id: int = 0
    """The venue's trades up to this id were published."""
    known_count: int | None = None
    """Trades that were recorded within it when a job first took it up."""
    repair_id: str = ""
    detail: str = ""

    def message(self) -> repair_pb2.Hole:
        return repair_pb2.Hole(
            hole_id=self.hole_id,
            venue=self.venue,
            symbol=self.symbol,
            source=self.source,
            state=self.state,
            start_time_ns=self.span.start_time_ns,
            end_time_ns=self.span.end_time_ns,
            last_id_before=self.span.last_id_before,
            first_id_after=self.span.first_id_after,
            reason=self.reason,
            found_time_ns=self.found_time_ns,
            detail=self.detail,
        )


def new_hole(
    venue: str,
    symbol: str,
    source: HoleSource,
    span: HoleSpan,
    now_ns: int,
    reason: "types_pb2.GapReason.ValueType" = types_pb2.GAP_REASON_UNSPECIFIED,
    detail: str = "",
) -> Hole:
    """Return a hole that was just found. The same span always gets the same id."""
    instrument = (
        f"{span.last_id_before}-{span.first_id_after}"
        if span.has_ids
        else f"{span.start_time_ns}ns-{span.end_time_ns}ns"
    )
    return Hole(
        hole_id=f"{venue}:{symbol}:{instrument}",
        venue=venue,
        symbol=symbol,
        source=source,
        state=OPEN,
        span=span,
        reason=reason,
        found_time_ns=now_ns,
        detail=detail,
    )


@dataclass(frozen=True, slots=True)
class RepairJob:
    """The repair of the holes of one instrument."""

    repair_id: str
    venue: str
    symbol: str
    state: JobState
    automatic: bool
    start_time_ns: int
    end_time_ns: int
    hole_count: int
    filled_count: int
    unavailable_count: int
    trade_count: int
    call_count: int
    created_time_ns: int
    started_time_ns: int
    ended_time_ns: int
    detail: str

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE

    def message(self) -> repair_pb2.RepairJob:
        return repair_pb2.RepairJob(
            repair_id=self.repair_id,
            venue=self.venue,
            symbol=self.symbol,
            state=self.state,
            hole_count=self.hole_count,
            filled_count=self.filled_count,
            unavailable_count=self.unavailable_count,
            trade_count=self.trade_count,
            call_count=self.call_count,
            started_time_ns=self.started_time_ns,
            ended_time_ns=self.ended_time_ns,
            detail=self.detail,
        )
