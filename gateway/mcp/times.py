"""Times as models read and write them: ISO 8601 in UTC, where the contracts have ns since 1970."""

import re
from datetime import UTC, datetime, timedelta

from kit.base.clock import NANOSECONDS_PER_SECOND

NAME = re.compile(r"(?P<before>(?:.*_)?)(?P<what>time|start|end|until)_ns")
"""Names of fields that are points in time; others in ns are durations."""
ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(?:Z|\+00:00)?"
)
AGO = re.compile(r"-(\d{1,9})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
NANOSECONDS = re.compile(r"\d{16,19}")
FRACTION_DIGITS = 9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALLOWED = "2026-01-31T10:32:00Z (UTC), -2h (ago; s, m, h or d), or ns since 1970"


def readable_name(name: str) -> str:
    """The name that a model sees: start_time for start_time_ns, day_start_time for day_start_ns."""
    found = NAME.fullmatch(name)
    if found is None:
        return name
    before, what = found["before"], found["what"]
    return f"{before}time" if what == "time" else f"{before}{what}_time"


def is_time(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def to_iso(nanoseconds: int) -> str:
    """Exact: the fraction has as many digits as it needs, three at a time."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS_PER_SECOND)
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest:09}"
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def from_text(text: str, now_ns: int) -> int:
    """ns since 1970. Raises ValueError for a text that is none of ALLOWED."""
    if ago := AGO.fullmatch(text):
        return now_ns - int(ago[1]) * SECONDS[ago[2]] * NANOSECONDS_PER_SECOND
    if NANOSECONDS.fullmatch(text):
        return int(text)
    found = ISO.fullmatch(text)
    if found is None:
        raise ValueError(text)
    *parts, fraction = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    whole = (moment - EPOCH) // timedelta(seconds=1)
    return whole * NANOSECONDS_PER_SECOND + int((fraction or "0").ljust(FRACTION_DIGITS, "0"))
