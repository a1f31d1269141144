"""The hours in which positions may be opened, in UTC."""

import itertools
import re
from collections.abc import Iterable, Iterator

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
EPOCH_DAY = DAYS.index("thu")
"""The first of January 1970."""
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


class TradingHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same hours of some days of the week. They end at the end of the day at the latest."""

    days: tuple[str, ...] = DAYS
    start: str
    """As "08:30"."""
    end: str
    """The first minute after them, up to "24:00"."""

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Start and end of each day, as minutes of the week."""
        for day in self.days:
            begins = DAYS.index(day) * DAY_MINUTES
            yield begins + _minute(self.start), begins + _minute(self.end)


def problem_of(hours: TradingHours) -> tuple[str, object, str] | None:
    """Field, value and what is allowed, of one that makes no sense; None if it does."""
    for day in hours.days:
        if day not in DAYS:
            return "days", day, ", ".join(DAYS)
    if not hours.days or len(set(hours.days)) < len(hours.days):
        return "days", list(hours.days), "at least one day, each once"
    for name in ("start", "end"):
        if not _TIME.fullmatch(getattr(hours, name)):
            return name, getattr(hours, name), 'a time in UTC from "00:00" to "24:00"'
    if _minute(hours.start) >= _minute(hours.end):
        return "end", hours.end, f"later than start, {hours.start}; hours over midnight are two"
    return None


def overlap_of(hours: Iterable[TradingHours]) -> str:
    """The day on which two of them overlap; "" if none do."""
    spans = sorted(span for one in hours for span in one.minutes())
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start < end:
            return DAYS[start // DAY_MINUTES]
    return ""


def is_within(hours: Iterable[TradingHours], time_ns: int) -> bool:
    """Whether a time is within any of them."""
    minute = _week_minute(time_ns)
    return any(start <= minute < end for one in hours for start, end in one.minutes())


def week_time(time_ns: int) -> str:
    """A time as "mon 08:30"."""
    day, minute = divmod(_week_minute(time_ns), DAY_MINUTES)
    return f"{DAYS[day]} {minute // 60:02}:{minute % 60:02}"


def text_of(hours: Iterable[TradingHours]) -> str:
    return "; ".join(f"{' '.join(one.days)} {one.start}-{one.end}" for one in hours)


def _week_minute(time_ns: int) -> int:
    minute = time_ns // (60 * NANOSECONDS_PER_SECOND) + EPOCH_DAY * DAY_MINUTES
    return minute % (7 * DAY_MINUTES)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
