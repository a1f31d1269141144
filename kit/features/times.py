"""When a bar ends, in UTC."""

import re

from kit.features.expression import Expression

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)
TIME = re.compile("([01][0-9]|2[0-4]):([0-5][0-9])")

second_of_day = Expression("second_of_day")
day_of_week = Expression("day_of_week")
"""0 is Monday."""


def between(start: str, end: str) -> Expression:
    """From one time of the day, as "08:30", until before another one; over midnight if that is
    earlier. Raises ValueError."""
    first, last = _seconds(start), _seconds(end)
    after, before = second_of_day >= first, second_of_day < last
    return after & before if first <= last else after | before


def on_days(*days: int) -> Expression:
    """On one of these days, as ``on_days(MONDAY, FRIDAY)``. Raises ValueError."""
    if not days or not all(isinstance(day, int) and 0 <= day <= SUNDAY for day in days):
        raise ValueError(f"days are {days}; allowed are 0 (Monday) to 6 (Sunday)")
    found = [(day_of_week >= day) & (day_of_week <= day) for day in days]
    chosen = found[0]
    for one in found[1:]:
        chosen = chosen | one
    return chosen


def _seconds(text: str) -> int:
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"time is {text!r}; allowed: 00:00 to 24:00, as 08:30")
    return 3600 * int(found[1]) + 60 * int(found[2])
