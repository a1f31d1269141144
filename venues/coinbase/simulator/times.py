"""Times as Coinbase writes them: RFC 3339, in UTC."""

from datetime import UTC, datetime
from functools import lru_cache

from kit.base.clock import NANOSECONDS_PER_SECOND

NANOSECONDS_PER_MICROSECOND = 1_000


def micro_text(time_ns: int) -> str:
    """Of what happened at the exchange: "2021-04-17T16:43:29.571587Z"."""
    seconds, rest = divmod(time_ns, NANOSECONDS_PER_SECOND)
    return f"{_second_text(seconds)}.{rest // NANOSECONDS_PER_MICROSECOND:06d}Z"


def nano_text(time_ns: int) -> str:
    """Of what Advanced Trade sends, without trailing zeros: "2026-09-22T23:19:46.9835Z"."""
    seconds, rest = divmod(time_ns, NANOSECONDS_PER_SECOND)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{_second_text(seconds)}{fraction}Z"


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
