"""Checkpoints and chains of events as tables for a terminal."""

from collections.abc import Iterable

from rich.table import Table
from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from ops.tables import table, time_text, word

ID_LENGTH = 8


def checkpoints(found: Iterable[audit_pb2.Checkpoint]) -> Table:
    rows = ((str(one.size), time_text(one.signed_time_ns), one.root.hex()) for one in found)
    return table(("size", "signed", "root"), rows)


def chain(answer: audit_pb2.WhyResponse) -> Table:
    """The events with the numbers of those that they follow from."""
    numbers = {one.event.event_id: number for number, one in enumerate(answer.events, 1)}
    causes: dict[bytes, list[str]] = {}
    for link in answer.links:
        causes.setdefault(link.effect_id, []).append(str(numbers[link.cause_id]))
    rows = (
        (
            str(number),
            time_text(one.event.time_ns),
            word(event_pb2.EventStream.Name(one.position.stream), "EVENT_STREAM_"),
            str(one.position.sequence),
            (one.event.WhichOneof("payload") or "").replace("_", " "),
            ", ".join(causes.get(one.event.event_id, [])),
            one.event.event_id.hex(),
            _detail(one.event),
        )
        for number, one in enumerate(answer.events, 1)
    )
    names = ("", "time", "stream", "number", "what", "follows from", "event", "detail")
    return table(names, rows)


def _detail(event: event_pb2.Event) -> str:
    payload = event.WhichOneof("payload")
    text = str(getattr(event, payload)) if payload else ""
    return " ".join(text.split())
