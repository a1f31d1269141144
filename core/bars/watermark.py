"""Watermarks: all trades before the watermark are expected to have arrived."""

import numpy as np

from core.bars.bar_arithmetic import Ints
from kit.base.intervals import SECOND


class Watermark:
    """The newest venue time of one stream, less an allowed lateness.

    A venue time counts only up to ``ahead_max_ns`` after its received time. Otherwise one trade
    dated next year would make every bar final at once. There is no such bound where time is not
    wall-clock time (replay).
    """

    def __init__(
        self, lateness_ns: int, ahead_max_ns: int | None = None, newest_ns: int = 0
    ) -> None:
        self._lateness_ns = lateness_ns
        self._ahead_max_ns = ahead_max_ns
        self.newest_ns = newest_ns

    @property
    def time_ns(self) -> int:
        """The watermark: bars that end at or before it are final."""
        return self.newest_ns - self._lateness_ns

    def reach(self, time_ns: int) -> None:
        """Advance to a time up to which the stream has no further trades."""
        self.newest_ns = max(self.newest_ns, time_ns)

    def pass_trades(self, times_ns: Ints, received_ns: Ints) -> Ints | None:
        """Advance by trades with these times, in this order.

        Returns the watermark before each trade, or None when no trade came after its shortest bar
        had become final.
        """
        stated = self._believable(times_ns, received_ns)
        newest_ns = max(self.newest_ns, int(stated.max()))
        oldest_end_ns = SECOND.open_ns(int(times_ns.min())) + SECOND.length_ns
        if oldest_end_ns > newest_ns - self._lateness_ns or (
            oldest_end_ns > self.time_ns and bool((times_ns[1:] >= times_ns[:-1]).all())
        ):
            self.newest_ns = newest_ns
            return None
        before = np.maximum.accumulate(np.append(self.newest_ns, stated[:-1]))
        self.newest_ns = newest_ns
        marks: Ints = before - self._lateness_ns
        return marks

    def _believable(self, times_ns: Ints, received_ns: Ints) -> Ints:
        if self._ahead_max_ns is None:
            return times_ns
        if times_ns.max() <= received_ns.max() + self._ahead_max_ns:
            return times_ns
        return np.minimum(times_ns, received_ns + self._ahead_max_ns)
