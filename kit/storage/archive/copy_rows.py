"""Rows of a COPY as columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from kit.base.number_columns import IntColumn
from kit.marketdata.model.columns import NumberColumn

Nulls = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PooledBytes:
    """Texts or bytes, as positions in a pool of bytes."""

    pool: bytes
    start: IntColumn
    length: IntColumn

    def take(self, rows: IntColumn) -> "PooledBytes":
        """The values of these rows."""
        return PooledBytes(self.pool, self.start[rows], self.length[rows])

    def bytes(self) -> list[bytes]:
        ends = (self.start + self.length).tolist()
        return [self.pool[start:end] for start, end in zip(self.start.tolist(), ends, strict=True)]

    def texts(self) -> list[str]:
        """All values, decoded as UTF-8."""
        return [piece.decode() for piece in self.bytes()]


@dataclass(frozen=True, slots=True)
class CopyRowColumn:
    """One column; its kind determines which parts it has."""

    values: IntColumn
    seconds: IntColumn | None = None
    """Decimal places of numbers, or lengths of texts."""
    nulls: Nulls | None = None
    pool: bytes = b""

    def take(self, rows: "IntColumn | slice") -> Self:
        return type(self)(
            self.values[rows],
            None if self.seconds is None else self.seconds[rows],
            None if self.nulls is None else self.nulls[rows],
            self.pool,
        )

    @classmethod
    def joined(cls, parts: "Sequence[Self]") -> Self:
        first, pool = parts[0], b""
        values = [part.values for part in parts]
        if any(part.pool for part in parts):
            pool = b"".join(part.pool for part in parts)
            starts = np.cumsum([0, *(len(part.pool) for part in parts[:-1])])
            values = [part.values + start for part, start in zip(parts, starts, strict=True)]
        return cls(
            np.concatenate(values),
            _joined([part.seconds for part in parts]) if first.seconds is not None else None,
            _joined([part.nulls for part in parts]) if first.nulls is not None else None,
            pool,
        )


class CopyRows:
    """Rows as columns by name, all equally long."""

    def __init__(self, columns: dict[str, CopyRowColumn]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).values)

    def integers(self, name: str) -> IntColumn:
        """An INTEGER column; 0 where it is null."""
        return self.columns[name].values

    def numbers(self, name: str) -> NumberColumn:
        """A NUMERIC column; 0 where it is null."""
        column = self.columns[name]
        assert column.seconds is not None
        return NumberColumn.compact(column.values, column.seconds)

    def pooled(self, name: str) -> PooledBytes:
        """A BYTES column; empty where it is null."""
        column = self.columns[name]
        assert column.seconds is not None
        return PooledBytes(column.pool, column.values, column.seconds)

    def nulls(self, name: str) -> Nulls:
        """Whether each row is null, in a column that may be null."""
        nulls = self.columns[name].nulls
        assert nulls is not None
        return nulls

    def take(self, rows: "IntColumn | slice") -> "CopyRows":
        """These rows only, in this order."""
        return CopyRows({name: column.take(rows) for name, column in self.columns.items()})

    def with_integers(self, name: str, values: IntColumn) -> "CopyRows":
        """The same rows with one more column."""
        return CopyRows({**self.columns, name: CopyRowColumn(values)})

    @staticmethod
    def joined(parts: "Sequence[CopyRows]") -> "CopyRows":
        """One part after another; all have the same columns."""
        if len(parts) == 1:
            return parts[0]
        names = parts[0].columns
        return CopyRows(
            {name: CopyRowColumn.joined([part.columns[name] for part in parts]) for name in names}
        )


class CopyDecoder(Protocol):
    """Reads the messages of one COPY, piece by piece."""

    @property
    def row_count(self) -> int:
        """Rows read so far."""

    def feed(self, data: bytes) -> int:
        """Read whole messages from the start of data. Returns the number of bytes read. Stops
        before an incomplete message or one of another type. Raises MalformedCopy."""

    def table(self) -> CopyRows:
        """All rows read."""


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts)
