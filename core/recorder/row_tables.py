"""Channels whose events are rows of one SQL table each: encodes the columns of batches for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from venuemesh.common.v1 import types_pb2

from core.recorder.binary_copy import CopyField, IntegerField, NullableField, NumericField, encode
from core.recorder.column_buffer import ColumnBuffer, InstrumentIds, VenueInstrumentScale
from core.recorder.table_writes import BinaryCopyRows, days_of
from kit.base.cursor import Channel
from kit.base.number_columns import IntColumn, Places
from kit.marketdata.model.channels import TABLES, ChannelSchema
from kit.marketdata.model.columns import Column, ColumnKind


@dataclass(frozen=True, slots=True)
class RowTable:
    """An SQL table with one row for each event, and the columns that go into it."""

    channel: ChannelSchema
    columns: tuple[Column, ...]
    """Fields of the batch's message."""
    text: str = ""
    """A column of texts, which are written last."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def on_conflict(self) -> str:
        """How to handle a row whose key is in the table already."""
        key = self.channel.key_columns
        if not key:
            return "DO NOTHING"
        changes = [f"{name} = excluded.{name}" for name in self.names if name not in key]
        return f"({', '.join(('instrument_id', *key))}) DO UPDATE SET {', '.join(changes)}"


def _row_table(table: ChannelSchema, text: str = "") -> RowTable:
    columns = [column for column in table.columns if column.kind is not ColumnKind.TEXT]
    return RowTable(table, tuple(one for one in columns if not text or one.unless != text), text)


ROW_TABLES: Mapping[Channel, RowTable] = MappingProxyType(
    {channel: _row_table(table) for channel, table in TABLES.items()}
)
TEXT_TRADES = _row_table(TABLES[types_pb2.CHANNEL_TRADES], "trade_id_text")
"""For trades whose ids are texts."""


def rows_of(
    table: RowTable,
    columns: ColumnBuffer,
    instruments: Sequence[VenueInstrumentScale],
    ids: InstrumentIds,
    texts: Sequence[str] | None = None,
) -> BinaryCopyRows:
    """Rows for the SQL table. ``texts``: the values of its text column."""
    key = table.channel.key_columns
    place = _RowOrder(columns, instruments, ids, key)
    fields: list[CopyField] = [IntegerField(place.instrument_id, 4)]
    fields += [_field(column, columns, place) for column in table.columns]
    names = ["instrument_id", *table.names]
    ordered = None
    if texts is not None:
        names.append(table.text)
        ordered = [texts[row].encode() for row in np.arange(len(columns))[place.order].tolist()]
    return BinaryCopyRows(
        table=table.channel.sql_table,
        columns=", ".join(names),
        row_count=len(place.instrument_id),
        data=encode(len(place.instrument_id), fields, ordered),
        on_conflict=table.on_conflict,
        staged=bool(key),
        days_ns=days_of(columns.column(table.channel.day_column)),
    )


def _field(column: Column, columns: ColumnBuffer, place: "_RowOrder") -> CopyField:
    values = columns.column(column.name)[place.order]
    field: CopyField
    if column.kind.is_scaled:
        field = NumericField(values, place.scale(column.kind.value))
    else:
        if column.kind is ColumnKind.SIDE:
            known = (values == types_pb2.SIDE_BUY) | (values == types_pb2.SIDE_SELL)
            values = np.where(known, values, 0)
        field = IntegerField(values, column.sql_bytes)
    return NullableField(field, values == 0) if column.zero_is_null else field


class _RowOrder:
    """The instrument of each row, and the order in which rows are written.

    Rows of one instrument are neighbours in every index, so writing them together touches fewer
    pages. Within an instrument the order stays.
    """

    def __init__(
        self,
        columns: ColumnBuffer,
        instruments: Sequence[VenueInstrumentScale],
        ids: InstrumentIds,
        key: Sequence[str],
    ) -> None:
        place = columns.column("place")
        self._known = {number: instruments[number] for number in np.unique(place).tolist()}
        id_of = {number: ids[found.venue, found.symbol] for number, found in self._known.items()}
        instrument_id = _looked_up(place, id_of)
        self.order: slice | NDArray[np.intp] = slice(None)
        if key:
            self.order = _last_of_each([instrument_id, *map(columns.column, key)])
        elif len(set(id_of.values())) > 1:
            self.order = np.argsort(instrument_id, kind="stable")
        self.instrument_id = instrument_id[self.order]
        self._place = place[self.order]

    def scale(self, name: str) -> Places:
        """Decimal places of the numbers of one kind, for all rows or row by row."""
        scales = {number: getattr(found, name) for number, found in self._known.items()}
        different = set(scales.values())
        return different.pop() if len(different) == 1 else _looked_up(self._place, scales)


def _last_of_each(key: Sequence[IntColumn]) -> NDArray[np.intp]:
    """The last of the rows with each key, ordered by key."""
    order = np.lexsort((np.arange(len(key[0])), *reversed(key)))
    is_last = np.ones(len(order), dtype=bool)
    is_last[:-1] = np.any([part[order][1:] != part[order][:-1] for part in key], axis=0)
    return order[is_last]


def _looked_up(place: IntColumn, values: Mapping[int, int]) -> IntColumn:
    table = np.zeros(max(values, default=0) + 1, dtype=np.int64)
    table[list(values.keys())] = list(values.values())
    found: IntColumn = table[place]
    return found
