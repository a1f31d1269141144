"""Approved orders and the outcomes of sending them, in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2

from core.inspector import exit_prices, open_entries, positions
from core.inspector.first_events import SOURCE
from core.inspector.verdicts import CheckedVerdict
from kit.base.database import Connection, PendingRead, send
from kit.events.event_ids import event_id
from kit.risk.facts import RecentEntries

RISK = event_pb2.EVENT_STREAM_RISK
TAKEN = risk_pb2.SUBMISSION_OUTCOME_TAKEN
REFUSED = risk_pb2.SUBMISSION_OUTCOME_REFUSED
EXPIRED = risk_pb2.SUBMISSION_OUTCOME_EXPIRED

_INSERT = (
    "INSERT INTO inspector_submissions (submission_id, lifecycle_id, position_id, approved,"
    " is_entry, approved_time_ns, expires_time_ns, venue, account, strategy)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_PENDING = (
    "SELECT submission_id, lifecycle_id, position_id, approved, is_entry, expires_time_ns"
    " FROM inspector_submissions WHERE outcome = 0 ORDER BY number"
)
_HAS_PENDING = "SELECT FROM inspector_submissions WHERE outcome = 0 AND position_id = %s LIMIT 1"
_DECIDE = (
    "UPDATE inspector_submissions SET outcome = %s WHERE submission_id = %s AND outcome = 0"
    " RETURNING number"
)
_RECENT = (
    "SELECT venue, account, strategy, count(*) FROM inspector_submissions"
    " WHERE is_entry AND approved_time_ns > %s GROUP BY venue, account, strategy"
    " ORDER BY venue, account, strategy"
)


@dataclass(frozen=True, slots=True)
class Submission:
    """Approved orders that are sent to the venue's process in one call."""

    submission_id: bytes
    """Id of the event of their verdict."""
    lifecycle_id: bytes
    position_id: bytes
    """Empty for orders of a person."""
    approved: Sequence[signed_pb2.ApprovedOrder]
    is_entry: bool
    expires_time_ns: int
    strategy: str = ""
    """The strategy of an entry; "" for a person's order."""

    @property
    def operation(self) -> "signed_pb2.Operation.ValueType":
        return self.approved[0].operation

    @property
    def venue(self) -> str:
        return self.approved[0].content.venue

    @property
    def account(self) -> str:
        return self.approved[0].content.account


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a submission."""

    outcome: "risk_pb2.SubmissionOutcome.ValueType"
    orders: Sequence[orders_pb2.Order] = ()
    reason: str = ""
    detail: str = ""


async def insert(connection: Connection, submission: Submission, now_ns: int) -> None:
    """Add a submission in the transaction of its verdict."""
    body = batches_pb2.PlaceOrderGroupRequest(
        venue=submission.venue, approved=submission.approved
    ).SerializeToString()
    await connection.execute(
        _INSERT,
        [
            submission.submission_id,
            submission.lifecycle_id,
            submission.position_id,
            body,
            submission.is_entry,
            now_ns,
            submission.expires_time_ns,
            submission.venue,
            submission.account,
            submission.strategy,
        ],
    )
    if submission.is_entry:
        await open_entries.add(connection, submission.approved, submission.strategy, now_ns)


async def pending(connection: Connection) -> list[Submission]:
    """The submissions without an outcome, oldest first."""
    rows = await (await connection.execute(_PENDING)).fetchall()
    return [
        Submission(
            bytes(row[0]),
            bytes(row[1]),
            bytes(row[2]),
            list(batches_pb2.PlaceOrderGroupRequest.FromString(bytes(row[3])).approved),
            row[4],
            row[5],
        )
        for row in rows
    ]


async def has_pending(connection: Connection, position_id: bytes) -> bool:
    """Whether a position has a submission without an outcome."""
    rows = await connection.execute(_HAS_PENDING, [position_id])
    return await rows.fetchone() is not None


async def decide(connection: Connection, submission: Submission, outcome: Outcome) -> bool:
    """Store the outcome of a submission. Returns False if it has one already."""
    arguments = [outcome.outcome, submission.submission_id]
    if await (await connection.execute(_DECIDE, arguments)).fetchone() is None:
        return False
    if outcome.outcome == TAKEN:
        for order in outcome.orders:
            await positions.change_order(connection, order)
            if submission.operation == signed_pb2.OPERATION_AMEND:
                await exit_prices.follow(connection, order)
            await open_entries.change(connection, order)
        return True
    if submission.is_entry:
        await open_entries.not_taken(connection, submission.approved)
    if submission.position_id:
        await positions.reject_orders(connection, submission.approved)
    return True


async def send_recent_entries(
    connection: Connection, since_ns: int
) -> PendingRead[tuple[RecentEntries, ...]]:
    """Read the numbers of entries approved since a time, by venue, account and strategy."""
    return await send(connection, _RECENT, [since_ns], _recent_entries)


def _recent_entries(rows: Sequence[Any]) -> tuple[RecentEntries, ...]:
    return tuple(
        RecentEntries(venue=venue, account=account, strategy=strategy, count=count)
        for venue, account, strategy, count in rows
    )


def verdict_event(
    cause: event_pb2.Event,
    instance: str,
    verdict: CheckedVerdict,
    policy_version: bytes,
    ordinal: int = 0,
    position_id: bytes = b"",
) -> event_pb2.Event:
    """The event of a verdict, without orders. ``ordinal`` counts verdicts with the same cause and
    the same ``position_id``: one change of a mode closes several positions."""
    causes = [cause.event_id, position_id] if position_id else [cause.event_id]
    event = event_pb2.Event(
        event_id=event_id(SOURCE, instance, causes, ordinal),
        source=SOURCE,
        instance=instance,
        time_ns=cause.time_ns,
        lifecycle_id=cause.lifecycle_id,
        cause_ids=[cause.event_id],
        config_hash=policy_version,
    )
    event.verdict_given.CopyFrom(
        risk_pb2.VerdictGiven(
            verdict=verdict.verdict,
            checks=verdict.checks,
            policy_version=policy_version.hex(),
            mode=verdict.mode,
            is_reduction=verdict.is_reduction,
            facts="" if verdict.is_reduction else verdict.facts.text,
        )
    )
    return event


def submitted_event(submission: Submission, outcome: Outcome, now_ns: int) -> event_pb2.Event:
    """The event of the outcome of a submission."""
    instance = f"{submission.venue}/{submission.account}"
    event = event_pb2.Event(
        event_id=submitted_id(submission.submission_id, instance),
        source=SOURCE,
        instance=instance,
        time_ns=now_ns,
        lifecycle_id=submission.lifecycle_id,
        cause_ids=[submission.submission_id],
    )
    event.orders_submitted.CopyFrom(
        risk_pb2.OrdersSubmitted(
            outcome=outcome.outcome,
            request_ids=[one.request_id for one in submission.approved],
            orders=outcome.orders,
            refusal_reason=outcome.reason,
            detail=outcome.detail,
        )
    )
    return event


def submitted_id(submission_id: bytes, instance: str) -> bytes:
    """The id of the event of a submission's outcome. ``instance``: venue/account."""
    return event_id(SOURCE, instance, [submission_id], 0)
