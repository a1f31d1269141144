"""Rows as columns of exact numbers: what the parsers of venues make, one class per channel.

The annotations of a class say what each column holds. ``kit.marketdata.model.channels`` reads them:
the codec, the recorder and the readers of the record follow from there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.number_columns import IntColumn, Places, most, parse_column

SIDE_BUY = int(types_pb2.SIDE_BUY)
SIDE_SELL = int(types_pb2.SIDE_SELL)


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of exact numbers: value = unscaled / 10^decimals."""

    unscaled: IntColumn
    decimals: Places
    """One number for all rows, or one per row."""

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "NumberColumn":
        """Parse decimal texts. Raises NumberError."""
        return cls(*parse_column(texts))

    @classmethod
    def compact(cls, unscaled: IntColumn, decimals: IntColumn) -> "NumberColumn":
        """Numbers with one count of decimal places where all rows have the same."""
        if len(decimals) == 0:
            return cls(unscaled, 0)
        first = int(decimals[0])
        return cls(unscaled, first if (decimals == first).all() else decimals)

    def take(self, rows: IntColumn) -> "NumberColumn":
        decimals = self.decimals if isinstance(self.decimals, int) else self.decimals[rows]
        return NumberColumn(self.unscaled[rows], decimals)

    def spread(self, rows: IntColumn, count: int) -> "NumberColumn":
        """A column of ``count`` rows with the numbers at these rows and 0 elsewhere."""
        unscaled, decimals = zeros(count), zeros(count)
        unscaled[rows], decimals[rows] = self.unscaled, self.decimals
        return NumberColumn.compact(unscaled, decimals)

    def __len__(self) -> int:
        return len(self.unscaled)


@dataclass(frozen=True, slots=True)
class SymbolColumn:
    """The distinct symbols of rows, and each row's position among them."""

    names: list[str]
    row: IntColumn

    @classmethod
    def of(cls, symbols: Sequence[str]) -> "SymbolColumn":
        """Symbols in the order of first appearance."""
        names = list(dict.fromkeys(symbols))
        if len(names) == 1:
            return cls(names, np.zeros(len(symbols), dtype=np.int64))
        position = {name: index for index, name in enumerate(names)}
        return cls(names, np.fromiter(map(position.__getitem__, symbols), np.int64, len(symbols)))

    def take(self, rows: IntColumn) -> "SymbolColumn":
        """These rows only, without names that none of them has."""
        used, row = np.unique(self.row[rows], return_inverse=True)
        return SymbolColumn([self.names[number] for number in used.tolist()], row)

    def counts(self) -> list[int]:
        """Number of rows of each symbol."""
        counts: list[int] = np.bincount(self.row, minlength=len(self.names)).tolist()
        return counts

    def rows_of(self) -> Iterator[tuple[str, IntColumn]]:
        """Each symbol with its rows, in order."""
        if len(self.names) == 1:
            yield self.names[0], np.arange(len(self.row))
            return
        order = np.argsort(self.row, kind="stable")
        bounds = np.searchsorted(self.row[order], np.arange(1, len(self.names)))
        yield from zip(self.names, np.split(order, bounds), strict=True)

    def per_row(self) -> list[str]:
        """The symbol of each row."""
        return [self.names[number] for number in self.row.tolist()]

    def most(self, columns: Sequence[NumberColumn]) -> list[int]:
        """The most decimal places that each symbol has in these columns; 0 for one without rows."""
        if len(self.names) == 1 or all(isinstance(column.decimals, int) for column in columns):
            places = max([most(column.decimals) for column in columns], default=0)
            return [places if count else 0 for count in self.counts()]
        result = np.zeros(len(self.names), dtype=np.int64)
        for column in columns:
            np.maximum.at(result, self.row, column.decimals)
        return result.tolist()


