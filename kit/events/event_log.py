"""The events in PostgreSQL: stored and read in the transactions of the services."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from venuemesh.events.v1 import event_pb2

from kit.base.database import HELD_MS_MAX, ConsumerPositionConflict, PendingRead, send
from kit.base.database import EventConflict as EventConflict
from kit.base.schema import Connection as Connection
from kit.events.logged_events import LoggedEvent as LoggedEvent
from kit.events.logged_events import merged
from kit.events.streams import EventStream, stream_name, stream_of
from kit.events.subjects import subject_of

READ_MAX = 1_000
"""Most events of one read."""

HELD = f"{HELD_MS_MAX}ms"
"""How long a transaction that holds a stream, positions or a lease may wait for its process."""

_LOCK = (
    "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
    " FROM event_streams WHERE stream = %s FOR UPDATE"
)
_KNOWN = "SELECT event_id, body FROM events WHERE event_id = ANY (%s)"
# Of an id with other content, the unique index of the ids rejects the row. LIMIT: whatever the
# statistics say, each id is looked up in that index. Without the stream, its sequence is NULL.
_APPEND = (
    "WITH new AS (INSERT INTO events"
    " (stream, sequence, event_id, lifecycle_id, subject, stored_time_ns, body)"
    " SELECT %(stream)s, (SELECT sequence FROM event_streams WHERE stream = %(stream)s)"
    " + row_number() OVER (ORDER BY number), id, lifecycle, subject, %(time_ns)s, body"
    " FROM unnest(%(ids)s::bytea[], %(lifecycles)s::bytea[], %(subjects)s::text[],"
    " %(bodies)s::bytea[]) WITH ORDINALITY AS made (id, lifecycle, subject, body, number)"
    " LEFT JOIN LATERAL (SELECT known.body AS known_body FROM events AS known"
    " WHERE known.event_id = made.id LIMIT 1) AS stored ON true"
    " WHERE known_body IS DISTINCT FROM body RETURNING sequence)"
    " UPDATE event_streams SET sequence = last"
    " FROM (SELECT max(sequence) AS last FROM new) AS moved"
    " WHERE stream = %(stream)s AND last IS NOT NULL RETURNING last, (SELECT count(*) FROM new)"
)
_READ = (
    "SELECT found.stream, found.sequence, found.stored_time_ns, found.body"
    " FROM unnest(%s::text[], %s::bigint[]) AS position (stream, sequence) CROSS JOIN LATERAL ("
    " SELECT * FROM events WHERE events.stream = position.stream"
    " AND events.sequence > position.sequence ORDER BY events.sequence LIMIT %s) AS found"
    " ORDER BY found.stream, found.sequence"
)
_STATES = "SELECT stream, epoch, sequence FROM event_streams WHERE stream = ANY (%s)"
_BEGIN_EPOCH = "UPDATE event_streams SET epoch = %s WHERE stream = %s AND epoch = %s"
_POSITIONS = "SELECT stream, sequence FROM event_positions WHERE consumer = %s"
_BEGIN = (
    "INSERT INTO event_positions SELECT %s, name, 0 FROM unnest(%s::text[]) AS name"
    " ON CONFLICT DO NOTHING"
)
_MOVE = (
    "UPDATE event_positions AS position SET sequence = move.sequence"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS move (stream, before, sequence)"
    " WHERE position.consumer = %s AND position.stream = move.stream"
    " AND position.sequence = move.before"
    " RETURNING set_config('idle_in_transaction_session_timeout', %s, true)"
)


class EventMissing(Exception):
    """A stored event is gone: somebody has changed the table."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """The state of a stream in the database."""

    epoch: int
    """First half of the ids in Redis."""
    sequence: int
    """Of the newest event, 0 if there is none."""


def encoded(event: event_pb2.Event) -> bytes:
    """The bytes of an event; the same for equal events."""
    return event.SerializeToString(deterministic=True)


async def append(
    connection: Connection,
    stream: EventStream,
    events: Sequence[event_pb2.Event],
    stored_time_ns: int,
) -> PendingRead[Sequence[LoggedEvent]]:
    """Store events in the caller's transaction, whose pipeline does not wait for it. The answer has
    them as they are stored; it is empty if one of them was there already.

    Call it last in the transaction: until the commit, other writers of the stream wait. A process
    that hangs meanwhile loses its connection. An event that is there already is passed over. When
    its content is another, the transaction raises EventConflict.
    """
    new: dict[bytes, tuple[bytes, str, bytes]] = {}
    for event in events:
        values = event.lifecycle_id, subject_of(event), encoded(event)
        if new.setdefault(event.event_id, values) != values:
            raise EventConflict(f"two events with the id {event.event_id.hex()} differ")
    if not new:
        return _nothing
    lifecycles, subjects, bodies = map(list, zip(*new.values(), strict=True))
    name = stream_name(stream)
    # The next statement sees what others have stored before the lock.
    await connection.execute(_LOCK, [HELD, name])
    arguments = {
        "stream": name,
        "time_ns": stored_time_ns,
        "ids": list(new),
        "lifecycles": lifecycles,
        "subjects": subjects,
        "bodies": bodies,
    }

    def read(rows: Sequence[Any]) -> Sequence[LoggedEvent]:
        if not rows or rows[0][1] != len(bodies):
            return ()
        first = rows[0][0] - len(bodies) + 1
        return [
            LoggedEvent(stream, sequence, stored_time_ns, body)
            for sequence, body in enumerate(bodies, first)
        ]

    return await send(connection, _APPEND, arguments, read)


async def _nothing() -> Sequence[LoggedEvent]:
    return ()


async def hold(connection: Connection, stream: EventStream) -> None:
    """Wait for other writers of a stream. Until the end of the transaction there is none, and its
    next statements see what the others have stored."""
    await connection.execute(_LOCK, [HELD, stream_name(stream)])


async def stored(
    connection: Connection, event_ids: Sequence[bytes]
) -> dict[bytes, event_pb2.Event]:
    """Those of some events that are stored, by id."""
    found = await send_stored(connection, event_ids)
    return await found()


async def send_stored(
    connection: Connection, event_ids: Sequence[bytes]
) -> PendingRead[dict[bytes, event_pb2.Event]]:
    """``stored`` without waiting."""
    return await send(connection, _KNOWN, [list(event_ids)], _events_by_id)


def _events_by_id(rows: Sequence[Any]) -> dict[bytes, event_pb2.Event]:
    return {bytes(row[0]): event_pb2.Event.FromString(bytes(row[1])) for row in rows}


async def read(
    connection: Connection, stream: EventStream, after: int, limit: int = READ_MAX
) -> list[LoggedEvent]:
    """The events of a stream that follow a sequence, oldest first. Raises EventMissing."""
    return (await read_each(connection, {stream: after}, limit)).get(stream, [])


async def read_in_order(
    connection: Connection, positions: Mapping[EventStream, int], limit: int = READ_MAX
) -> list[LoggedEvent]:
    """The events that follow these positions, at most ``limit`` of each stream, in the order of
    ``merged``. Raises EventMissing."""
    return list(merged(await read_each(connection, positions, limit), limit))


async def read_each(
    connection: Connection, positions: Mapping[EventStream, int], limit: int
) -> dict[EventStream, list[LoggedEvent]]:
    """The events that follow these positions, at most ``limit`` of each stream that has any. Raises
    EventMissing."""
    if not positions:
        return {}
    return await (await send_read_each(connection, positions, limit))()


async def send_read_each(
    connection: Connection, positions: Mapping[EventStream, int], limit: int
) -> PendingRead[dict[EventStream, list[LoggedEvent]]]:
    """``read_each`` without waiting. The answer raises EventMissing."""
    arguments = [list(map(stream_name, positions)), list(positions.values()), limit]
    return await send(connection, _READ, arguments, lambda rows: _by_stream(rows, positions))


def _by_stream(
    rows: Sequence[Any], positions: Mapping[EventStream, int]
) -> dict[EventStream, list[LoggedEvent]]:
    found: dict[EventStream, list[LoggedEvent]] = {}
    for name, sequence, stored_time_ns, body in rows:
        stream = stream_of(name)
        events = found.setdefault(stream, [])
        expected = positions[stream] + len(events) + 1
        if sequence != expected:
            raise EventMissing(
                f"event {expected} of the stream {name!r} is missing in the table events, which has"
                f" event {sequence}: restore the database from a backup"
            )
        events.append(LoggedEvent(stream, sequence, stored_time_ns, bytes(body)))
    return found


async def stream_states(
    connection: Connection, streams: Iterable[EventStream]
) -> dict[EventStream, StreamState]:
    """The state of each of these streams."""
    found = await send_stream_states(connection, streams)
    return await found()


async def send_stream_states(
    connection: Connection, streams: Iterable[EventStream]
) -> PendingRead[dict[EventStream, StreamState]]:
    """``stream_states`` without waiting."""
    return await send(connection, _STATES, [list(map(stream_name, streams))], _states)


def _states(rows: Sequence[Any]) -> dict[EventStream, StreamState]:
    return {stream_of(name): StreamState(epoch, sequence) for name, epoch, sequence in rows}


async def begin_epoch(connection: Connection, stream: EventStream, before: int, epoch: int) -> None:
    """Give the ids in Redis another epoch, unless somebody else has done so."""
    await connection.execute(_BEGIN_EPOCH, [epoch, stream_name(stream), before])


async def load_positions(connection: Connection, consumer: str) -> dict[EventStream, int]:
    """The newest event of each stream that a consumer has processed."""
    rows = await connection.execute(_POSITIONS, [consumer])
    return {stream_of(row[0]): row[1] async for row in rows}


async def save_positions(
    connection: Connection,
    consumer: str,
    positions: Mapping[EventStream, int],
    before: Mapping[EventStream, int],
) -> None:
    """Move the positions of a consumer from ``before`` in the caller's transaction.

    Call it first in the transaction: it holds the positions until the commit. Raises
    ConsumerPositionConflict when one of them is not where ``before`` says.
    """
    moved = await send_positions(connection, consumer, positions, before)
    await moved()


async def send_positions(
    connection: Connection,
    consumer: str,
    positions: Mapping[EventStream, int],
    before: Mapping[EventStream, int],
) -> PendingRead[None]:
    """``save_positions`` without waiting. The answer raises ConsumerPositionConflict."""
    names = [stream_name(stream) for stream in sorted(positions)]
    olds = [before.get(stream, 0) for stream in sorted(positions)]
    news = [positions[stream] for stream in sorted(positions)]
    if not all(olds):
        await connection.execute(_BEGIN, [consumer, names])

    def read(moved: Sequence[object]) -> None:
        if len(moved) != len(names):
            text = f"another process has moved the positions of {consumer}"
            raise ConsumerPositionConflict(text)

    return await send(connection, _MOVE, [names, olds, news, consumer, HELD], read)
