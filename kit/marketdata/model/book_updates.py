"""Updates of order books as arrays, in the form in which BOOK batches state them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, NamedTuple, Self

import numpy as np
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.number_columns import IntColumn
from kit.marketdata.model.columns import Column, ColumnKind, Flag, Integer, Scale, Time, elements_of

LEVEL_COLUMNS = ("price", "size")
"""Columns with one number for each level; the others have one for each update."""


class InstrumentScale(NamedTuple):
    """An instrument, and the decimal places of its numbers in a batch."""

    symbol: str
    scale: Scale

    @classmethod
    def of(cls, entry: batch_pb2.InstrumentEntry) -> Self:
        """From the dictionary entry of a batch."""
        return cls(entry.symbol, Scale(entry.price_scale, entry.size_scale, entry.rate_scale))


@dataclass(frozen=True, slots=True)
class BookUpdates:
    """The columns of BookColumns as arrays of int64.

    ``price`` and ``size`` hold the levels of one update after another, in each update the bids
    before the asks.
    """

    instrument: IntColumn
    """Positions in the batch's list of instruments."""
    first_sequence: Integer
    last_sequence: Integer
    snapshot: Flag
    book_epoch: Integer
    venue_time_ns: Time
    received_time_ns: Time
    bid_count: Integer
    ask_count: Integer
    price: Annotated[IntColumn, Column(ColumnKind.PRICE)]
    size: Annotated[IntColumn, Column(ColumnKind.SIZE)]

    def __len__(self) -> int:
        return len(self.instrument)

    @classmethod
    def of(cls, columns: batch_pb2.BookColumns) -> Self:
        """From a message. Raises OverflowError when a number has more than 63 bits."""
        return cls(*(_column(getattr(columns, field.name)) for field in fields(cls)))

    @classmethod
    def joined(cls, parts: "Sequence[Self]") -> Self:
        if len(parts) == 1:
            return parts[0]
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )

    def columns(self) -> dict[str, IntColumn]:
        """The arrays by the names of BookColumns' fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, rows: IntColumn) -> Self:
        """These updates only, with their levels."""
        return self._select(rows, elements_of(self.bid_count + self.ask_count, rows))

    def between(self, start: int, stop: int) -> Self:
        """The updates from one position up to another, with their levels."""
        ends = self.level_ends()
        return self._select(slice(start, stop), slice(int(ends[start]), int(ends[stop])))

    def level_ends(self) -> IntColumn:
        """The position behind the last level before the first update, and of each update."""
        return np.concatenate(([0], np.cumsum(self.bid_count + self.ask_count)))

    def renumbered(self, positions: IntColumn) -> Self:
        """The same updates with other positions of the instruments."""
        return replace(self, instrument=positions[self.instrument])

    def _select(self, rows: IntColumn | slice, levels: IntColumn | slice) -> Self:
        return type(self)(
            **{
                name: column[levels if name in LEVEL_COLUMNS else rows]
                for name, column in self.columns().items()
            }
        )


def _column(values: object) -> IntColumn:
    found = np.asarray(values)
    if found.dtype == np.uint64 and len(found) and found.max() > np.iinfo(np.int64).max:
        raise OverflowError("a number has more than 63 bits")
    return found.astype(np.int64, copy=False)