@dataclass(frozen=True, slots=True)
class PriceLevels:
    """Price levels of many book updates, one update after another."""

    count: IntColumn
    """Levels of each update."""
    price: NumberColumn
    size: NumberColumn

    @classmethod
    def parse(cls, pairs: Sequence[Sequence[str]]) -> "PriceLevels":
        """Parse one update from pairs of price and size texts. Raises NumberError."""
        price = NumberColumn.parse([pair[0] for pair in pairs])
        size = NumberColumn.parse([pair[1] for pair in pairs])
        return cls(np.array([len(pairs)], dtype=np.int64), price, size)

    def take(self, rows: IntColumn) -> "PriceLevels":
        kept = elements_of(self.count, rows)
        return PriceLevels(self.count[rows], self.price.take(kept), self.size.take(kept))

    def best(self) -> tuple[NumberColumn, NumberColumn]:
        """Price and size of the first level of each update; 0 where it has none."""
        if (self.count == 1).all():
            return self.price, self.size
        some = np.flatnonzero(self.count)
        first = (np.cumsum(self.count) - self.count)[some]
        price, size = self.price.take(first), self.size.take(first)
        return price.spread(some, len(self.count)), size.spread(some, len(self.count))


class ColumnKind(Enum):
    """What a column holds. The value of a scaled kind is the name of its scale."""

    PRICE = "price_scale"
    SIZE = "size_scale"
    RATE = "rate_scale"
    VALUE = "value_scale"
    """Price times size, with the decimal places of both."""
    INTEGER = "integer"
    TIME = "time"
    """Nanoseconds since the Unix epoch."""
    SIDE = "side"
    FLAG = "flag"
    """0 or 1."""
    TEXT = "text"

    @property
    def is_scaled(self) -> bool:
        """Whether the integers of the column are to be divided by 10^scale."""
        return self.value.endswith("_scale")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a channel: an attribute of the row class, a field of the protobuf message and a
    column of the SQL table, all with the same name."""

    kind: ColumnKind
    name: str = ""
    """Set where the column is part of a table."""
    sql_bytes: int = 8
    """Size of an integer in the SQL table."""
    zero_is_null: bool = False
    """Whether 0 means that the venue does not say; null in the SQL table."""
    unless: str = ""
    """A text column. Where a batch has it, this column holds nothing; null in the SQL table."""


Price = Annotated[NumberColumn, Column(ColumnKind.PRICE)]
Size = Annotated[NumberColumn, Column(ColumnKind.SIZE)]
Time = Annotated[IntColumn, Column(ColumnKind.TIME)]
Integer = Annotated[IntColumn, Column(ColumnKind.INTEGER)]
TakerSide = Annotated[IntColumn, Column(ColumnKind.SIDE, sql_bytes=2)]
Flag = Annotated[IntColumn, Column(ColumnKind.FLAG, sql_bytes=1)]
PriceOrNull = Annotated[NumberColumn, Column(ColumnKind.PRICE, zero_is_null=True)]
SizeOrNull = Annotated[NumberColumn, Column(ColumnKind.SIZE, zero_is_null=True)]
RateOrNull = Annotated[NumberColumn, Column(ColumnKind.RATE, zero_is_null=True)]
TimeOrNull = Annotated[IntColumn, Column(ColumnKind.TIME, zero_is_null=True)]


class _Table:
    """Rows whose columns are all equally long."""

    __slots__ = ()

    symbols: SymbolColumn
    venue_time_ns: IntColumn
    """ns since the Unix epoch; 0 where the venue does not say."""
    received_time_ns: IntColumn
    """When the frame left the socket, ns since the Unix epoch."""

    def __len__(self) -> int:
        return len(self.symbols.row)

    def take(self, rows: IntColumn) -> Self:
        names: Iterable[str] = vars(type(self))["__dataclass_fields__"]
        return type(self)(**{name: _take(getattr(self, name), rows) for name in names})


def _take(column: Any, rows: IntColumn) -> Any:
    if column is None:
        return None
    if isinstance(column, np.ndarray):
        return column[rows]
    if isinstance(column, list):
        return [column[row] for row in rows.tolist()]
    return column.take(rows)


# The fields of a class stand in the order in which the columns are written to a batch.


@dataclass(frozen=True, slots=True)
class TradeRows(_Table):
    """Public trades, in the order in which they came."""

    symbols: SymbolColumn
    price: Price
    size: Size
    side: TakerSide
    venue_time_ns: Time
    received_time_ns: Time
    trade_id: Annotated[IntColumn, Column(ColumnKind.INTEGER, unless="trade_id_text")]
    """0 where the venue's ids are not numbers."""
    previous_id: IntColumn | None = None
    """The trade_id that must have come before; None where ids cannot show a gap. Not published."""
    trade_id_text: Annotated[list[str] | None, Column(ColumnKind.TEXT)] = None
    """The ids where they are not numbers."""
    spent: IntColumn | None = None
    """1: the venue used the id for something that is not a public trade. The row counts as received
    and is not published. None: there are no such rows."""


