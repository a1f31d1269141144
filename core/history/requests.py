"""What a request asks for, checked. All that is wrong is named, with what is allowed."""

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
    """A request about some time."""

    @property
    def range(self) -> history_pb2.TimeRange:
        """Either bound may be open."""


class OrderedRequest(Protocol):
    """A request for a list that may come in either order."""

    order: "history_pb2.SortOrder.ValueType"


def names(request: InstrumentRequest) -> dict[str, object]:
    """Venue and symbol. PostgreSQL holds no text with a zero in it, nor can it be asked for one.

    Raises UnknownInstrument.
    """
    check_names(request.venue, request.symbol)
    return {"venue": request.venue, "symbol": request.symbol}


def check_names(venue: str, symbol: str) -> None:
    """Raises UnknownInstrument when nothing can be recorded under these names."""
    if "\0" in venue + symbol:
        raise UnknownInstrument("no such name", venue=venue, symbol=symbol)


def times(request: RangeRequest) -> tuple[int, int]:
    """First time of the range, and the first that no longer belongs to it. Raises BadRequest."""
    start_ns, end_ns = request.range.start_time_ns, request.range.end_time_ns
    if end_ns and start_ns > end_ns:
        raise bad("range", f"{start_ns} to {end_ns}", "start_time_ns <= end_time_ns")
    return start_ns or INT64_MIN, end_ns or INT64_MAX


def newest_first(request: OrderedRequest) -> bool:
    """Whether the list comes in descending time. Raises BadRequest."""
    if request.order not in history_pb2.SortOrder.values():
        raise bad("order", request.order, " ".join(history_pb2.SortOrder.keys()))
    return request.order == history_pb2.SORT_ORDER_NEWEST_FIRST


def interval(name: str) -> str:
    """The interval of a bar, as it is in the database. Raises BadRequest."""
    if name not in TIME_INTERVALS and not _OTHER_INTERVAL.fullmatch(name):
        kinds = ", ".join(f"{kind}:<size>" for kind in OTHER_KINDS.split())
        raise bad("interval", name, f"{' '.join(TIME_INTERVALS)}, {kinds}")
    return name


def not_negative(field: str, value: int) -> int:
    """A number of which less than 0 makes no sense. Raises BadRequest."""
    if value < 0:
        raise bad(field, value, "0 or more")
    return value


def bad(field: str, value: object, allowed: str) -> BadRequest:
    """The error that names a wrong field."""
    return BadRequest(
        f"{field} is not one of those allowed", field=field, value=value, allowed=allowed
    )
