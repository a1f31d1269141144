"""Batches as plain rows and columns with exact decimals, and words for the values of enums."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from venuemesh.marketdata.v1 import batch_pb2

Batch = batch_pb2.MarketDataBatch
Cell = Decimal | int | str | bool | bytes | Message
BOOK, SYMBOL, SIDE, INSTRUMENT = "book", "symbol", "side", "instrument"
BOOK_SIDES = ("bid", "ask")
COUNTS = {side: f"{side}_count" for side in BOOK_SIDES}
LEVEL_COLUMNS = frozenset({"price", "size"})
UNSPECIFIED = "UNSPECIFIED"


class MalformedBatch(ValueError):
    """Columns of a batch differ in length, or a row names an instrument that is not there."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one batch. A row of the book is one level of an update, its side is bid or ask."""

    channel: str
    """trades, quotes, book, tickers, marks, candles, status or frames; empty without rows."""
    columns: Mapping[str, Sequence[Cell]]
    """By name, "symbol" first: Decimal for prices, sizes and rates; enums are lower-case words,
    empty if not set."""

    def __len__(self) -> int:
        return len(self.columns[SYMBOL]) if self.columns else 0

    def rows(self) -> Iterator[dict[str, Cell]]:
        """The same cells by row."""
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, cells, strict=True))


class _Row(NamedTuple):
    """Where the cells of a row are: in columns of updates and in columns of levels."""

    entry: batch_pb2.InstrumentEntry
    update: int
    level: int
    side: str


def read_batch(batch: Batch) -> Table:
    """The rows of a batch. Raises MalformedBatch."""
    channel = batch.WhichOneof("columns")
    if channel is None:
        return Table("", {})
    message = getattr(batch, channel)
    try:
        rows = list(_rows(batch, message, channel == BOOK))
        columns: dict[str, Sequence[Cell]] = {SYMBOL: [row.entry.symbol for row in rows]}
        if channel == BOOK:
            columns[SIDE] = [row.side for row in rows]
        levels = rows[-1].level + 1 if rows and channel == BOOK else 0
        for field in message.DESCRIPTOR.fields:
            if field.name not in (INSTRUMENT, *COUNTS.values()):
                is_level = channel == BOOK and field.name in LEVEL_COLUMNS
                count = levels if is_level else len(message.instrument)
                columns[field.name] = _cells(message, field, rows, count, is_level)
    except (IndexError, MalformedBatch) as error:
        raise MalformedBatch(f"batch of {channel}: {error}") from None
    return Table(channel, columns)


def word_of(enum: EnumDescriptor, number: int) -> str:
    """The short name of a value: "buy" of SIDE_BUY, empty for an unspecified one."""
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    if value is None:
        return str(number)
    prefix = enum.values_by_number[0].name.removesuffix(UNSPECIFIED)
    return value.name.removeprefix(prefix).lower()


def exact(unscaled: int, scale: int) -> Decimal:
    """unscaled / 10^scale, with all digits whatever the context."""
    digits = tuple(map(int, str(abs(unscaled))))
    return Decimal((int(unscaled < 0), digits, -scale))


def text_of(number: Cell) -> str:
    """The text of a cell: of a Decimal without exponent and without trailing zeros."""
    if not isinstance(number, Decimal):
        return str(number)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rows(batch: Batch, message: Any, has_levels: bool) -> Iterator[_Row]:
    level = 0
    for update, position in enumerate(message.instrument):
        entry = batch.instruments[position]
        if not has_levels:
            yield _Row(entry, update, update, "")
            continue
        for side in BOOK_SIDES:
            for _ in range(getattr(message, COUNTS[side])[update]):
                yield _Row(entry, update, level, side)
                level += 1


def _cells(
    message: Any, field: FieldDescriptor, rows: Sequence[_Row], count: int, is_level: bool
) -> Sequence[Cell]:
    values = getattr(message, field.name)
    if field.type == FieldDescriptor.TYPE_STRING and not values:
        # A column of texts that no row has is empty.
        return [""] * len(rows)
    if len(values) != count:
        raise MalformedBatch(f"column {field.name} has {len(values)} elements, not {count}")
    return [_cell(field, values[row.level if is_level else row.update], row.entry) for row in rows]


def _cell(field: FieldDescriptor, value: Any, entry: batch_pb2.InstrumentEntry) -> Cell:
    # In a batch exactly the scaled numbers are sint64.
    if field.type == FieldDescriptor.TYPE_SINT64:
        return exact(value, _scale(field.name, entry))
    if field.enum_type is not None:
        return word_of(field.enum_type, value)
    cell: Cell = value
    return cell


def _scale(name: str, entry: batch_pb2.InstrumentEntry) -> int:
    if name.endswith("rate"):
        return entry.rate_scale
    return entry.size_scale if name.endswith("size") or name == "volume" else entry.price_scale