@dataclass(frozen=True, slots=True)
class QuoteRows(_Table):
    """Best bids and asks, in the order in which they came."""

    symbols: SymbolColumn
    bid_price: Price
    bid_size: Size
    ask_price: Price
    ask_size: Size
    venue_time_ns: Time
    received_time_ns: Time
    sequence: Integer
    """The venue's update id, which grows; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class BookRows(_Table):
    """Changes of books, and whole books, as the venue sends them. Published updates are
    ``BookUpdates``."""

    symbols: SymbolColumn
    first_sequence: IntColumn
    last_sequence: IntColumn
    previous_sequence: IntColumn
    """The last_sequence that must have come before, on venues that say so; otherwise 0."""
    snapshot: IntColumn
    """1: the row is a whole book, and replaces what was known."""
    checksum: IntColumn | None
    """Of the book after the row, as the venue says; None where it does not."""
    venue_time_ns: IntColumn
    received_time_ns: IntColumn
    bids: PriceLevels
    asks: PriceLevels


@dataclass(frozen=True, slots=True)
class TickerRows(_Table):
    """Figures of the last 24 hours; 0 where the venue does not say."""

    symbols: SymbolColumn
    venue_time_ns: Time
    received_time_ns: Time
    last_price: PriceOrNull
    open_price: PriceOrNull
    high_price: PriceOrNull
    low_price: PriceOrNull
    volume: SizeOrNull
    """In base units or contracts."""


@dataclass(frozen=True, slots=True)
class MarkRows(_Table):
    """Mark price, index price and funding of derivatives; 0 where the row does not say."""

    symbols: SymbolColumn
    venue_time_ns: Time
    received_time_ns: Time
    mark_price: PriceOrNull
    index_price: PriceOrNull
    funding_rate: RateOrNull
    """A fraction of the position's value."""
    next_funding_time_ns: TimeOrNull


@dataclass(frozen=True, slots=True)
class CandleRows(_Table):
    """Candles as the venue computes them; the same one comes again as it grows."""

    symbols: SymbolColumn
    venue_time_ns: Time
    received_time_ns: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    interval_s: Annotated[IntColumn, Column(ColumnKind.INTEGER, sql_bytes=4)]
    open_time_ns: Time
    closed: Flag
    """1: the venue says that the candle is final."""


def elements_of(counts: IntColumn, rows: IntColumn) -> IntColumn:
    """The positions of the elements of some rows, where row i has ``counts[i]`` elements."""
    starts = np.cumsum(counts) - counts
    chosen = counts[rows]
    shift = starts[rows] - (np.cumsum(chosen) - chosen)
    return np.repeat(shift, chosen) + np.arange(chosen.sum())


TableRows = TradeRows | QuoteRows | TickerRows | MarkRows | CandleRows
"""Rows that are published as they are, and stored as rows of an SQL table."""
Rows = TableRows | BookRows


def zeros(count: int) -> IntColumn:
    """A column of zeros: the venue does not say."""
    return np.zeros(count, dtype=np.int64)


class Scale(NamedTuple):
    """Decimal places of an instrument's numbers."""

    price: int = 0
    size: int = 0
    rate: int = 0


def instrument_entry(symbol: str, scale: Scale) -> batch_pb2.InstrumentEntry:
    """The dictionary entry of a batch."""
    return batch_pb2.InstrumentEntry(
        symbol=symbol,
        price_scale=scale.price,
        size_scale=scale.size,
        rate_scale=scale.rate,
    )
