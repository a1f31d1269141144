"""The log in PostgreSQL: leaves, the hashes of complete subtrees, checkpoints."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2

from kit.base.database import Database
from kit.base.schema import Connection
from kit.events import event_log
from kit.events.leases import Lease
from kit.events.logged_events import LoggedEvent, positions_of
from kit.events.streams import EVENT_STREAMS, EventStream, stream_name, stream_of
from kit.merkle.tree import GrowingTree, Node, Subtree, complete_subtrees, hash_of

CONSUMER = "audit"
"""Name under which the log keeps its positions."""
SYSTEM = event_pb2.EVENT_STREAM_SYSTEM

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_SIZE = "SELECT coalesce(max(index) + 1, 0) FROM audit_leaves"
_ADD_LEAVES = (
    "INSERT INTO audit_leaves (index, stream, sequence, hash)"
    " SELECT %s + number - 1, stream, sequence, hash"
    " FROM unnest(%s::text[], %s::bigint[], %s::bytea[])"
    " WITH ORDINALITY AS new (stream, sequence, hash, number)"
)
_ADD_NODES = (
    "INSERT INTO audit_nodes (level, index, hash)"
    " SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"
)
_HASHES = (
    "SELECT level, index, hash FROM audit_nodes JOIN unnest(%s::smallint[], %s::bigint[])"
    " AS wanted (level, index) USING (level, index)"
)
_LEAF_HASHES = "SELECT 0, index, hash FROM audit_leaves WHERE index = ANY (%s)"
_LEAF = (
    "SELECT index, events.stream, sequence, stored_time_ns, body FROM events"
    " JOIN audit_leaves USING (stream, sequence) WHERE event_id = %s"
)
_CHECKPOINT = "SELECT size, signed_time_ns, root, note FROM audit_checkpoints"
_ADD_CHECKPOINT = "INSERT INTO audit_checkpoints VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
_IS_NEWS = (
    "SELECT EXISTS (SELECT FROM audit_leaves JOIN events USING (stream, sequence)"
    " WHERE index >= %s AND index < %s AND subject <> 'checkpoint')"
)


@dataclass(frozen=True, slots=True)
class LogState:
    """The log, and the newest event of each stream that is in it."""

    tree: GrowingTree
    positions: Mapping[EventStream, int]

    @property
    def is_whole(self) -> bool:
        """Whether the log has a leaf for each event that it has read."""
        return sum(self.positions.values()) == self.tree.size


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it is stored."""

    size: int
    signed_time_ns: int
    root: bytes
    note: str


