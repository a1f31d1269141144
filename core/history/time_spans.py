"""Sets of times as spans."""

from collections.abc import Iterable
from typing import Self

import numpy as np

from kit.base.number_columns import IntColumn

Span = tuple[int, int]
"""Start (inclusive) and end (exclusive), ns since the Unix epoch."""


class TimeSpanSet:
    """A set of times, as ascending spans that neither touch nor overlap."""

    def __init__(self, starts: IntColumn, ends: IntColumn) -> None:
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Self:
        ordered = np.array(
            sorted(span for span in spans if span[0] < span[1]), dtype=np.int64
        ).reshape(-1, 2)
        starts, ends = ordered[:, 0], np.maximum.accumulate(ordered[:, 1])
        is_first = np.ones(len(ordered), dtype=bool)
        is_first[1:] = starts[1:] > ends[:-1]
        is_last = np.roll(is_first, -1)
        return cls(starts[is_first], ends[is_last])

    def __len__(self) -> int:
        return len(self.starts)

    def pairs(self) -> list[Span]:
        return list(zip(self.starts.tolist(), self.ends.tolist(), strict=True))

    def missing_in(self, span: Span) -> list[Span]:
        """The parts of a span outside the set."""
        starts = np.clip(np.append(span[0], self.ends), *span)
        ends = np.clip(np.append(self.starts, span[1]), *span)
        return list(zip(starts.tolist(), ends.tolist(), strict=True))

    def within(self, starts_ns: IntColumn, ends_ns: IntColumn) -> IntColumn:
        """How much of the set is in each of these spans, ns."""
        return self._before(ends_ns) - self._before(starts_ns)

    def touched_by(self, starts_ns: IntColumn, ends_ns: IntColumn) -> IntColumn:
        """1 for each of these non-empty spans that overlaps the set, otherwise 0."""
        following = np.searchsorted(self.ends, starts_ns, side="right")
        begins = np.append(self.starts, np.iinfo(np.int64).max)[following]
        return (begins < ends_ns).astype(np.int64)

    def _before(self, times_ns: IntColumn) -> IntColumn:
        """How much of the set is before each of these times, ns."""
        lengths = np.append(0, np.cumsum(self.ends - self.starts))
        begun = np.searchsorted(self.starts, times_ns, side="right")
        # The part of the last begun span after the time does not count.
        ends = np.append(np.iinfo(np.int64).min, self.ends)[begun]
        after: IntColumn = np.where(ends > times_ns, ends - times_ns, 0)
        result: IntColumn = lengths[begun] - after
        return result
