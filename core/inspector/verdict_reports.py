"""Lists verdicts with what they were about, newest first."""

from collections.abc import Sequence
from functools import partial

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import risk_reports_pb2

from core.inspector.submissions import RISK
from kit.base import paging
from kit.base.database import Connection, Database
from kit.events import event_log, newest_events
from kit.events.newest_events import ReadEvent

PAGE_VERDICTS, PAGE_VERDICTS_MAX = 100, 1_000


async def list_verdicts(
    database: Database, request: risk_reports_pb2.ListVerdictsRequest
) -> risk_reports_pb2.ListVerdictsResponse:
    """The page of a request. Raises BadRequest, BadPageToken and StoreUnavailable."""
    size = paging.page_size(request.page_size, PAGE_VERDICTS, PAGE_VERDICTS_MAX)
    is_wanted = partial(_is_wanted, request)
    async with database.reading() as connection:
        page = await newest_events.read_page(connection, RISK, request, size, is_wanted)
        causes = await _causes(connection, [one.event for one in page.events])
    return risk_reports_pb2.ListVerdictsResponse(
        verdicts=[_report(one, causes) for one in page.events], next_page_token=page.next_token
    )


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
