"""Stores inputs of strategies that are not in the record: first bars and positions."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from core.detector.store import InstanceKey
from kit.base.database import Connection

_OF = "(strategy, venue, symbol) = (%s, %s, %s)"
_BEGIN = "INSERT INTO detector_runs VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_SEE = "INSERT INTO detector_seen_positions VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_NEWEST = f"SELECT size FROM detector_seen_positions WHERE {_OF} ORDER BY open_time_ns DESC LIMIT 1"
_RUNS = (
    f"SELECT open_time_ns, warm_up_time_ns, version FROM detector_runs WHERE {_OF}"
    " ORDER BY open_time_ns"
)
_POSITIONS = (
    f"SELECT open_time_ns, size FROM detector_seen_positions WHERE {_OF} ORDER BY open_time_ns"
)


class StrategyRun(NamedTuple):
    """The first bars of a run of a strategy."""

    open_time_ns: int
    """Time of the first bar that could raise a signal."""
    warm_up_time_ns: int
    """Time of the first bar of the warm-up; the same without a warm-up."""
    version: str


class SeenPosition(NamedTuple):
    """The position of the strategy from this bar on."""

    open_time_ns: int
    size: Decimal


async def record_run(connection: Connection, key: InstanceKey, run: StrategyRun) -> None:
    await connection.execute(_BEGIN, [*key, *run])


async def record_position(connection: Connection, key: InstanceKey, seen: SeenPosition) -> None:
    await connection.execute(_SEE, [*key, *seen])


async def newest_position(connection: Connection, key: InstanceKey) -> Decimal | None:
    """The newest stored position; None before its first bar."""
    row = await (await connection.execute(_NEWEST, list(key))).fetchone()
    return None if row is None else Decimal(row[0])


async def runs(connection: Connection, key: InstanceKey) -> Sequence[StrategyRun]:
    rows = await (await connection.execute(_RUNS, list(key))).fetchall()
    return [StrategyRun(*row) for row in rows]


async def positions(connection: Connection, key: InstanceKey) -> Sequence[SeenPosition]:
    rows = await (await connection.execute(_POSITIONS, list(key))).fetchall()
    return [SeenPosition(open_time_ns, Decimal(size)) for open_time_ns, size in rows]
