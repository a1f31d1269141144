"""Recorded bars as columns."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

import numpy as np
from venuemesh.history.v1 import columns_pb2, history_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Database
from kit.base.errors import NotSupported
from kit.base.intervals import BY_NAME, BarInterval
from kit.base.number_columns import IntColumn, most, rescale
from kit.base.numbers import NumberError
from kit.marketdata.codec.protobuf_writer import ProtobufWriter
from kit.marketdata.model.channels import BAR_COLUMNS
from kit.marketdata.model.columns import Column, ColumnKind, NumberColumn
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType, Layout, MalformedCopy
from kit.storage.archive.copy_out import copy_out
from kit.storage.archive.copy_rows import CopyRows
from kit.storage.archive.slices import TimeSlices

LAYOUT = tuple(
    CopyColumn(
        column.name, CopyColumnType.NUMERIC if column.kind.is_scaled else CopyColumnType.INTEGER
    )
    for column in BAR_COLUMNS
)
TIME_LAYOUT = tuple(column for column in LAYOUT if column.name not in ("number", "close_time_ns"))
"""For time bars, whose end follows from their begin: each column costs the server as much as
reading the row."""
FIRST_SLICE_NS = 30 * 24 * 60 * 60 * NANOSECONDS_PER_SECOND
_WRITER = ProtobufWriter("bars", columns_pb2.BarColumns, history_pb2.ReadBarsResponse)


class BarSeries(NamedTuple):
    """The bars of one instrument and interval."""

    venue: str
    symbol: str
    interval: str
    as_of_ns: int
    """The revisions that were current at this time; 0: the newest."""

    @property
    def time_interval(self) -> BarInterval | None:
        """The interval of time bars; None for other kinds."""
        return BY_NAME.get(self.interval)

    @property
    def layout(self) -> Layout:
        """The columns that are read."""
        return LAYOUT if self.time_interval is None else TIME_LAYOUT

    def query(self, condition: str) -> str:
        """The statement for the bars that meet a condition."""
        columns = ", ".join(column.name for column in self.layout)
        names = ("venue", self.venue), ("symbol", self.symbol), ("interval", self.interval)
        whose = " AND ".join(f"{name} = {_quoted(value)}" for name, value in names)
        where = f"WHERE {whose} AND {condition}"
        if not self.as_of_ns:
            return f"SELECT {columns} FROM bars {where}"
        as_of_ns = self.as_of_ns
        return (
            f"SELECT {columns} FROM bars {where} AND written_time_ns <= {as_of_ns}"
            f" UNION ALL SELECT {columns} FROM bar_revisions {where}"
            f" AND written_time_ns <= {as_of_ns} AND superseded_time_ns > {as_of_ns}"
        )


class BarReader:
    """Reads one series."""

    def __init__(self, database: Database, series: BarSeries) -> None:
        self._database = database
        self._series = series

    async def columns(
        self, start_ns: int, end_ns: int, rows_max: int
    ) -> AsyncGenerator[bytes, None]:
        """Serialised BarColumns by open time, of ``rows_max`` rows, the last one of fewer."""
        if not (start_ns and end_ns):
            first_ns, last_ns = await self._bounds()
            start_ns, end_ns = start_ns or first_ns, end_ns or last_ns + 1
        waiting: list[CopyRows] = []
        count = 0
        slices = TimeSlices(self._read, start_ns, end_ns, first_slice_ns=FIRST_SLICE_NS)
        async with aclosing(slices.all()) as tables:
            async for table in tables:
                waiting.append(table)
                count += len(table)
                if count >= rows_max:
                    whole = CopyRows.joined(waiting)
                    for start in range(0, count - rows_max + 1, rows_max):
                        yield self._message(whole.take(slice(start, start + rows_max)))
                    waiting = [whole.take(slice(count - count % rows_max, count))]
                    count %= rows_max
        if count:
            yield self._message(CopyRows.joined(waiting))

    async def _bounds(self) -> tuple[int, int]:
        series = self._series
        async with self._database.transaction() as connection:
            rows = await connection.execute(
                "SELECT min(open_time_ns), max(open_time_ns) FROM bars"
                " WHERE venue = %s AND symbol = %s AND interval = %s",
                series[:3],
            )
            row = await rows.fetchone()
        assert row is not None
        return (0, -1) if row[0] is None else (row[0], row[1])

    async def _read(self, start_ns: int, end_ns: int, bytes_max: int) -> tuple[CopyRows, int]:
        condition = f"open_time_ns >= {start_ns} AND open_time_ns < {end_ns}"
        query = self._series.query(condition)
        async with self._database.transaction() as connection:
            try:
                table = await copy_out(connection, query, self._series.layout, bytes_max)
            except MalformedCopy as error:
                raise self._not_supported(error) from None
        open_time_ns = table.integers("open_time_ns")
        if self._series.time_interval is not None:
            close_time_ns = open_time_ns + self._series.time_interval.length_ns
            table = table.with_integers("close_time_ns", close_time_ns)
            table = table.with_integers("number", np.zeros(len(table), dtype=np.int64))
        if (open_time_ns[1:] > open_time_ns[:-1]).all():
            return table, len(table)
        return table.take(np.lexsort((table.integers("number"), open_time_ns))), len(table)

    def _message(self, table: CopyRows) -> bytes:
        scaled = {
            column: table.numbers(column.name) for column in BAR_COLUMNS if column.kind.is_scaled
        }
        price_scale = _places(scaled, ColumnKind.PRICE)
        # A value has the places of price and size together; the values may need more.
        size_scale = max(
            _places(scaled, ColumnKind.SIZE), _places(scaled, ColumnKind.VALUE) - price_scale
        )
        scales = {
            ColumnKind.PRICE: price_scale,
            ColumnKind.SIZE: size_scale,
            ColumnKind.VALUE: price_scale + size_scale,
        }
        try:
            columns: dict[str, IntColumn] = {
                column.name: rescale(numbers.unscaled, numbers.decimals, scales[column.kind])
                for column, numbers in scaled.items()
            }
        except NumberError as error:
            raise self._not_supported(error) from None
        for column in BAR_COLUMNS:
            if column not in scaled:
                columns[column.name] = table.integers(column.name)
        head = columns_pb2.BarColumns(price_scale=price_scale, size_scale=size_scale)
        return head.SerializeToString() + _WRITER.body(**columns)

    def _not_supported(self, error: Exception) -> NotSupported:
        return NotSupported(
            f"not every number fits 64 bits: {error}", service="archive", wanted="columns"
        )


def _places(columns: Mapping[Column, NumberColumn], kind: ColumnKind) -> int:
    """The most decimal places of the columns of a kind."""
    return max(most(found.decimals) for column, found in columns.items() if column.kind is kind)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
