"""Columns that grow batch by batch."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kit.base.number_columns import IntColumn

LARGE_BATCH_ROWS = 64
"""From this length on NumPy is faster than lists."""
INT64_MAX = 2**63 - 1


InstrumentIds = Mapping[tuple[str, str], int]
"""(venue, symbol) to instrument_id."""


class VenueInstrumentScale(NamedTuple):
    """An instrument with the scale of its numbers in one or more batches."""

    venue: str
    symbol: str
    price_scale: int
    size_scale: int
    rate_scale: int = 0


class RepeatedField(Protocol):
    """A repeated field of a message, or a list."""

    def __len__(self) -> int:
        """Number of elements."""

    def __getitem__(self, part: slice, /) -> list[int]:
        """Some of the elements."""


class MalformedBatch(ValueError):
    """A batch cannot be read, or is inconsistent."""


class ColumnBuffer:
    """Columns of 64-bit integers, by name, all equally long."""

    def __init__(self, names: Sequence[str]) -> None:
        self._arrays = {name: array("q") for name in names}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, columns: Sequence[tuple[str, RepeatedField]]) -> None:
        """Append the columns of one batch. Raises MalformedBatch, and has then appended nothing."""
        count = len(columns[0][1])
        try:
            for name, values in columns:
                if len(values) != count:
                    raise MalformedBatch("columns differ in length")
                _append(self._arrays[name], values)
        except (MalformedBatch, OverflowError) as error:
            for column in self._arrays.values():
                del column[self._count :]
            raise MalformedBatch(str(error)) from None
        self._count += count

    def column(self, name: str) -> IntColumn:
        """All values of one column."""
        return np.frombuffer(self._arrays[name], dtype=np.int64)


def _append(column: "array[int]", values: RepeatedField) -> None:
    if len(values) < LARGE_BATCH_ROWS:
        column.fromlist(values[:])
        return
    found: NDArray[Any] = np.asarray(values)
    if found.dtype == np.uint64 and found.max() > INT64_MAX:
        raise OverflowError("a number has more than 63 bits")
    column.frombytes(found.astype(np.int64, copy=False).tobytes())
