"""Sets of time."""

from collections.abc import Iterable
from typing import Self

import numpy as np

from kit.base.numbers import IntColumn

Span = tuple[int, int]
"""From the first time to before the second, ns since the Unix epoch."""


class TimeSpans:
    """Times as spans that neither touch nor overlap, ascending."""

    def __init__(self, starts: IntColumn, ends: IntColumn) -> None:
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Self:
        """The times that are in any of these."""
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
        """One by one."""
        return list(zip(self.starts.tolist(), self.ends.tolist(), strict=True))

    def missing_in(self, span: Span) -> list[Span]:
        """The part of a span that is not in it."""
        starts = np.clip(np.append(span[0], self.ends), *span)
        ends = np.clip(np.append(self.starts, span[1]), *span)
        return list(zip(starts.tolist(), ends.tolist(), strict=True))

    def within(self, starts_ns: IntColumn, ends_ns: IntColumn) -> IntColumn:
        """How much of it, in ns, is in each of these spans."""
        return self._before(ends_ns) - self._before(starts_ns)

    def touched_by(self, starts_ns: IntColumn, ends_ns: IntColumn) -> IntColumn:
        """1 for each of these spans, none of them empty, that has some time of it; otherwise 0."""
        following = np.searchsorted(self.ends, starts_ns, side="right")
        begins = np.append(self.starts, np.iinfo(np.int64).max)[following]
        return (begins < ends_ns).astype(np.int64)

    def _before(self, times_ns: IntColumn) -> IntColumn:
        """How much of it, in ns, is before each of these times."""
        lengths = np.append(0, np.cumsum(self.ends - self.starts))
        begun = np.searchsorted(self.starts, times_ns, side="right")
        # Of the span that was begun last, what is after the time does not count.
        ends = np.append(np.iinfo(np.int64).min, self.ends)[begun]
        after: IntColumn = np.where(ends > times_ns, ends - times_ns, 0)
        result: IntColumn = lengths[begun] - after
        return result
