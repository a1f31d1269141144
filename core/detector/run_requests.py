"""Stores which strategies people have started, stopped and paused."""

from dataclasses import dataclass

from psycopg.types.json import Jsonb

from core.detector.evaluation import StrategySource
from kit.base.database import Connection

_LIST = "SELECT name, runs, is_paused, changes FROM detector_strategies"
_LOAD = (
    "SELECT source, file, strategy, parameters FROM detector_strategies"
    " WHERE name = %s AND source IS NOT NULL"
)
_START = (
    "INSERT INTO detector_strategies VALUES (%s, true, %s, %s, %s, %s, 1)"
    " ON CONFLICT (name) DO UPDATE SET runs = true, source = excluded.source, file = excluded.file,"
    " strategy = excluded.strategy, parameters = excluded.parameters, is_paused = false,"
    " changes = detector_strategies.changes + 1"
)
_SWITCH = (
    "INSERT INTO detector_strategies VALUES (%s, %s, NULL, '', '', '{}', 1, %s)"
    " ON CONFLICT (name) DO UPDATE SET runs = excluded.runs, is_paused = excluded.is_paused,"
    " changes = detector_strategies.changes + 1"
)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The last start, stop, pause or resumption of a strategy by a person."""

    runs: bool = True
    is_paused: bool = False
    changes: int = 0
    """Grows with each of them; 0: none yet."""


async def listed(connection: Connection) -> dict[str, RunRequest]:
    """By name of the strategy."""
    rows = await (await connection.execute(_LIST)).fetchall()
    return {name: RunRequest(*row) for name, *row in rows}


async def source_of(connection: Connection, name: str) -> StrategySource | None:
    """None: it is one of the folder."""
    row = await (await connection.execute(_LOAD, [name])).fetchone()
    return None if row is None else StrategySource(bytes(row[0]), row[1], row[2], row[3])


async def start(connection: Connection, name: str, source: StrategySource) -> None:
    """Run a strategy from a file that was sent."""
    parameters = Jsonb(dict(source.parameters))
    arguments = [name, source.content, source.file, source.strategy, parameters]
    await connection.execute(_START, arguments)


async def switch(connection: Connection, name: str, *, runs: bool, is_paused: bool = False) -> None:
    """Start, stop, pause or resume a strategy that is known."""
    await connection.execute(_SWITCH, [name, runs, is_paused])
