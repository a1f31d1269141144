"""Decisions whose outcome is not known yet, in PostgreSQL."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from venuemesh.events.v1 import event_pb2

from kit.base.database import Connection
from kit.events import event_log

_OPEN = (
    "INSERT INTO advisor_open_outcomes SELECT * FROM unnest(%s::bytea[], %s::bigint[])"
    " ON CONFLICT DO NOTHING"
)
_LOAD = (
    "SELECT limit_ns, body FROM advisor_open_outcomes JOIN events ON event_id = decision_id"
    " ORDER BY limit_ns, decision_id LIMIT %s"
)
_CLOSE = "DELETE FROM advisor_open_outcomes WHERE decision_id = ANY (%s) RETURNING decision_id"


class OpenOutcome(NamedTuple):
    """A decision whose outcome is not known yet."""

    decision: event_pb2.Event
    signal: event_pb2.Event
    limit_ns: int
    """The time limit, ns since the Unix epoch."""


async def open_outcomes(connection: Connection, limits_ns: Mapping[bytes, int]) -> None:
    """Store the time limit of each of these decisions, by event id."""
    await connection.execute(_OPEN, [list(limits_ns), list(limits_ns.values())])


async def load(connection: Connection, count_max: int) -> list[OpenOutcome]:
    """Those whose time limit is first."""
    rows = await connection.execute(_LOAD, [count_max])
    decisions = [(row[0], event_pb2.Event.FromString(bytes(row[1]))) async for row in rows]
    causes = [decision.cause_ids[0] for _, decision in decisions]
    signals = await event_log.stored(connection, causes)
    return [
        OpenOutcome(decision, signals[decision.cause_ids[0]], limit_ns)
        for limit_ns, decision in decisions
        if decision.cause_ids[0] in signals
    ]


async def close(connection: Connection, decision_ids: Collection[bytes]) -> set[bytes]:
    """Remove these decisions. Returns those that were there: for another process they are gone."""
    rows = await connection.execute(_CLOSE, [list(decision_ids)])
    return {bytes(row[0]) async for row in rows}
