"""Messages of columns as NumPy arrays. No step is taken row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from venuemesh.history.v1 import history_pb2

from kit.base.cursor import Channel, channel_name
from kit.base.numbers import IntColumn, rescale
from kit.marketdata.model.batches import Batch
from kit.storage.reader.column_names import PRICE, SCALES, SIZE, SYMBOL, TEXT_ID, VALUE

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL_COLUMNS = ("price", "size")
BAR_COLUMNS = tuple(
    field.name
    for field in history_pb2.BarColumns.DESCRIPTOR.fields
    if field.name not in (PRICE, SIZE)
)


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
        """The same as an Arrow table: see ``kit.storage.reader.arrow``. Needs pyarrow."""
        # Heavy, and not needed by those who want arrays.
        from kit.storage.reader import arrow

        return arrow.table(self.channel, self.symbols, self.values, self.scales)

    @classmethod
    def joined(cls, parts: "Sequence[Self]") -> Self:
        """One after another, each column at the largest of its scales. Raises NumberError when a
        number then has more than 18 digits."""
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
        places = {name: place for place, name in enumerate(names)}
        values[SYMBOL] = np.concatenate(
            [
                np.array([places[name] for name in part.symbols], dtype=np.int64)[part[SYMBOL]]
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
    message = getattr(batch, name)
    values = {field.name: _array(message, field.name) for field in message.DESCRIPTOR.fields}
    instrument = values.pop("instrument")
    if name == "book":
        values, instrument = _levels(values, instrument)
    if name == "trades":
        values[TEXT_ID] = _texts(message, len(instrument))
    scales = {}
    for column in values:
        if column in SCALES:
            scales[column], values[column] = _rescaled(
                values[column], batch, SCALES[column], instrument
            )
    symbols = list(dict.fromkeys(entry.symbol for entry in batch.instruments))
    places = [symbols.index(entry.symbol) for entry in batch.instruments]
    values[SYMBOL] = np.array(places, dtype=np.int64)[instrument]
    return Columns(name, symbols, values, scales)


def of_bars(symbol: str, bars: history_pb2.BarColumns) -> Columns:
    """The rows of a message of bars."""
    values: dict[str, NDArray[Any]] = {name: _array(bars, name) for name in BAR_COLUMNS}
    values[SYMBOL] = np.zeros(len(values["open"]), dtype=np.int64)
    places = {PRICE: bars.price_scale, SIZE: bars.size_scale}
    places[VALUE] = bars.price_scale + bars.size_scale
    scales = {name: places[SCALES[name]] for name in BAR_COLUMNS if name in SCALES}
    return Columns("bars", [symbol], values, scales)


def no_rows(channel: Channel | None) -> Columns:
    """What is read where nothing was recorded; of bars, with None."""
    if channel is None:
        return of_bars("", history_pb2.BarColumns())
    batch = Batch(channel=channel)
    batch.instruments.add()
    return of_batch(batch)


def _array(message: Any, name: str) -> IntColumn:
    values = getattr(message, name)
    # Texts are looked at where they may be.
    return np.array(() if name == TEXT_ID else values, dtype=np.int64)


def _texts(message: Any, count: int) -> NDArray[Any]:
    if not message.trade_id_text:
        return np.full(count, "", dtype=object)
    return np.array(message.trade_id_text, dtype=object)


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
    values: IntColumn, batch: Batch, kind: str, instrument: IntColumn
) -> tuple[int, IntColumn]:
    """All numbers of a column at the largest scale among the instruments."""
    each = [getattr(entry, kind) for entry in batch.instruments]
    most = max(each, default=0)
    if each.count(most) == len(each):
        return most, values
    return most, rescale(values, np.array(each, dtype=np.int64)[instrument], most)
