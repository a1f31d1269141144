"""Reads the log with its events, block by block."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from kit.base.database import Database
from kit.events.logged_events import LoggedEvent
from kit.events.streams import EventStream, stream_of
from kit.merkle.tree import Subtree

BLOCK_LEVELS = 11
BLOCK_LEAVES = 1 << BLOCK_LEVELS
"""Leaves of one block: a complete subtree."""

_LEAVES = (
    "SELECT leaf.index, leaf.stream, leaf.sequence, leaf.hash, event.event_id, event.lifecycle_id,"
    " event.subject, event.stored_time_ns, event.body"
    " FROM audit_leaves AS leaf LEFT JOIN events AS event USING (stream, sequence)"
    " WHERE leaf.index >= %s AND leaf.index < %s ORDER BY leaf.index"
)
_NODES = (
    "SELECT level, index, hash FROM generate_series(1, 62) AS levels (level)"
    " JOIN LATERAL (SELECT index, hash FROM audit_nodes"
    "  WHERE audit_nodes.level = levels.level"
    "  AND index >= %(begin)s::bigint >> levels.level"
    "  AND index < %(end)s::bigint >> levels.level"
    " ) AS node ON true"
)
_COUNTS = "SELECT stream, count(*) FROM audit_leaves WHERE index < %s GROUP BY stream"
_ENDS = (
    "SELECT streams.stream, streams.sequence, coalesce(position.sequence, 0)"
    " FROM event_streams AS streams LEFT JOIN event_positions AS position"
    " ON position.stream = streams.stream AND position.consumer = 'audit'"
)
_STRANGERS = (
    "SELECT event.* FROM event_streams AS streams CROSS JOIN LATERAL"
    " (SELECT stream, sequence, event_id FROM events"
    "  WHERE stream = streams.stream AND sequence < 1 LIMIT 1) AS event"
)


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A leaf, and the event at its place."""

    index: int
    stream: EventStream
    sequence: int
    hash: bytes
    event_id: bytes | None
    lifecycle_id: bytes | None
    subject: str | None
    event: LoggedEvent | None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The end of a stream, and the position up to which the log has read it."""

    last: int
    position: int


class LogReader:
    """Methods raise StoreUnavailable when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def leaves(self, begin: int, end: int) -> list[LeafRow]:
        """The leaves of a block, in order. A missing one is left out."""
        found = []
        async with self._database.transaction() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(_LEAVES, [begin, end])
            for row in await cursor.fetchall():
                stream, sequence, stored_ns, body = stream_of(row[1]), row[2], row[7], row[8]
                event = None if body is None else LoggedEvent(stream, sequence, stored_ns, body)
                leaf = LeafRow(row[0], stream, sequence, row[3], row[4], row[5], row[6], event)
                found.append(leaf)
        return found

    async def nodes(self, begin: int, end: int) -> dict[Subtree, bytes]:
        """The stored hashes of the subtrees that are completed by leaves from ``begin`` to before
        ``end``."""
        async with self._database.transaction() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(_NODES, {"begin": begin, "end": end})
            return {Subtree(row[0], row[1]): row[2] for row in await cursor.fetchall()}

    async def counts(self, size: int) -> dict[EventStream, int]:
        """How many of the first leaves are of each stream."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(_COUNTS, [size])
            return {stream_of(row[0]): row[1] async for row in rows}

    async def ends(self) -> Mapping[EventStream, StreamEnd]:
        async with self._database.transaction() as connection:
            rows = await connection.execute(_ENDS)
            return {stream_of(row[0]): StreamEnd(row[1], row[2]) async for row in rows}

    async def blocks(self, begin: int, end: int) -> AsyncIterator[tuple[int, Sequence[LeafRow]]]:
        """The leaves from ``begin`` on with the end of each block."""
        while begin < end:
            block_end = min(end, (begin // BLOCK_LEAVES + 1) * BLOCK_LEAVES)
            yield block_end, await self.leaves(begin, block_end)
            begin = block_end
