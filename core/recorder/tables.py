"""What of a chunk goes into which table, as PostgreSQL takes it fastest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from venuemesh.common.v1 import types_pb2

from core.recorder.binary_copy import Buffer, Field, Integers, Numerics, encode
from core.recorder.chunk import BookBatch, Chunk, FoundGap, ScaledInstrument
from core.recorder.columns import Columns
from kit.numbers import IntColumn, Places

Copy = psycopg.AsyncCopy
InstrumentIds = Mapping[tuple[str, str], int]
"""(venue, symbol) to the number in the table "instruments"."""


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Many rows, encoded already."""

    table: str
    columns: str
    row_count: int
    data: Sequence[Buffer]

    async def send(self, copy: Copy) -> None:
        """Write them into a binary COPY of the table."""
        for part in self.data:
            await copy.write(part)


@dataclass(frozen=True, slots=True)
class FewRows:
    """Rows that are too few to be worth the trouble, or too different."""

    table: str
    columns: str
    types: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(self.rows)

    async def send(self, copy: Copy) -> None:
        """Write them into a binary COPY of the table."""
        copy.set_types(self.types)
        for row in self.rows:
            await copy.write_row(row)


Rows = EncodedRows | FewRows


def rows_of(chunk: Chunk, ids: InstrumentIds) -> list[Rows]:
    """Everything that is to be written, table by table; tables without rows are left out."""
    instruments = list(chunk.instruments)
    tables: list[Rows] = []
    if chunk.trades:
        tables.append(_trades(chunk.trades, instruments, ids))
    if chunk.text_trades:
        tables.append(_text_trades(chunk.text_trades, chunk.text_ids, instruments, ids))
    if chunk.quotes:
        tables.append(_quotes(chunk.quotes, instruments, ids))
    if chunk.book_batches:
        tables.append(_book_batches(chunk.book_batches, ids))
    if chunk.gaps:
        tables.append(_gaps(chunk.gaps))
    return tables


def _trades(
    columns: Columns, instruments: Sequence[ScaledInstrument], ids: InstrumentIds
) -> EncodedRows:
    place = _Place(columns.column("place"), instruments, ids)
    fields = [*_trade_fields(columns, place), Integers(columns.column("trade_id")[place.order], 8)]
    names = "instrument_id, side, venue_time_ns, received_time_ns, price, size, trade_id"
    return EncodedRows("trade_rows", names, len(columns), encode(len(columns), fields))


def _text_trades(
    columns: Columns,
    text_ids: Sequence[str],
    instruments: Sequence[ScaledInstrument],
    ids: InstrumentIds,
) -> EncodedRows:
    place = _Place(columns.column("place"), instruments, ids)
    texts = [text_ids[row].encode() for row in np.arange(len(columns))[place.order].tolist()]
    names = "instrument_id, side, venue_time_ns, received_time_ns, price, size, trade_id_text"
    data = encode(len(columns), _trade_fields(columns, place), texts)
    return EncodedRows("trade_rows", names, len(columns), data)


def _trade_fields(columns: Columns, place: "_Place") -> list[Field]:
    side = columns.column("side")
    known = (side == types_pb2.SIDE_BUY) | (side == types_pb2.SIDE_SELL)
    return [
        Integers(place.instrument_id, 4),
        Integers(np.where(known, side, 0)[place.order], 2),
        Integers(columns.column("venue_time_ns")[place.order], 8),
        Integers(columns.column("received_time_ns")[place.order], 8),
        Numerics(columns.column("price")[place.order], place.price_scale),
        Numerics(columns.column("size")[place.order], place.size_scale),
    ]


def _quotes(
    columns: Columns, instruments: Sequence[ScaledInstrument], ids: InstrumentIds
) -> EncodedRows:
    place = _Place(columns.column("place"), instruments, ids)
    whole = ("venue_time_ns", "received_time_ns", "sequence")
    fields: list[Field] = [
        Integers(place.instrument_id, 4),
        *(Integers(columns.column(name)[place.order], 8) for name in whole),
        Numerics(columns.column("bid_price")[place.order], place.price_scale),
        Numerics(columns.column("bid_size")[place.order], place.size_scale),
        Numerics(columns.column("ask_price")[place.order], place.price_scale),
        Numerics(columns.column("ask_size")[place.order], place.size_scale),
    ]
    names = (
        "instrument_id, venue_time_ns, received_time_ns, sequence, "
        "bid_price, bid_size, ask_price, ask_size"
    )
    return EncodedRows("quote_rows", names, len(columns), encode(len(columns), fields))


def _book_batches(batches: Sequence[BookBatch], ids: InstrumentIds) -> FewRows:
    return FewRows(
        "book_batch_rows",
        "venue, epoch, sequence, first_received_time_ns, last_received_time_ns, update_count, "
        "instrument_ids, snapshot_instrument_ids, batch",
        ("text", "int8", "int8", "int8", "int8", "int4", "int4[]", "int4[]", "bytea"),
        [
            (
                batch.venue,
                *batch.cursor,
                batch.first_received_time_ns,
                batch.last_received_time_ns,
                batch.update_count,
                sorted(ids[batch.venue, symbol] for symbol in batch.symbols),
                sorted(ids[batch.venue, symbol] for symbol in batch.snapshot_symbols),
                batch.batch,
            )
            for batch in batches
        ],
    )


def _gaps(gaps: Sequence[FoundGap]) -> FewRows:
    return FewRows(
        "gap_rows",
        "venue, channel, epoch, sequence, ordinal, symbol, reason, last_id_before, first_id_after, "
        "last_time_ns, first_time_ns, detected_time_ns, detail",
        (
            *("text", "int2", "int8", "int8", "int4", "text", "int4"),
            *("int8", "int8", "int8", "int8", "int8", "text"),
        ),
        [
            (
                found.key.venue,
                found.key.channel,
                *found.cursor,
                found.ordinal,
                found.gap.symbol or None,
                found.gap.reason,
                found.gap.last_id_before,
                found.gap.first_id_after,
                found.gap.last_time_ns,
                found.gap.first_time_ns,
                found.gap.detected_time_ns,
                found.gap.detail.replace("\0", ""),
            )
            for found in gaps
        ],
    )


class _Place:
    """What the column "place" stands for, row by row, with the rows in a better order.

    Rows of one instrument are neighbours in every index, so written together they touch fewer
    pages. Within an instrument the order stays.
    """

    def __init__(
        self, place: IntColumn, instruments: Sequence[ScaledInstrument], ids: InstrumentIds
    ) -> None:
        used: list[int] = np.unique(place).tolist()
        known = {number: instruments[number] for number in used}
        id_of = {number: ids[found.venue, found.symbol] for number, found in known.items()}
        instrument_id = _looked_up(place, id_of)
        self.order: slice | NDArray[np.intp] = slice(None)
        if len(set(id_of.values())) > 1:
            self.order = np.argsort(instrument_id, kind="stable")
        self.instrument_id = instrument_id[self.order]
        price_scales = {number: found.price_scale for number, found in known.items()}
        size_scales = {number: found.size_scale for number, found in known.items()}
        self.price_scale = _scale(place[self.order], price_scales)
        self.size_scale = _scale(place[self.order], size_scales)


def _scale(place: IntColumn, scales: Mapping[int, int]) -> Places:
    different = set(scales.values())
    return different.pop() if len(different) == 1 else _looked_up(place, scales)


def _looked_up(place: IntColumn, values: Mapping[int, int]) -> IntColumn:
    table = np.zeros(max(values, default=0) + 1, dtype=np.int64)
    table[list(values.keys())] = list(values.values())
    found: IntColumn = table[place]
    return found
