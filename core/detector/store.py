"""Stores states and positions of strategies in PostgreSQL, in the callers' transactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from kit.base.database import Connection, ConsumerPositionConflict

FLAT = Decimal(0)

# Lists are sent in binary (%b): as text, each item is searched for characters to escape.
_LOAD = (
    "SELECT version, open_time_ns, revision, state FROM detector_instances"
    " WHERE (strategy, venue, symbol) = (%s, %s, %s)"
)
_BEGIN = (
    "INSERT INTO detector_instances VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
    " RETURNING strategy"
)
_MOVE = """
UPDATE detector_instances AS old
SET version = new.version, open_time_ns = new.open_time_ns, revision = new.revision,
    state = new.state
FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bytea[],
    %b::text[], %b::bigint[]
) AS new (
    strategy, venue, symbol, version, open_time_ns, revision, state, before_version, before_ns
)
WHERE (old.strategy, old.venue, old.symbol) = (new.strategy, new.venue, new.symbol)
    AND (old.version, old.open_time_ns) = (new.before_version, new.before_ns)
RETURNING old.strategy
"""
_POSITIONS = """
SELECT strategy, venue, symbol, size FROM detector_positions
JOIN unnest(%b::text[], %b::text[], %b::text[]) AS wanted (strategy, venue, symbol)
    USING (strategy, venue, symbol)
"""
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
    """The newest bar of a strategy and its state."""

    version: str
    open_time_ns: int
    """Time of its newest bar."""
    revision: int
    state: bytes


class InstanceUpdate(NamedTuple):
    """The change of a strategy by new bars."""

    key: InstanceKey
    before: StoredInstance | None
    """None: it starts."""
    now: StoredInstance


async def load(connection: Connection, key: InstanceKey) -> StoredInstance | None:
    row = await (await connection.execute(_LOAD, list(key))).fetchone()
    return None if row is None else StoredInstance(row[0], row[1], row[2], bytes(row[3]))


async def save(connection: Connection, moves: Sequence[InstanceUpdate]) -> None:
    """Store new states, all or none. Raises ConsumerPositionConflict if a stored state is not the
    given one."""
    changed: list[list[object]] = []
    for key, before, now in moves:
        if before is not None:
            last = before.version, before.open_time_ns
            changed.append([*key, now.version, now.open_time_ns, now.revision, now.state, *last])
            continue
        values = now.version, now.open_time_ns, now.revision, now.state
        begun = await connection.execute(_BEGIN, [*key, *values])
        _require(1, len(await begun.fetchall()), [key])
    if changed:
        columns = [list(column) for column in zip(*changed, strict=True)]
        moved = await (await connection.execute(_MOVE, columns)).fetchall()
        _require(len(changed), len(moved), [move.key for move in moves])


def _require(wanted: int, moved: int, keys: Sequence[InstanceKey]) -> None:
    if moved != wanted:
        names = ", ".join("/".join(key) for key in keys)
        raise ConsumerPositionConflict(f"another process has moved one of the strategies {names}")


async def position(connection: Connection, key: InstanceKey) -> Decimal:
    """The size of a position, negative if short; 0 if the strategy has none."""
    (size,) = await positions(connection, [key])
    return size


async def positions(connection: Connection, keys: Sequence[InstanceKey]) -> list[Decimal]:
    """The sizes of positions, in this order."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    rows = await (await connection.execute(_POSITIONS, columns)).fetchall()
    found = {InstanceKey(*key): Decimal(size) for *key, size in rows}
    return [found.get(key, FLAT) for key in keys]


async def keep_position(connection: Connection, key: InstanceKey, size: Decimal) -> None:
    """Keep the size of a position."""
    await connection.execute(_KEEP, [*key, size])
