"""The SQL tables of rows: how rows are selected, ordered, and made a batch again."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from kit.base.cursor import Channel
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.channels import TABLES, ChannelSchema
from kit.marketdata.model.columns import Column, ColumnKind, SymbolColumn
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType
from kit.storage.archive.copy_rows import CopyRows

TIME = "received_time_ns"
RANK = "rank"
"""The position of a row's instrument among the symbols that are read, which are sorted."""


class ArchiveTable:
    """The SQL table of one channel."""

    def __init__(self, channel: ChannelSchema) -> None:
        self._channel = channel
        self.layout = (CopyColumn("instrument_id"), *map(_copy_column, channel.columns))
        self._sort_columns = (TIME, RANK, *channel.sort_columns)
        self.text_instead = {
            column.name: column.unless for column in channel.columns if column.unless
        }
        """Columns that are null where the batch had a text column in their place."""

    def query(self, instrument_ids: Sequence[int], start_ns: int, end_ns: int) -> str:
        """The statement for rows received in a span of time."""
        names = ", ".join(column.name for column in self.layout)
        return (
            f"SELECT {names} FROM {self._channel.sql_table} WHERE {_is_one_of(instrument_ids)}"
            f" AND {TIME} >= {start_ns} AND {TIME} < {end_ns}"
        )

    def bounds_query(self, instrument_ids: Sequence[int]) -> str:
        """The statement for the first and the last received time."""
        table = self._channel.sql_table
        return f"SELECT min({TIME}), max({TIME}) FROM {table} WHERE {_is_one_of(instrument_ids)}"

    def in_order(self, rows: CopyRows) -> CopyRows:
        """The rows by received time, instrument and the channel's sort columns; rows equal in all
        of them keep their order."""
        time = rows.integers(TIME)
        if (time[1:] > time[:-1]).all():
            return rows
        order = np.argsort(time, kind="stable")
        time = time[order]
        same = time[1:] == time[:-1]
        tied = np.zeros(len(time), dtype=bool)
        tied[1:] |= same
        tied[:-1] |= same
        positions = np.flatnonzero(tied)
        chosen = order[positions]
        columns = [rows.integers(name)[chosen] for name in reversed(self._sort_columns)]
        order[positions] = chosen[np.lexsort(columns)]
        return rows.take(order)

    def draft(self, rows: CopyRows, names: Sequence[str]) -> BatchDraft:
        """A batch of rows that have the same columns null. ``names``: the symbols that are read.
        Raises NumberError when a number does not fit."""
        values = {column.name: self._values(rows, column) for column in self._channel.columns}
        return encode.rows(self._channel.rows(symbols=_symbols_of(rows, names), **values))

    def _values(self, rows: CopyRows, column: Column) -> Any:
        if column.kind.is_scaled:
            return rows.numbers(column.name)
        if column.kind is not ColumnKind.TEXT:
            return rows.integers(column.name)
        instead_of = [name for name, text in self.text_instead.items() if text == column.name]
        is_text = any(len(rows) and rows.nulls(name)[0] for name in instead_of)
        return rows.pooled(column.name).texts() if is_text else None


def _copy_column(column: Column) -> CopyColumn:
    null = column.zero_is_null or bool(column.unless) or column.kind is ColumnKind.TEXT
    if column.kind.is_scaled:
        return CopyColumn(column.name, CopyColumnType.NUMERIC, null)
    kind = CopyColumnType.BYTES if column.kind is ColumnKind.TEXT else CopyColumnType.INTEGER
    return CopyColumn(column.name, kind, null)


def _is_one_of(instrument_ids: Sequence[int]) -> str:
    return f"instrument_id = ANY ('{{{','.join(map(str, instrument_ids))}}}'::int[])"


def _symbols_of(rows: CopyRows, names: Sequence[str]) -> SymbolColumn:
    """The symbols of rows; those of ``names`` that no row has are left out."""
    rank = rows.integers(RANK)
    used = np.flatnonzero(np.bincount(rank, minlength=len(names)))
    position = np.zeros(len(names), dtype=np.int64)
    position[used] = np.arange(len(used))
    return SymbolColumn([names[number] for number in used.tolist()], position[rank])


RECORD_TABLES: Mapping[Channel, ArchiveTable] = MappingProxyType(
    {channel: ArchiveTable(table) for channel, table in TABLES.items()}
)
