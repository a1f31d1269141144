"""Fills the log of all events in bulk.

The rows are those that a service and the log's writer would have stored, one by one; COPY stores
them in a fraction of the time.
"""

from collections.abc import Iterable, Sequence

from venuemesh.events.v1 import event_pb2

from core.audit.store import CONSUMER
from core.audit.tests.rig import EXECUTIONS, Rig, fill, order
from kit.base.schema import Connection
from kit.events import event_log
from kit.events.logged_events import LoggedEvent
from kit.events.stored_bytes import stored_bytes
from kit.events.streams import stream_name
from kit.events.subjects import subject_of
from kit.merkle.tree import GrowingTree, leaf_hash

BYTES = "\\\\x{}"
"""How bytes are written in the text of COPY, in hexadecimal digits."""
BATCH = 50_000
"""Events of one transaction; an even number."""
STREAM = stream_name(EXECUTIONS)
ADVANCE = "UPDATE event_streams SET sequence = %s WHERE stream = %s"


def pairs(begin: int, end: int) -> list[event_pb2.Event]:
    """Orders with their fills, each pair a lifecycle of its own. ``begin`` and ``end``: places of
    events, even numbers."""
    events: list[event_pb2.Event] = []
    for number in range(begin // 2, end // 2):
        placed = order(number)
        placed.lifecycle_id = placed.event_id
        events += [placed, fill(number, placed.event_id, (placed.event_id,))]
    return events


async def fill_log(rig: Rig, leaves: int) -> None:
    """Store so many events, an even number, and the log of them."""
    tree = GrowingTree()
    for begin in range(0, leaves, BATCH):
        end = min(begin + BATCH, leaves)
        events = pairs(begin, end)
        bodies = [event_log.encoded(event) for event in events]
        hashes = [
            leaf_hash(stored_bytes(LoggedEvent(EXECUTIONS, sequence, rig.now_ns, body)))
            for sequence, body in enumerate(bodies, begin + 1)
        ]
        nodes = tree.extend(hashes)
        async with rig.database.transaction() as connection:
            await _copy(connection, "events", _event_rows(events, bodies, begin, rig.now_ns))
            rows = (
                f"{index}\t{STREAM}\t{index + 1}\t{_bytes(found)}\n"
                for index, found in enumerate(hashes, begin)
            )
            await _copy(connection, "audit_leaves", rows)
            rows = (
                f"{node.subtree.level}\t{node.subtree.number}\t{_bytes(node.hash)}\n"
                for node in nodes
            )
            await _copy(connection, "audit_nodes", rows)
            await connection.execute(ADVANCE, [end, STREAM])
            before, after = {EXECUTIONS: begin}, {EXECUTIONS: end}
            await event_log.save_positions(connection, CONSUMER, after, before)


def _event_rows(
    events: Sequence[event_pb2.Event], bodies: Sequence[bytes], begin: int, stored_time_ns: int
) -> Iterable[str]:
    for sequence, (event, body) in enumerate(zip(events, bodies, strict=True), begin + 1):
        ids = f"{_bytes(event.event_id)}\t{_bytes(event.lifecycle_id)}"
        subject = subject_of(event)
        yield f"{STREAM}\t{sequence}\t{ids}\t{subject}\t{stored_time_ns}\t{_bytes(body)}\n"


async def _copy(connection: Connection, table: str, rows: Iterable[str]) -> None:
    statement = f"COPY {table} FROM STDIN".encode()
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write("".join(rows))


def _bytes(content: bytes) -> str:
    return BYTES.format(content.hex())
