"""Times of the calendar in which no positions may be opened: holidays, maintenance, events."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from kit.base.clock import NANOSECONDS_PER_SECOND

MICROSECOND_NS = 1_000
Time = Annotated[datetime, Meta(tz=True)]


class ClosedPeriod(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From one time to another."""

    start: Time
    end: Time
    """The first time after it."""
    reason: str = ""


def problem_of(period: ClosedPeriod) -> tuple[str, object, str] | None:
    """Field, value and what is allowed, of one that makes no sense; None if it does."""
    if period.start >= period.end:
        return "end", _text(period.end), f"later than start, {_text(period.start)}"
    return None


def overlap_of(periods: Iterable[ClosedPeriod]) -> str:
    """The time from which on two of them overlap; "" if none do."""
    for before, after in itertools.pairwise(sorted(periods, key=lambda one: one.start)):
        if after.start < before.end:
            return _text(after.start)
    return ""


def at(periods: Iterable[ClosedPeriod], time_ns: int) -> ClosedPeriod | None:
    """The one that a time is in, or None."""
    for one in periods:
        if _time_ns(one.start) <= time_ns < _time_ns(one.end):
            return one
    return None


def utc_text(time_ns: int) -> str:
    """A time as "2026-12-24 18:00:00"."""
    found = datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC)
    return found.strftime("%Y-%m-%d %H:%M:%S")


def text_of(period: ClosedPeriod) -> str:
    reason = f": {period.reason}" if period.reason else ""
    return f"not from {_text(period.start)} to {_text(period.end)}{reason}"


def _text(time: datetime) -> str:
    return utc_text(_time_ns(time))


def _time_ns(time: datetime) -> int:
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since.days * 86_400 + since.seconds
    return seconds * NANOSECONDS_PER_SECOND + since.microseconds * MICROSECOND_NS
