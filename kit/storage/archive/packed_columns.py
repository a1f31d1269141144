"""Columns of integers in a form that a general compressor makes small.

A column is stored as its greatest common divisor and the quotients. Quotients become unsigned
(zigzag) and are written by byte planes: first the lowest byte of all numbers, then the next. So
similar bytes stand together, and the upper bytes, nearly all zero, cost almost nothing. All steps
are whole-array operations in both directions.
"""

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from kit.base.number_columns import IntColumn

_HEAD = Struct("<BIq")
"""Bytes per number, count of numbers, common divisor."""
WIDTH_MAX = 8


class MalformedColumns(ValueError):
    """The bytes are not packed columns."""


class PackedColumnWriter:
    """Packs columns one after another."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, values: IntColumn) -> None:
        """Add a column of int64 numbers in any order."""
        divisor = int(np.gcd.reduce(values, initial=0)) or 1
        if divisor > 1:
            values = values // divisor
        unsigned = (values << 1 ^ values >> 63).view(np.uint64)
        width = (int(unsigned.max(initial=0)).bit_length() + 7) // 8
        planes = unsigned.astype("<u8", copy=False).view(np.uint8).reshape(-1, WIDTH_MAX)
        self._parts.append(_HEAD.pack(width, len(values), divisor))
        self._parts.append(planes[:, :width].T.tobytes())

    def data(self) -> bytes:
        return b"".join(self._parts)


class PackedColumnReader:
    """Unpacks the columns of a PackedColumnWriter, in the same order. Methods raise
    MalformedColumns."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = data
        self._at = start

    def next(self) -> IntColumn:
        if self._at + _HEAD.size > len(self._data):
            raise MalformedColumns("a column is missing")
        width, count, divisor = _HEAD.unpack_from(self._data, self._at)
        self._at += _HEAD.size
        size = width * count
        if width > WIDTH_MAX or self._at + size > len(self._data):
            raise MalformedColumns("a column is cut off")
        planes: NDArray[np.uint8] = np.zeros((count, WIDTH_MAX), dtype=np.uint8)
        if size:
            found = np.frombuffer(self._data, np.uint8, size, self._at).reshape(width, count)
            planes[:, :width] = found.T
        self._at += size
        unsigned = planes.view("<u8").reshape(count).astype(np.uint64, copy=False)
        values: IntColumn = (unsigned >> np.uint64(1)).view(np.int64) ^ -(
            (unsigned & np.uint64(1)).view(np.int64)
        )
        return values * divisor if divisor > 1 else values


class GroupedDifferences:
    """Differences between consecutive rows of the same group. The first number of each group is
    stored apart, so that one large number does not widen many small ones."""

    def __init__(self, group: IntColumn) -> None:
        self._order = np.argsort(group, kind="stable")
        ordered = group[self._order]
        self._is_first = np.ones(len(group), dtype=bool)
        self._is_first[1:] = ordered[1:] != ordered[:-1]

    def previous(self, values: IntColumn) -> IntColumn:
        """For each row the number of the previous row of its group, 0 for the first."""
        result = np.zeros(len(values), dtype=np.int64)
        ordered = values[self._order]
        before = np.zeros(len(values), dtype=np.int64)
        before[1:] = ordered[:-1]
        before[self._is_first] = 0
        result[self._order] = before
        return result

    def differences(self, values: IntColumn) -> tuple[IntColumn, IntColumn]:
        """The first number of each group, and the differences of all others, group by group."""
        ordered = values[self._order]
        return ordered[self._is_first], np.diff(ordered)[~self._is_first[1:]]

    def running_sums(self, steps: IntColumn) -> IntColumn:
        """For each row the sum of the steps of its group up to it."""
        ordered = steps[self._order]
        return self.sums(ordered[self._is_first], ordered[~self._is_first])

    def sums(self, firsts: IntColumn, differences: IntColumn) -> IntColumn:
        """The values with these differences."""
        if len(firsts) + len(differences) != len(self._order) or len(firsts) != self.count:
            raise MalformedColumns("columns differ in length")
        steps = np.empty(len(self._order), dtype=np.int64)
        steps[self._is_first] = firsts
        steps[~self._is_first] = differences
        total = np.cumsum(steps)
        starts = np.flatnonzero(self._is_first)
        lengths = np.diff(starts, append=len(steps))
        # Subtract the sum of the groups before.
        total -= np.repeat(total[starts] - firsts, lengths)
        result = np.empty(len(steps), dtype=np.int64)
        result[self._order] = total
        return result

    @property
    def count(self) -> int:
        """Number of groups with rows."""
        return int(self._is_first.sum())
