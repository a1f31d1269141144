"""The events of stream "ledger"."""

from venuemesh.events.v1 import event_pb2, postings_pb2

from core.ledger.execution_events import Execution, InvalidExecution
from core.ledger.store import Booked
from kit.events.event_ids import event_id

SOURCE = "ledger"


def booked_event(booked: Booked, now_ns: int) -> event_pb2.Event:
    """The event of a group that was booked now."""
    group = booked.group
    cause = group.event_id or group.group_id.encode()
    return event_pb2.Event(
        event_id=event_id(SOURCE, "", [cause]),
        source=SOURCE,
        time_ns=group.time_ns or now_ns,
        lifecycle_id=group.lifecycle_id,
        cause_ids=[group.event_id] if group.event_id else [],
        postings_booked=postings_pb2.PostingsBooked(
            group_id=group.group_id,
            postings=len(group.postings),
            content_hash=booked.content_hash,
        ),
    )


def refused_event(execution: Execution, refused: InvalidExecution) -> event_pb2.Event:
    """The event of an execution that cannot be booked."""
    cause = execution.event
    return event_pb2.Event(
        event_id=event_id(SOURCE, "refused", [cause.event_id]),
        source=SOURCE,
        instance="refused",
        time_ns=cause.time_ns,
        lifecycle_id=cause.lifecycle_id,
        cause_ids=[cause.event_id],
        postings_refused=postings_pb2.PostingsRefused(
            group_id=execution.group_id, reason=refused.reason, detail=str(refused)
        ),
    )
