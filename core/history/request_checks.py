"""Checks of requests. Errors name the field, its value and what is allowed."""

import re
from typing import Protocol

from venuemesh.history.v1 import history_pb2

from kit.base.errors import BadRequest, UnknownInstrument

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
TIME_INTERVALS = ("1s", "5s", "15s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w")
OTHER_KINDS = "tick volume value imbalance runs range renko"
_OTHER_INTERVAL = re.compile(rf"({'|'.join(OTHER_KINDS.split())}):[0-9]{{1,18}}(\.[0-9]{{1,18}})?")


class InstrumentRequest(Protocol):
    """A request about one instrument."""

    venue: str
    symbol: str


class RangeRequest(Protocol):
    """A request about a time range."""

    @property
    def range(self) -> history_pb2.TimeRange:
        """Either bound may be open."""


class SortedRequest(Protocol):
    """A request for a list in ascending or descending order."""

    order: "history_pb2.SortOrder.ValueType"


def names(request: InstrumentRequest) -> dict[str, object]:
    """Venue and symbol as statement values. Raises UnknownInstrument for names that PostgreSQL
    cannot hold."""
    check_names(request.venue, request.symbol)
    return {"venue": request.venue, "symbol": request.symbol}


def check_names(venue: str, symbol: str) -> None:
    """Raises UnknownInstrument for names with a NUL character, which PostgreSQL cannot hold."""
    if "\0" in venue + symbol:
        raise UnknownInstrument("a name contains a NUL character", venue=venue, symbol=symbol)


def times(request: RangeRequest) -> tuple[int, int]:
    """Start of the range (inclusive) and its end (exclusive). Raises BadRequest."""
    start_ns, end_ns = request.range.start_time_ns, request.range.end_time_ns
    if end_ns and start_ns > end_ns:
        raise bad("range", f"{start_ns} to {end_ns}", "start_time_ns <= end_time_ns")
    return start_ns or INT64_MIN, end_ns or INT64_MAX


def newest_first(request: SortedRequest) -> bool:
    """Whether the list is in descending time. Raises BadRequest."""
    if request.order not in history_pb2.SortOrder.values():
        raise bad("order", request.order, " ".join(history_pb2.SortOrder.keys()))
    return request.order == history_pb2.SORT_ORDER_NEWEST_FIRST


def interval(name: str) -> str:
    """Check the interval of a bar. Raises BadRequest."""
    if name not in TIME_INTERVALS and not _OTHER_INTERVAL.fullmatch(name):
        kinds = ", ".join(f"{kind}:<size>" for kind in OTHER_KINDS.split())
        raise bad("interval", name, f"{' '.join(TIME_INTERVALS)}, {kinds}")
    return name


def not_negative(field: str, value: int) -> int:
    """Check that a number is not negative. Raises BadRequest."""
    if value < 0:
        raise bad(field, value, "0 or more")
    return value


def bad(field: str, value: object, allowed: str) -> BadRequest:
    """An error that names a wrong field."""
    return BadRequest(
        f"the value {value} of {field} is not allowed", field=field, value=value, allowed=allowed
    )
