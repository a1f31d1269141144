"""Lists verdicts with what they were about, newest first."""

from collections.abc import Sequence
from typing import NamedTuple

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import risk_reports_pb2

from core.inspector.submissions import RISK
from kit.base import paging
from kit.base.database import Connection, Database
from kit.base.errors import BadPageToken
from kit.events import event_log
from kit.events.streams import EventStream, stream_name

PAGE_VERDICTS, PAGE_VERDICTS_MAX = 100, 1_000
READ_EVENTS = 250
"""Events that are read at once."""
READ_EVENTS_MAX = 5_000
"""Read for one page at most: verdicts may be rare among other events."""

_BEFORE = (
    "SELECT sequence, stored_time_ns, body FROM events WHERE stream = %s AND sequence < %s"
    " ORDER BY sequence DESC LIMIT %s"
)
NEWEST = 2**63 - 1
"""Before this sequence are all events."""


class ReadEvent(NamedTuple):
    """A stored event."""

    sequence: int
    stored_time_ns: int
    event: event_pb2.Event


async def list_verdicts(
    database: Database, request: risk_reports_pb2.ListVerdictsRequest
) -> risk_reports_pb2.ListVerdictsResponse:
    """The page of a request. Raises BadRequest, BadPageToken and StoreUnavailable."""
    size = paging.page_size(request.page_size, PAGE_VERDICTS, PAGE_VERDICTS_MAX)
    before, read = _before(request), 0
    found: list[risk_reports_pb2.ReportedVerdict] = []
    while before > 1 and len(found) < size and read < READ_EVENTS_MAX:
        async with database.transaction() as connection:
            events = await read_before(connection, RISK, before)
            wanted = [one for one in events if _is_wanted(request, one.event)]
            wanted = wanted[: size - len(found)]
            causes = await _causes(connection, [one.event for one in wanted])
        found += [_report(one, causes) for one in wanted]
        read += READ_EVENTS
        # A full page ends with its last verdict, another one with the last event that was read.
        last = (wanted if len(found) == size else events)[-1:]
        before = last[0].sequence if last else 0
    token = paging.make_token(request, [before]) if before > 1 else ""
    return risk_reports_pb2.ListVerdictsResponse(verdicts=found, next_page_token=token)


def _before(request: risk_reports_pb2.ListVerdictsRequest) -> int:
    match paging.read_token(request):
        case None:
            return NEWEST
        case [int(sequence)] if 0 < sequence < NEWEST:
            return sequence
    raise BadPageToken("page_token is not a page token", page_token=request.page_token)


async def read_before(connection: Connection, stream: EventStream, before: int) -> list[ReadEvent]:
    """Up to READ_EVENTS of a stream before a sequence, newest first."""
    rows = await connection.execute(_BEFORE, [stream_name(stream), before, READ_EVENTS])
    return [
        ReadEvent(sequence, time_ns, event_pb2.Event.FromString(bytes(body)))
        async for sequence, time_ns, body in rows
    ]


def _is_wanted(request: risk_reports_pb2.ListVerdictsRequest, event: event_pb2.Event) -> bool:
    if event.WhichOneof("payload") != "verdict_given":
        return False
    return not request.refused_only or event.verdict_given.verdict != risk_pb2.VERDICT_ALLOW


async def _causes(
    connection: Connection, verdicts: Sequence[event_pb2.Event]
) -> dict[bytes, event_pb2.Event]:
    ids = {cause for event in verdicts for cause in event.cause_ids}
    return await event_log.stored(connection, sorted(ids))


def _report(
    read: ReadEvent, causes: dict[bytes, event_pb2.Event]
) -> risk_reports_pb2.ReportedVerdict:
    event = read.event
    report = risk_reports_pb2.ReportedVerdict(
        event_id=event.event_id,
        lifecycle_id=event.lifecycle_id,
        stored_time_ns=read.stored_time_ns,
        verdict=event.verdict_given,
    )
    for cause in event.cause_ids:
        if cause in causes:
            _describe(report, causes[cause])
    orders = report.verdict.orders
    if orders and not report.venue:
        # It closes a position because a mode has changed.
        content = orders[0].content
        report.venue, report.account, report.symbol = content.venue, content.account, content.symbol
        report.strategy = event.instance
    report.verdict.ClearField("orders")
    report.verdict.ClearField("facts")
    return report


def _describe(report: risk_reports_pb2.ReportedVerdict, cause: event_pb2.Event) -> None:
    match cause.WhichOneof("payload"):
        case "decision_made":
            intent = cause.decision_made.intent
            report.strategy = intent.strategy
            report.venue, report.account, report.symbol = (
                intent.venue, intent.account, intent.symbol
            )  # fmt: skip
            report.side, report.size = intent.side, intent.size
        case "order_requested":
            asked = cause.order_requested
            report.caller, content = asked.caller, asked.content
            report.venue, report.account, report.symbol = (
                content.venue, content.account, content.symbol
            )  # fmt: skip
            report.side, report.size = content.side, content.size
