"""Channels whose events are rows of one table each: which column of a batch goes where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from venuemesh.common.v1 import types_pb2

from core.recorder.binary_copy import Field, Integers, Nullable, Numerics, encode
from core.recorder.columns import Columns, InstrumentIds, ScaledInstrument
from core.recorder.rows import EncodedRows, days_of
from kit.base.cursor import Channel
from kit.base.numbers import IntColumn, Places


class Kind(Enum):
    """What a column of a table is."""

    SMALLINT = 2
    INTEGER = 4
    BIGINT = 8
    BOOLEAN = 1
    PRICE = "price_scale"
    SIZE = "size_scale"
    RATE = "rate_scale"


@dataclass(frozen=True, slots=True)
class Target:
    """A column of a table, named as in the batch."""

    name: str
    kind: Kind
    null_when_0: bool = False
    """0 means that the venue does not say."""


@dataclass(frozen=True, slots=True)
class RowTable:
    """A table with one row for each event."""

    table: str
    cut_by: str
    """The time that tells the day of a row."""
    targets: tuple[Target, ...]
    key: tuple[str, ...] = ()
    """Besides the instrument. Of rows with the same key only the last one of a chunk is kept."""
    on_conflict: str = "DO NOTHING"
    """What becomes of a row that is there already."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the batch that go into the table."""
        return tuple(target.name for target in self.targets)


TIMES = (Target("venue_time_ns", Kind.BIGINT), Target("received_time_ns", Kind.BIGINT))
TRADES = RowTable(
    "trade_rows",
    "venue_time_ns",
    (
        *TIMES,
        Target("side", Kind.SMALLINT),
        Target("price", Kind.PRICE),
        Target("size", Kind.SIZE),
        Target("trade_id", Kind.BIGINT),
    ),
)
TEXT_TRADES = replace(TRADES, targets=TRADES.targets[:-1])
"""Those whose ids are texts, which follow as the last column."""
QUOTES = RowTable(
    "quote_rows",
    "received_time_ns",
    (
        *TIMES,
        Target("sequence", Kind.BIGINT),
        Target("bid_price", Kind.PRICE),
        Target("bid_size", Kind.SIZE),
        Target("ask_price", Kind.PRICE),
        Target("ask_size", Kind.SIZE),
    ),
)
TICKERS = RowTable(
    "ticker_rows",
    "received_time_ns",
    (
        *TIMES,
        Target("last_price", Kind.PRICE, null_when_0=True),
        Target("open_price", Kind.PRICE, null_when_0=True),
        Target("high_price", Kind.PRICE, null_when_0=True),
        Target("low_price", Kind.PRICE, null_when_0=True),
        Target("volume", Kind.SIZE, null_when_0=True),
    ),
)
MARKS = RowTable(
    "mark_rows",
    "received_time_ns",
    (
        *TIMES,
        Target("mark_price", Kind.PRICE, null_when_0=True),
        Target("index_price", Kind.PRICE, null_when_0=True),
        Target("funding_rate", Kind.RATE, null_when_0=True),
        Target("next_funding_time_ns", Kind.BIGINT, null_when_0=True),
    ),
)
CANDLES = RowTable(
    "candle_rows",
    "open_time_ns",
    (
        *TIMES,
        Target("interval_s", Kind.INTEGER),
        Target("open_time_ns", Kind.BIGINT),
        Target("open", Kind.PRICE),
        Target("high", Kind.PRICE),
        Target("low", Kind.PRICE),
        Target("close", Kind.PRICE),
        Target("volume", Kind.SIZE),
        Target("closed", Kind.BOOLEAN),
    ),
    key=("interval_s", "open_time_ns"),
    on_conflict="(instrument_id, interval_s, open_time_ns) DO UPDATE SET"
    " venue_time_ns = excluded.venue_time_ns, received_time_ns = excluded.received_time_ns,"
    " open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,"
    " volume = excluded.volume, closed = excluded.closed",
)
FLAT: Mapping[Channel, RowTable] = {
    types_pb2.CHANNEL_TRADES: TRADES,
    types_pb2.CHANNEL_QUOTES: QUOTES,
    types_pb2.CHANNEL_TICKERS: TICKERS,
    types_pb2.CHANNEL_MARKS: MARKS,
    types_pb2.CHANNEL_CANDLES: CANDLES,
}


def rows_of(
    flat: RowTable,
    columns: Columns,
    instruments: Sequence[ScaledInstrument],
    ids: InstrumentIds,
    texts: Sequence[str] | None = None,
) -> EncodedRows:
    """Encoded for the table of a channel; ``texts`` are trade ids."""
    place = _Place(columns, instruments, ids, flat.key)
    fields: list[Field] = [Integers(place.instrument_id, 4)]
    fields += [_field(target, columns, place) for target in flat.targets]
    names = ["instrument_id", *flat.names]
    ordered = None
    if texts is not None:
        names.append("trade_id_text")
        ordered = [texts[row].encode() for row in np.arange(len(columns))[place.order].tolist()]
    return EncodedRows(
        table=flat.table,
        columns=", ".join(names),
        row_count=len(place.instrument_id),
        data=encode(len(place.instrument_id), fields, ordered),
        on_conflict=flat.on_conflict,
        staged=bool(flat.key),
        days_ns=days_of(columns.column(flat.cut_by)),
    )


def _field(target: Target, columns: Columns, place: "_Place") -> Field:
    values = columns.column(target.name)[place.order]
    field: Field
    match target.kind:
        case Kind.PRICE | Kind.SIZE | Kind.RATE:
            field = Numerics(values, place.scale(target.kind.value))
        case Kind.SMALLINT:
            known = (values == types_pb2.SIDE_BUY) | (values == types_pb2.SIDE_SELL)
            field = Integers(np.where(known, values, 0), 2)
        case _:
            field = Integers(values, target.kind.value)
    return Nullable(field, values == 0) if target.null_when_0 else field


class _Place:
    """What the column "place" stands for, row by row, with the rows in a better order.

    Rows of one instrument are neighbours in every index, so written together they touch fewer
    pages. Within an instrument the order stays.
    """

    def __init__(
        self,
        columns: Columns,
        instruments: Sequence[ScaledInstrument],
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
    """Of rows with the same key the last, ordered by key."""
    order = np.lexsort((np.arange(len(key[0])), *reversed(key)))
    is_last = np.ones(len(order), dtype=bool)
    is_last[:-1] = np.any([part[order][1:] != part[order][:-1] for part in key], axis=0)
    return order[is_last]


def _looked_up(place: IntColumn, values: Mapping[int, int]) -> IntColumn:
    table = np.zeros(max(values, default=0) + 1, dtype=np.int64)
    table[list(values.keys())] = list(values.values())
    found: IntColumn = table[place]
    return found
