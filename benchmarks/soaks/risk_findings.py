"""What the inspector has let pass, and how long positions were without their stop."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import psycopg
from venuemesh.events.v1 import checks_pb2, event_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2_grpc, reconciliations_pb2, risk_reports_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.paging import whole_list
from kit.risk.limits import RULES_BY_NAME

if TYPE_CHECKING:
    Stub: TypeAlias = inspector_pb2_grpc.InspectorAsyncStub

ReadRows = Callable[..., Sequence[tuple[Any, ...]]]
LOOK_SECONDS = 0.5
CALL_SECONDS_MAX = 60.0
STATES = reconciliations_pb2.ReconciliationState
AGREES = reconciliations_pb2.RECONCILIATION_STATE_AGREES
PROTECTED = risk_reports_pb2.PROTECTION_STATE_PROTECTED
WITHOUT_STOP = (
    risk_reports_pb2.PROTECTION_STATE_UNCONFIRMED,
    risk_reports_pb2.PROTECTION_STATE_UNPROTECTED,
    risk_reports_pb2.PROTECTION_STATE_UNKNOWN,
)
_STATES = (
    "SELECT position_id, state, state_time_ns FROM inspector_protections"
    " JOIN inspector_positions USING (position_id) WHERE ended_time_ns = 0 AND state_size <> '0'"
)
_VERDICTS = "SELECT body FROM events WHERE stream = 'risk' ORDER BY sequence"


class RiskFindings(msgspec.Struct, kw_only=True):
    """What was found."""

    entries_allowed: int = 0
    entries_refused: int = 0
    limit_breaches: list[str] = []
    """Entries that were allowed although a value of the verdict is beyond its limit."""
    positions: int = 0
    """Of strategies, that had a stop, or lacked it."""
    unprotected_seconds: dict[str, float] = {}
    """p50, p99 and max of the times without a stop, with 0 for a position that never lacked it."""


class UnprotectedTimes:
    """Follows the stops of positions, as the inspector has stored what it found of them."""

    def __init__(self, read_rows: ReadRows) -> None:
        self._read_rows = read_rows
        self._since_ns: dict[bytes, int] = {}
        self._seen: set[bytes] = set()
        self.seconds: list[float] = []

    async def run(self) -> None:
        """Look until cancelled. While the database is away nothing is seen."""
        while True:
            with suppress(psycopg.OperationalError):
                self.add(await asyncio.to_thread(self._read_rows, _STATES))
            await asyncio.sleep(LOOK_SECONDS)

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add what is stored now: position, state, and since when it is so."""
        for position_id, state, time_ns in rows:
            key = bytes(position_id)
            if state in WITHOUT_STOP:
                self._seen.add(key)
                self._since_ns.setdefault(key, time_ns)
            elif (since_ns := self._since_ns.pop(key, None)) is not None:
                self.seconds.append((time_ns - since_ns) / NANOSECONDS_PER_SECOND)
            elif state == PROTECTED and key not in self._seen:
                self._seen.add(key)
                self.seconds.append(0.0)

    def percentiles(self) -> dict[str, float]:
        """p50, p99 and max; empty if no position was seen."""
        found = sorted(self.seconds)
        if not found:
            return {}
        last = len(found) - 1
        return {"p50": found[last // 2], "p99": found[-(-last * 99 // 100)], "max": found[-1]}


def findings(read_rows: ReadRows, times: UnprotectedTimes) -> RiskFindings:
    """Compare every recorded verdict on an entry with its own checks."""
    found = RiskFindings(positions=len(times.seconds), unprotected_seconds=times.percentiles())
    for (body,) in read_rows(_VERDICTS):
        event = event_pb2.Event.FromString(bytes(body))
        given = event.verdict_given
        if not event.HasField("verdict_given") or given.is_reduction:
            continue
        if given.verdict != risk_pb2.VERDICT_ALLOW:
            found.entries_refused += 1
            continue
        found.entries_allowed += 1
        beyond = [one.name for one in given.checks if _is_beyond(one)]
        if beyond:
            found.limit_breaches.append(f"{event.event_id.hex()}: {', '.join(beyond)}")
    return found


async def unreconciled(stub: "Stub", venues: Sequence[str]) -> list[str]:
    """The accounts of these venues on which venue, ledger and inspector do not agree."""
    request = reconciliations_pb2.ListReconciliationsRequest()
    found = await whole_list(stub.ListReconciliations, request, timeout=CALL_SECONDS_MAX)
    return [
        f"{one.venue}/{one.account}: {STATES.Name(one.state)} {one.unreadable}".rstrip()
        for one in found.reconciliations
        if one.venue in venues and one.state != AGREES
    ]


def _is_beyond(check: checks_pb2.Check) -> bool:
    if check.result == checks_pb2.CHECK_RESULT_BLOCKED:
        return True
    rule = RULES_BY_NAME.get(check.name)
    if rule is None or not check.limit or not check.projected:
        return False
    value, limit = Decimal(check.projected), Decimal(check.limit)
    return value < limit if rule.is_minimum else value > limit
