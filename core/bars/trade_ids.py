"""The ids of counted trades, as ranges.

Venues number the trades of an instrument consecutively, so the ids seen form a few ranges: one more
for each gap.
"""

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from core.bars.bar_arithmetic import Ints

NO_ID = 0
"""The id of a trade without an id, or with one that is not a number."""

RANGES_MAX = 1024


class TradeIds:
    """The ids of an instrument that have been seen.

    At most ``RANGES_MAX`` ranges are kept. Beyond that the lowest range is dropped and ids below
    the next one count as seen: a trade that late is skipped rather than possibly counted twice.
    Trades fetched by a repair are known to have been missing; among those below the floor, only ids
    of earlier repairs count as seen.
    """

    __slots__ = ("_firsts", "_lasts", "_ranges_max", "fetched", "floor", "late_total")

    def __init__(
        self,
        ranges: Iterable[tuple[int, int]] = (),
        floor: int | None = None,
        ranges_max: int = RANGES_MAX,
        fetched: "TradeIds | None" = None,
    ) -> None:
        pairs = sorted(ranges)
        self._firsts = [first for first, _ in pairs]
        self._lasts = [last for _, last in pairs]
        self._ranges_max = ranges_max
        self.floor = floor
        """Ids below it count as seen. None: no range was dropped yet."""
        self.fetched = fetched
        """Ids below the floor that repairs have fetched. None: there were none."""
        self.late_total = 0
        """Number of new ids smaller than one seen before."""

    @property
    def newest(self) -> int:
        """The largest id seen; 0 before the first."""
        return self._lasts[-1] if self._lasts else NO_ID

    def ranges(self) -> list[tuple[int, int]]:
        """First and last id of each range, ascending."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def add(self, ids: Ints) -> list[bool] | None:
        """Add ids. Returns which of them are new, or None when all are."""
        steps = np.diff(ids)
        if ids[0] > max(self.newest, NO_ID) and (steps > 0).all():
            stops = [*np.flatnonzero(steps > 1).tolist(), len(ids) - 1]
            start = 0
            for stop in stops:
                self._append(int(ids[start]), int(ids[stop]))
                start = stop + 1
            return None
        fresh = [self._add(number) for number in ids.tolist()]
        return None if all(fresh) else fresh

    def add_fetched(self, ids: Ints) -> list[bool] | None:
        """Add ids of trades that a repair fetched. Returns as ``add``."""
        floor = self.floor
        if floor is None or ids.min() >= floor:
            return self.add(ids)
        self.fetched = self.fetched or TradeIds(ranges_max=self._ranges_max)
        old = (ids < floor) & (ids != NO_ID)
        fresh = np.ones(len(ids), dtype=bool)
        for mask, seen in ((old, self.fetched.add), (~old, self.add)):
            if mask.any():
                found = seen(ids[mask])
                fresh[mask] = True if found is None else found
        return None if fresh.all() else fresh.tolist()

    def has_all(self, first: int, last: int) -> bool:
        """Whether every id from first to last was certainly seen. True for an empty range."""
        if first > last:
            return True
        position = bisect_right(self._firsts, first) - 1
        return position >= 0 and last <= self._lasts[position]

    def clear(self) -> None:
        """Forget all ids: the venue has restarted its numbering."""
        self._firsts.clear()
        self._lasts.clear()
        self.floor = None
        self.fetched = None

    def _add(self, number: int) -> bool:
        if number == NO_ID:
            return True
        if self.floor is not None and number < self.floor:
            return False
        position = bisect_right(self._firsts, number) - 1
        if position >= 0 and number <= self._lasts[position]:
            return False
        self.late_total += position + 1 < len(self._firsts)
        joins_left = position >= 0 and self._lasts[position] == number - 1
        joins_right = position + 1 < len(self._firsts) and self._firsts[position + 1] == number + 1
        if joins_left and joins_right:
            self._lasts[position] = self._lasts.pop(position + 1)
            del self._firsts[position + 1]
        elif joins_left:
            self._lasts[position] = number
        elif joins_right:
            self._firsts[position + 1] = number
        else:
            self._firsts.insert(position + 1, number)
            self._lasts.insert(position + 1, number)
            self._bound()
        return True

    def _append(self, first: int, last: int) -> None:
        """Add a run of ids beyond the newest."""
        if self._lasts and self._lasts[-1] == first - 1:
            self._lasts[-1] = last
        else:
            self._firsts.append(first)
            self._lasts.append(last)
            self._bound()

    def _bound(self) -> None:
        if len(self._firsts) > self._ranges_max:
            del self._firsts[0], self._lasts[0]
            self.floor = self._firsts[0]
