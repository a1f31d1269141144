"""Messages of columns as NumPy arrays, without a step per row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from venuemesh.history.v1 import columns_pb2

from kit.base.cursor import Channel, channel_name
from kit.base.number_columns import IntColumn, rescale
from kit.marketdata.model.batches import Batch, columns_of
from kit.marketdata.model.book_updates import LEVEL_COLUMNS
from kit.marketdata.model.channels import COLUMNS
from kit.marketdata.model.columns import ColumnKind

if TYPE_CHECKING:
    import pyarrow as pa

SYMBOL = "symbol"
BOOK, BARS = "book", "bars"


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of one channel, or bars."""

    channel: str
    """trades, quotes, book, tickers, marks, candles or bars."""
    symbols: Sequence[str]
    values: Mapping[str, NDArray[Any]]
    """By the names of the contract. ``symbol`` holds positions in ``symbols``; ``trade_id_text`` is
    an array of texts; everything else is integers. A row of the book is one level of an update:
    ``side`` is 1 for a bid and 2 for an ask."""
    scales: Mapping[str, int]
    """Decimal places of the columns that are prices, sizes and the like."""

    def __len__(self) -> int:
        return len(self.values[SYMBOL])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    def to_arrow(self) -> "pa.Table":
        """The rows as an Arrow table: see ``kit.storage.reader.arrow``. Needs pyarrow."""
        # Imported late: it is large, and arrays do not need it.
        from kit.storage.reader import arrow

        return arrow.table(self.channel, self.symbols, self.values, self.scales)

    @classmethod
    def joined(cls, parts: "Sequence[Self]") -> Self:
        """One part after another, each column at the largest of its scales. Raises NumberError when
        a number then has more than 18 digits."""
        first = parts[0]
        if len(parts) == 1:
            return first
        names = list(dict.fromkeys(name for part in parts for name in part.symbols))
        scales = {name: max(part.scales[name] for part in parts) for name in first.scales}
        values = {
            name: np.concatenate([_at_scale(part, name, scales.get(name)) for part in parts])
            for name in first.values
            if name != SYMBOL
        }
        positions = {name: position for position, name in enumerate(names)}
        values[SYMBOL] = np.concatenate(
            [
                np.array([positions[name] for name in part.symbols], dtype=np.int64)[part[SYMBOL]]
                for part in parts
            ]
        )
        return cls(first.channel, names, values, scales)


def _at_scale(part: Columns, name: str, scale: int | None) -> NDArray[Any]:
    values = part.values[name]
    return values if scale is None else rescale(values, part.scales[name], scale)


def of_batch(batch: Batch) -> Columns:
    """The rows of a batch that has some."""
    name = channel_name(batch.channel)
    message = columns_of(batch)
    instrument = np.array(message.instrument, dtype=np.int64)
    values = {
        field.name: _array(
            getattr(message, field.name), COLUMNS[name][field.name].kind, len(instrument)
        )
        for field in message.DESCRIPTOR.fields
        if field.name != "instrument"
    }
    if name == BOOK:
        values, instrument = _levels(values, instrument)
    scales = {}
    for column in COLUMNS[name].values():
        if column.kind.is_scaled:
            scales[column.name], values[column.name] = _rescaled(
                values[column.name], batch, column.kind, instrument
            )
    symbols = list(dict.fromkeys(entry.symbol for entry in batch.instruments))
    positions = [symbols.index(entry.symbol) for entry in batch.instruments]
    values[SYMBOL] = np.array(positions, dtype=np.int64)[instrument]
    return Columns(name, symbols, values, scales)


def of_bars(symbol: str, bars: columns_pb2.BarColumns) -> Columns:
    """The rows of a message of bars."""
    scale_of = {ColumnKind.PRICE: bars.price_scale, ColumnKind.SIZE: bars.size_scale}
    scale_of[ColumnKind.VALUE] = bars.price_scale + bars.size_scale
    values: dict[str, NDArray[Any]] = {}
    scales: dict[str, int] = {}
    for field in bars.DESCRIPTOR.fields:
        if field.name not in COLUMNS[BARS]:
            continue
        kind = COLUMNS[BARS][field.name].kind
        values[field.name] = _array(getattr(bars, field.name), kind, len(bars.open))
        if kind in scale_of:
            scales[field.name] = scale_of[kind]
    values[SYMBOL] = np.zeros(len(bars.open), dtype=np.int64)
    return Columns(BARS, [symbol], values, scales)


def no_rows(channel: Channel | None) -> Columns:
    """No rows of a channel, or with None no bars."""
    if channel is None:
        return of_bars("", columns_pb2.BarColumns())
    batch = Batch(channel=channel)
    batch.instruments.add()
    getattr(batch, channel_name(channel)).SetInParent()
    return of_batch(batch)


def _array(values: Sequence[Any], kind: ColumnKind, count: int) -> NDArray[Any]:
    """A column of ``count`` rows; texts that are missing are empty."""
    if kind is not ColumnKind.TEXT:
        return np.array(values, dtype=np.int64)
    return np.array(values, dtype=object) if values else np.full(count, "", dtype=object)


def _levels(
    updates: Mapping[str, NDArray[Any]], instrument: IntColumn
) -> tuple[dict[str, NDArray[Any]], IntColumn]:
    """One row for each level of the updates."""
    bids, asks = updates["bid_count"], updates["ask_count"]
    counts = np.stack((bids, asks), axis=1).ravel()
    sides = np.tile(np.array([1, 2], dtype=np.int64), len(bids))
    rows: dict[str, NDArray[Any]] = {
        name: values if name in LEVEL_COLUMNS else np.repeat(values, bids + asks)
        for name, values in updates.items()
        if name not in ("bid_count", "ask_count")
    }
    rows["side"] = np.repeat(sides, counts)
    return rows, np.repeat(instrument, bids + asks)


def _rescaled(
    values: IntColumn, batch: Batch, kind: ColumnKind, instrument: IntColumn
) -> tuple[int, IntColumn]:
    """All numbers of a column at the largest scale among the instruments."""
    each = [getattr(entry, kind.value) for entry in batch.instruments]
    most = max(each, default=0)
    if each.count(most) == len(each):
        return most, values
    return most, rescale(values, np.array(each, dtype=np.int64)[instrument], most)
