"""What the detector keeps in PostgreSQL of strategies, in the transactions of its callers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from kit.accounting.amounts import add, product
from kit.base.database import Connection, ConsumerPositionConflict

FLAT_FRACTION = Decimal("0.05")
"""A rest of at most this part of the largest size is no position: fees are taken from what was
bought, and sizes are rounded to steps."""
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
_POSITION = (
    "SELECT size, largest FROM detector_positions WHERE (strategy, venue, symbol) = (%s, %s, %s)"
)
_CHANGE = (
    "INSERT INTO detector_positions VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (strategy, venue, symbol)"
    " DO UPDATE SET size = excluded.size, largest = excluded.largest"
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
    """The size of a position, negative if short."""
    size, largest = await _size(connection, key)
    return FLAT if _is_flat(size, largest) else size


async def change_position(
    connection: Connection, key: InstanceKey, change: Decimal, *, is_entry: bool
) -> None:
    """Book a fill: bought above 0, sold below. An entry without a position begins one, of which the
    rest of the one before is no part."""
    size, largest = await _size(connection, key)
    if is_entry and _is_flat(size, largest):
        size = largest = FLAT
    size = add(size, change)
    await connection.execute(_CHANGE, [*key, size, max(largest, abs(size))])


async def _size(connection: Connection, key: InstanceKey) -> tuple[Decimal, Decimal]:
    """Bought less sold, and the largest absolute size since the position was begun."""
    row = await (await connection.execute(_POSITION, list(key))).fetchone()
    return (FLAT, FLAT) if row is None else (row[0], row[1])


def _is_flat(size: Decimal, largest: Decimal) -> bool:
    return abs(size) <= product(largest, FLAT_FRACTION)
