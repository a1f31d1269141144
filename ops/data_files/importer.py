"""Adds the rows of a file to the record: all or none, each once.

Rows are staged, compared with each other and with the record, and what is new is added. What is
recorded stays as it is. A trade that is recorded with a time in ms is the same trade as in an
archive with a time in us.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as csv

from kit.base.number_columns import IntColumn
from ops.data_files import import_statements
from ops.data_files.exporter import as_text
from ops.data_files.file_layouts import CLOSE_TIME, FileRowKind
from ops.data_files.file_reader import FilePart
from ops.errors import OperationsError

DAY_NS = 86_400 * 10**9
SECOND_NS = 10**9
MILLISECOND_NS = 10**6

Connection = psycopg.AsyncConnection[Any]


@dataclass(slots=True)
class ImportResult:
    """The outcome of an import."""

    read: int = 0
    added: int = 0
    recorded_already: int = 0
    twice_in_the_file: int = 0
    out_of_order: int = 0
    other_than_recorded: int = 0
    left_out: int = 0

    def __str__(self) -> str:
        return ", ".join(
            f"{getattr(self, field.name):,} {field.name.replace('_', ' ')}"
            for field in fields(self)
            if field.name in ("read", "added") or getattr(self, field.name)
        )


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """The venue and symbol of the rows."""

    venue: str
    symbol: str
    file_name: str


async def take(
    connection: Connection, parts: Iterable[FilePart], target: ImportTarget
) -> ImportResult:
    """Add the rows. The connection commits by itself. Raises OperationsError for rows that
    contradict each other, and what psycopg raises."""
    outcome = ImportResult()
    staging = _Staging(connection, outcome)
    holds = None
    for part in parts:
        if holds is None:
            holds = part.holds
            await staging.begin(holds)
        await staging.add(part)
    if holds is None:
        return outcome
    table = "candle_rows" if holds is FileRowKind.CANDLES else "trade_rows"
    for day_ns in sorted(staging.days):
        # One transaction each, so that no other transaction waits long.
        await connection.execute("SELECT make_days(%s, %s)", [table, [day_ns * DAY_NS]])
    async with connection.transaction():
        if holds is FileRowKind.CANDLES:
            await _add_candles(connection, target, outcome)
        else:
            await _add_trades(connection, target, holds, outcome)
    return outcome


class _Staging:
    """A temporary table with the rows of the file."""

    def __init__(self, connection: Connection, outcome: ImportResult) -> None:
        self.days: set[int] = set()
        """UTC days, counted from 1970."""
        self._connection = connection
        self._outcome = outcome
        self._last: int | None = None
        self._interval_ns = 0

    async def begin(self, holds: FileRowKind) -> None:
        create = (
            import_statements.STAGE_CANDLES
            if holds is FileRowKind.CANDLES
            else import_statements.STAGE_TRADES
        )
        await self._connection.execute(create)

    async def add(self, part: FilePart) -> None:
        table = part.table
        is_candles = part.holds is FileRowKind.CANDLES
        times: IntColumn = table["open_time_ns" if is_candles else "venue_time_ns"].to_numpy()
        if not len(times):
            return
        self.days.update(np.unique(times // DAY_NS).tolist())
        self._outcome.read += len(times)
        self._count_disorder(times)
        if is_candles:
            table = self._with_interval(table)
        buffer = BytesIO()
        csv.write_csv(as_text(table), buffer, csv.WriteOptions(include_header=False))
        columns = ", ".join(table.column_names)
        statement = f"COPY staged ({columns}) FROM STDIN (FORMAT csv)"
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            await copy.write(buffer.getbuffer())

    def _count_disorder(self, times: IntColumn) -> None:
        before = times[0] if self._last is None else self._last
        self._outcome.out_of_order += int((np.diff(times, prepend=before) < 0).sum())
        self._last = int(times[-1])

    def _with_interval(self, table: Any) -> Any:
        """The length of the candles. Their last moment depends on the unit of the file."""
        opens, closes = table["open_time_ns"].to_numpy(), table[CLOSE_TIME].to_numpy()
        lengths = -(-(closes - opens) // SECOND_NS)
        self._interval_ns = self._interval_ns or int(lengths[0])
        if (lengths != self._interval_ns).any():
            raise OperationsError("the candles of the file have different lengths")
        return table.append_column("interval_s", pa.array(lengths))


async def _add_trades(
    connection: Connection, target: ImportTarget, holds: FileRowKind, outcome: ImportResult
) -> None:
    row = await _one(connection, import_statements.CONTRADICTION, {})
    if row is not None:
        raise OperationsError(f"trade {row[0]} is in the file twice, with different values")
    values = await _values(connection, target)
    other = holds is not FileRowKind.AGGREGATES
    left_out = await connection.execute(
        import_statements.LEAVE_OUT_DAYS, {**values, "of_aggregates": other}
    )
    outcome.left_out = left_out.rowcount
    distinct = await _one(connection, import_statements.DISTINCT, {})
    assert distinct is not None
    outcome.twice_in_the_file = outcome.read - outcome.left_out - distinct[0]
    differing = await _one(connection, import_statements.DIFFERING, values)
    assert differing is not None
    outcome.other_than_recorded = differing[0]
    added = await connection.execute(import_statements.ADD_TRADES, values)
    outcome.added = added.rowcount
    outcome.recorded_already = distinct[0] - outcome.added - outcome.other_than_recorded
    await connection.execute(import_statements.NOTE_SPANS, values)


async def _add_candles(connection: Connection, target: ImportTarget, outcome: ImportResult) -> None:
    row = await _one(connection, import_statements.CANDLE_CONTRADICTION, {})
    if row is not None:
        moment = np.datetime64(row[0], "ns")
        raise OperationsError(f"the candle of {moment} is in the file twice, with different values")
    distinct = await _one(connection, import_statements.CANDLE_DISTINCT, {})
    assert distinct is not None
    added = await connection.execute(
        import_statements.ADD_CANDLES, await _values(connection, target)
    )
    outcome.added = added.rowcount
    outcome.twice_in_the_file = outcome.read - distinct[0]
    outcome.recorded_already = distinct[0] - outcome.added


async def _values(connection: Connection, target: ImportTarget) -> dict[str, object]:
    names = [target.venue, target.symbol]
    await connection.execute(
        "INSERT INTO instruments (venue, symbol) VALUES (%s, %s) ON CONFLICT DO NOTHING", names
    )
    found = await connection.execute(
        "SELECT instrument_id FROM instruments WHERE venue = %s AND symbol = %s", names
    )
    row = await found.fetchone()
    assert row is not None
    return {"instrument_id": row[0], "file_name": target.file_name}


async def _one(
    connection: Connection, statement: bytes, values: dict[str, object]
) -> tuple[Any, ...] | None:
    found = await connection.execute(statement, values)
    row: tuple[Any, ...] | None = await found.fetchone()
    return row
