"""What the detector keeps in PostgreSQL of strategies, in the transactions of its callers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from kit.base.database import Connection, ConsumerPositionConflict

FLAT = Decimal(0)

_LOAD = (
    "SELECT version, open_time_ns, revision, state FROM detector_instances"
    " WHERE (strategy, venue, symbol) = (%s, %s, %s)"
)
_BEGIN = "INSERT INTO detector_instances VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_MOVE = (
    "UPDATE detector_instances SET version = %s, open_time_ns = %s, revision = %s, state = %s"
    " WHERE (strategy, venue, symbol) = (%s, %s, %s) AND (version, open_time_ns) = (%s, %s)"
)
_POSITION = "SELECT size FROM detector_positions WHERE (strategy, venue, symbol) = (%s, %s, %s)"
_KEEP = (
    "INSERT INTO detector_positions VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (strategy, venue, symbol) DO UPDATE SET size = excluded.size"
)


class InstanceKey(NamedTuple):
    """A strategy on an instrument."""

    strategy: str
    venue: str
    symbol: str


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """Where a strategy stands."""

    version: str
    open_time_ns: int
    """Of its newest bar."""
    revision: int
    state: bytes


async def load(connection: Connection, key: InstanceKey) -> StoredInstance | None:
    row = await (await connection.execute(_LOAD, list(key))).fetchone()
    return None if row is None else StoredInstance(row[0], row[1], row[2], bytes(row[3]))


async def save(
    connection: Connection, key: InstanceKey, before: StoredInstance | None, now: StoredInstance
) -> None:
    """Move a strategy on. Raises ConsumerPositionConflict when it is not where ``before`` says."""
    values: Sequence[object] = (now.version, now.open_time_ns, now.revision, now.state)
    if before is None:
        moved = await connection.execute(_BEGIN, [*key, *values])
    else:
        last = before.version, before.open_time_ns
        moved = await connection.execute(_MOVE, [*values, *key, *last])
    if moved.rowcount != 1:
        raise ConsumerPositionConflict(f"another process has moved the strategy {'/'.join(key)}")


async def position(connection: Connection, key: InstanceKey) -> Decimal:
    """The size of a position, negative if short; 0 if the strategy has none."""
    row = await (await connection.execute(_POSITION, list(key))).fetchone()
    return FLAT if row is None else Decimal(row[0])


async def keep_position(connection: Connection, key: InstanceKey, size: Decimal) -> None:
    """Keep the size of a position."""
    await connection.execute(_KEEP, [*key, size])
