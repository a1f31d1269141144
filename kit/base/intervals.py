"""The intervals of time bars, from one second to one week.

The length of each interval is a multiple of the previous length, and its bars open where bars of
the previous interval open. So the bars of an interval can be made from bars of the previous one.
"""

from dataclasses import dataclass

from kit.base.clock import NANOSECONDS_PER_SECOND

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


@dataclass(frozen=True, slots=True)
class BarInterval:
    """A division of time into equal parts. Times are ns since the Unix epoch."""

    name: str
    """For example "15m"."""
    length_ns: int
    first_open_ns: int = 0
    """Any time at which a bar opens."""

    def open_ns(self, time_ns: int) -> int:
        """The open time of the bar that contains a time."""
        return time_ns - (time_ns - self.first_open_ns) % self.length_ns


def _seconds(name: str, count: int, first_open_s: int = 0) -> BarInterval:
    return BarInterval(name, count * NANOSECONDS_PER_SECOND, first_open_s * NANOSECONDS_PER_SECOND)


SECOND = _seconds("1s", 1)

INTERVALS = (
    SECOND,
    _seconds("5s", 5),
    _seconds("15s", 15),
    _seconds("1m", _MINUTE_S),
    _seconds("5m", 5 * _MINUTE_S),
    _seconds("15m", 15 * _MINUTE_S),
    _seconds("30m", 30 * _MINUTE_S),
    _seconds("1h", _HOUR_S),
    _seconds("4h", 4 * _HOUR_S),
    _seconds("1d", _DAY_S),
    # The Unix epoch was a Thursday; the Monday after it was the fifth of January.
    _seconds("1w", 7 * _DAY_S, first_open_s=4 * _DAY_S),
)

BY_NAME = {interval.name: interval for interval in INTERVALS}
