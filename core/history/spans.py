"""Sets of time."""

from collections.abc import Iterable
from typing import Self

import numpy as np

from kit.numbers import IntColumn

Span = tuple[int, int]
"""From the first time to before the second, ns since the Unix epoch."""


class Spans:
    """Times as spans that neither touch nor overlap, ascending."""

    def __init__(self, starts: IntColumn, ends: IntColumn) -> None:
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Self:
        """The times that are in any of these."""
        ordered = np.array(sorted(span for span in spans if span[0] < span[1]), dtype=np.int64)
        if not len(ordered):
            return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        starts, ends = ordered[:, 0], np.maximum.accumulate(ordered[:, 1])
        begins = np.flatnonzero(starts[1:] > ends[:-1]) + 1
        first, last = np.append(0, begins), np.append(begins - 1, len(ends) - 1)
        return cls(starts[first], ends[last])

    def __len__(self) -> int:
        return len(self.starts)

    def touches(self, span: Span) -> bool:
        """Whether some time of the span is in it; of an empty span, its moment."""
        place = int(np.searchsorted(self.ends, span[0], side="right"))
        return place < len(self) and int(self.starts[place]) < max(span[1], span[0] + 1)

    def before(self, times_ns: IntColumn) -> IntColumn:
        """How much of it, in ns, is before each of these times."""
        lengths = np.append(0, np.cumsum(self.ends - self.starts))
        place = np.searchsorted(self.starts, times_ns, side="right")
        begun: IntColumn = lengths[place]
        if len(self):
            # Of the span that holds the time, what comes after it does not count.
            begun = begun - np.maximum(self.ends[np.maximum(place - 1, 0)] - times_ns, 0) * (
                place > 0
            )
        return begun

    def within(self, starts_ns: IntColumn, ends_ns: IntColumn) -> IntColumn:
        """How much of it, in ns, is in each of these spans."""
        result: IntColumn = self.before(ends_ns) - self.before(starts_ns)
        return result