class AuditStore:
    """Methods raise StoreUnavailable when the database is away."""

    def __init__(self, database: Database, lease: Lease) -> None:
        """``lease``: of the one process that writes."""
        self.lease = lease
        self._database = database

    async def load(self) -> LogState:
        """The log as it is now."""
        async with self._database.transaction() as connection:
            await connection.execute(_SNAPSHOT)
            positions = await event_log.load_positions(connection, CONSUMER)
            size = await log_size(connection)
            wanted = complete_subtrees(0, size)
            known = await hashes(connection, wanted)
            tree = GrowingTree(size, [known[subtree] for subtree in wanted])
            return LogState(tree, positions)

    async def size(self) -> int:
        async with self._database.transaction() as connection:
            return await log_size(connection)

    async def stream_ends(self) -> dict[EventStream, int]:
        """The newest event of each stream."""
        async with self._database.transaction() as connection:
            states = await event_log.stream_states(connection, EVENT_STREAMS)
            return {stream: state.sequence for stream, state in states.items()}

    async def new_events(
        self, positions: Mapping[EventStream, int], limit: int
    ) -> list[LoggedEvent]:
        """The events after these positions in the defined order, up to ``limit`` of each stream.
        Raises EventMissing."""
        afters = {stream: positions.get(stream, 0) for stream in EVENT_STREAMS}
        async with self._database.transaction() as connection:
            return await event_log.read_in_order(connection, afters, limit)

    async def append(
        self,
        events: Sequence[LoggedEvent],
        leaves: Sequence[bytes],
        nodes: Sequence[Node],
        before: LogState,
    ) -> None:
        """Store leaves and what they complete, and move the positions. Raises LeaseLost, and
        ConsumerPositionConflict when another process has moved them."""
        moved = positions_of(events)
        async with self._database.transaction() as connection:
            await self.lease.hold(connection)
            await event_log.save_positions(connection, CONSUMER, moved, before.positions)
            names = [stream_name(event.stream) for event in events]
            sequences = [event.sequence for event in events]
            arguments = [before.tree.size, names, sequences, list(leaves)]
            await connection.execute(_ADD_LEAVES, arguments)
            levels = [node.subtree.level for node in nodes]
            indexes = [node.subtree.number for node in nodes]
            await connection.execute(_ADD_NODES, [levels, indexes, [node.hash for node in nodes]])

    async def hashes(self, subtrees: Iterable[Subtree]) -> dict[Subtree, bytes]:
        """The hashes of complete subtrees; those that are not stored are left out."""
        async with self._database.transaction() as connection:
            return await hashes(connection, subtrees)

    async def root(self, size: int) -> bytes:
        """The root of the first leaves. Raises KeyError when the log is shorter."""
        return hash_of(0, size, await self.hashes(complete_subtrees(0, size)))

    async def leaf_of(self, event_id: bytes) -> tuple[int, LoggedEvent] | None:
        """The leaf of an event, by its number."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_LEAF, [event_id])).fetchone()
        if row is None:
            return None
        return row[0], LoggedEvent(stream_of(row[1]), row[2], row[3], bytes(row[4]))

    async def has_news(self, begin: int, end: int) -> bool:
        """Whether one of these leaves is of an event that is no checkpoint."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_IS_NEWS, [begin, end])).fetchone()
            return bool(row and row[0])

    async def checkpoint(self, size: int = 0) -> StoredCheckpoint | None:
        """The checkpoint of a size; 0: the newest one."""
        where, arguments = ("WHERE size = %s", [size]) if size else ("", [])
        found = await self._checkpoints(f"{where} ORDER BY size DESC LIMIT 1", arguments)
        return found[0] if found else None

    async def checkpoints_before(self, size: int, limit: int) -> list[StoredCheckpoint]:
        """Checkpoints below a size, newest first."""
        where = "WHERE size < %s ORDER BY size DESC LIMIT %s"
        return await self._checkpoints(where, [size, limit])

    async def checkpoints_after(self, size: int, limit: int) -> list[StoredCheckpoint]:
        """Checkpoints above a size, oldest first."""
        where = "WHERE size > %s ORDER BY size LIMIT %s"
        return await self._checkpoints(where, [size, limit])

    async def add_checkpoint(self, checkpoint: StoredCheckpoint, event: event_pb2.Event) -> bool:
        """Store a checkpoint and its event. Returns whether it is new. Raises LeaseLost."""
        arguments = [
            checkpoint.size,
            checkpoint.signed_time_ns,
            checkpoint.root,
            checkpoint.note,
        ]
        async with self._database.transaction() as connection:
            await self.lease.hold(connection)
            if (await connection.execute(_ADD_CHECKPOINT, arguments)).rowcount == 0:
                return False
            await event_log.append(connection, SYSTEM, [event], checkpoint.signed_time_ns)
        return True

    async def _checkpoints(self, where: str, arguments: Sequence[int]) -> list[StoredCheckpoint]:
        async with self._database.transaction() as connection:
            rows = await connection.execute(f"{_CHECKPOINT} {where}", arguments)
            return [StoredCheckpoint(row[0], row[1], bytes(row[2]), row[3]) async for row in rows]


async def log_size(connection: Connection) -> int:
    row = await (await connection.execute(_SIZE)).fetchone()
    return int(row[0]) if row else 0


async def hashes(connection: Connection, subtrees: Iterable[Subtree]) -> dict[Subtree, bytes]:
    """The hashes of complete subtrees; those that are not stored are left out."""
    wanted = list(subtrees)
    found: dict[Subtree, bytes] = {}
    async for row in _rows_of(connection, wanted):
        found[Subtree(row[0], row[1])] = bytes(row[2])
    return found


async def _rows_of(
    connection: Connection, wanted: Sequence[Subtree]
) -> AsyncIterator[tuple[int, int, bytes]]:
    leaves = [subtree.number for subtree in wanted if subtree.level == 0]
    if leaves:
        async for row in await connection.execute(_LEAF_HASHES, [leaves]):
            yield row[0], row[1], row[2]
    levels = [subtree.level for subtree in wanted if subtree.level]
    indexes = [subtree.number for subtree in wanted if subtree.level]
    if levels:
        async for row in await connection.execute(_HASHES, [levels, indexes]):
            yield row[0], row[1], row[2]
