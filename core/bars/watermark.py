"""How far a venue's time has got: no trade before the watermark is expected any more."""

from collections.abc import Sequence
from itertools import accumulate

from core.bars.intervals import SECOND


class Watermark:
    """The newest venue time of one stream, less an allowed lateness.

    A venue time that lies further ahead of the time of receipt than ``ahead_max_ns`` moves the
    watermark no further than that: one trade with a date of next year would otherwise make every
    bar final at once. Where time is not the wall clock's (replay), there is no such bound.
    """

    def __init__(
        self, lateness_ns: int, ahead_max_ns: int | None = None, newest_ns: int = 0
    ) -> None:
        self._lateness_ns = lateness_ns
        self._ahead_max_ns = ahead_max_ns
        self.newest_ns = newest_ns

    @property
    def time_ns(self) -> int:
        """Bars that end here or before are final."""
        return self.newest_ns - self._lateness_ns

    def reach(self, time_ns: int) -> None:
        """The stream has got this far without a trade."""
        self.newest_ns = max(self.newest_ns, time_ns)

    def pass_trades(
        self, times_ns: Sequence[int], received_ns: Sequence[int]
    ) -> Sequence[int] | None:
        """Trades came with these times, in this order.

        Returns where the watermark stood before each of them, or None when none of them came after
        its shortest bar had become final.
        """
        stated = self._believable(times_ns, received_ns)
        newest_ns = max(self.newest_ns, max(stated))
        oldest_end_ns = SECOND.open_ns(min(times_ns)) + SECOND.length_ns
        if oldest_end_ns > newest_ns - self._lateness_ns or (
            oldest_end_ns > self.time_ns and times_ns == sorted(times_ns)
        ):
            self.newest_ns = newest_ns
            return None
        before = list(accumulate(stated, max, initial=self.newest_ns))
        self.newest_ns = before.pop()
        return [time_ns - self._lateness_ns for time_ns in before]

    def _believable(self, times_ns: Sequence[int], received_ns: Sequence[int]) -> Sequence[int]:
        if self._ahead_max_ns is None:
            return times_ns
        if max(times_ns) <= max(received_ns) + self._ahead_max_ns:
            return times_ns
        limit = self._ahead_max_ns
        return [
            min(time_ns, received + limit)
            for time_ns, received in zip(times_ns, received_ns, strict=True)
        ]
