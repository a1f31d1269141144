"""Calibration maps and what they are computed from, in PostgreSQL."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from venuemesh.events.v1 import calibrations_pb2, signals_pb2

from core.advisor.calibration.calibrator import POOL, Calibrator, RegimeSeries
from core.advisor.calibration.messages import map_message
from kit.base.database import Connection

_LOAD = (
    "SELECT strategy, is_pool, regime, sequence, series FROM advisor_calibrations"
    " WHERE strategy = ANY (%s)"
)
_MAPS = (
    "SELECT strategy, is_pool, regime, calibration FROM advisor_calibrations"
    " JOIN unnest(%s::text[], %s::text[]) AS wanted (name, of) ON strategy = name"
    " AND (is_pool OR regime = of)"
)
_REPORTS = "SELECT calibration FROM advisor_calibrations WHERE %s IN ('', strategy)"
_SAVE = (
    "INSERT INTO advisor_calibrations SELECT * FROM unnest(%s::text[], %s::boolean[], %s::text[],"
    " %s::bigint[], %s::bytea[], %s::bytea[]) ON CONFLICT (strategy, is_pool, regime) DO UPDATE"
    " SET sequence = excluded.sequence, calibration = excluded.calibration,"
    " series = excluded.series"
)


REGIME_LENGTH_MAX = 200


def regime_key(regime: str) -> str:
    """The regime as a key. A strategy may name it with any characters; PostgreSQL keeps no NUL, and
    bounds the length of keys."""
    return regime.replace("\0", "")[:REGIME_LENGTH_MAX]


class StoredSeries(NamedTuple):
    """The outcomes of a regime of a strategy, or of all its regimes."""

    sequence: int
    """Of the newest counted outcome in the stream of decisions."""
    series: RegimeSeries


class CalibrationRow(NamedTuple):
    """The map of a regime of a strategy, or of all its regimes, to be stored."""

    strategy: str
    regime: str | None
    sequence: int
    calibration: calibrations_pb2.CalibrationUpdated
    series: RegimeSeries


async def load(
    connection: Connection, strategies: Collection[str]
) -> dict[str, dict[str | None, StoredSeries]]:
    """What is stored of these strategies, by regime."""
    rows = await connection.execute(_LOAD, [list(strategies)])
    found: dict[str, dict[str | None, StoredSeries]] = {}
    async for strategy, is_pool, regime, sequence, body in rows:
        series = msgspec.msgpack.decode(bytes(body), type=RegimeSeries)
        key = POOL if is_pool else regime
        found.setdefault(strategy, {})[key] = StoredSeries(sequence, series)
    return found


async def load_maps(
    connection: Connection, signals: Collection[signals_pb2.SignalRaised]
) -> list[calibrations_pb2.CalibrationMap]:
    """The map in force for each signal: of its regime, or of all regimes of its strategy."""
    keys = [(signal.strategy, regime_key(signal.regime)) for signal in signals]
    wanted = [list(column) for column in zip(*set(keys), strict=True)] or [[], []]
    rows = await connection.execute(_MAPS, wanted)
    found = {
        (strategy, POOL if is_pool else regime): read.map
        async for strategy, is_pool, regime, body in rows
        for read in [calibrations_pb2.CalibrationUpdated.FromString(bytes(body))]
    }
    return [
        found.get((strategy, regime)) or found.get((strategy, POOL)) or first_map(strategy)
        for strategy, regime in keys
    ]


def first_map(strategy: str) -> calibrations_pb2.CalibrationMap:
    """The map of a strategy without outcomes."""
    return map_message(strategy, POOL, Calibrator().maps[POOL])


async def load_reports(
    connection: Connection, strategy: str
) -> list[calibrations_pb2.CalibrationUpdated]:
    """The maps in force of a strategy, or of all if it is empty."""
    rows = await connection.execute(_REPORTS, [strategy])
    return [calibrations_pb2.CalibrationUpdated.FromString(bytes(row[0])) async for row in rows]


async def save(connection: Connection, rows: Sequence[CalibrationRow]) -> None:
    """Store these maps and series."""
    arguments = [
        [one.strategy for one in rows],
        [one.regime is POOL for one in rows],
        [one.regime or "" for one in rows],
        [one.sequence for one in rows],
        [one.calibration.SerializeToString(deterministic=True) for one in rows],
        [msgspec.msgpack.encode(one.series) for one in rows],
    ]
    await connection.execute(_SAVE, arguments)
