"""Lists in pages.

A page begins after the key of the last row of the page before, not at a row number. So every page
costs the same, and rows added meanwhile do not shift later pages. Where rows have no key, a page
begins at the time of the last row, after the rows of that time that earlier pages held.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.history.request_checks import INT64_MAX, INT64_MIN
from kit.base import paging
from kit.base.database import Connection
from kit.base.errors import BadPageToken

PAGE_SIZE = 1_000
PAGE_SIZE_MAX = 10_000
FIRST_SPAN_NS = 60 * 1_000_000_000
SPAN_GROWTH = 4

_USUAL_BOUNDS = (
    b"SELECT ns_of(first_recorded_time) - day_ns(), now_ns() + day_ns() FROM instruments"
    b" WHERE instrument_id = %(instrument_id)s"
)
"""Bounds of the received times of an instrument's rows, unless a clock was wrong."""

Row = tuple[Any, ...]
Values = Mapping[str, Any]
Position = list[int | str]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for one page of a list."""

    values: Values
    """Values of the placeholders ``%(name)s`` in the list's source."""
    newest_first: bool
    position: Position | None
    """None: the first page."""
    limit: int


class PagedList(Protocol):
    """A list that is served in pages."""

    def check(self, position: Position) -> bool:
        """Whether a position from a page token is valid."""

    async def fetch(self, connection: Connection, request: PageRequest) -> list[Row]:
        """The first rows after a position."""

    def position(self, rows: list[Row], before: Position | None) -> Position:
        """The position of the page after these rows."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """An expression that orders a list."""

    expression: str
    kind: type = int
    against: bool = False
    """Whether it descends where the list ascends, and the reverse."""


@dataclass(frozen=True, slots=True)
class KeyOrderedList:
    """A list whose rows have a unique key."""

    columns: str
    source: str
    """Table and condition."""
    key: Sequence[SortKey]
    """Unique for each row."""

    def check(self, position: Position) -> bool:
        return len(position) == len(self.key) and all(
            _fits(value, key.kind) for value, key in zip(position, self.key, strict=True)
        )

    async def fetch(self, connection: Connection, request: PageRequest) -> list[Row]:
        """The first rows after a position; each row ends with its key."""
        after = {f"after_{place}": value for place, value in enumerate(request.position or [])}
        falls = [key.against != request.newest_first for key in self.key]
        orders = [
            f"{key.expression} {'DESC' if fall else 'ASC'}"
            for key, fall in zip(self.key, falls, strict=True)
        ]
        text = (
            f"SELECT {self.columns}, {', '.join(key.expression for key in self.key)}"
            f" FROM {self.source} {self._beyond(falls) if after else ''}"
            f" ORDER BY {', '.join(orders)} LIMIT %(limit)s"
        )
        values = {**request.values, **after, "limit": request.limit}
        found = await connection.execute(text.encode(), values)
        return await found.fetchall()

    def position(self, rows: list[Row], before: Position | None) -> Position:
        return list(rows[-1][-len(self.key) :])

    def _beyond(self, falls: Sequence[bool]) -> str:
        """The condition for rows after a position."""
        names = [key.expression for key in self.key]
        signs = ["<" if fall else ">" for fall in falls]
        text = "false"
        for place in reversed(range(len(names))):
            name, value = names[place], f"%(after_{place})s"
            text = f"({name} {signs[place]} {value} OR {name} = {value} AND {text})"
        # The first comparison alone lets PostgreSQL choose partitions.
        return f"AND {names[0]} {signs[0]}= %(after_0)s AND {text}"


@dataclass(frozen=True, slots=True)
class MergedList:
    """The rows of two lists with equal keys, merged; where both have a key, the row of the upper
    list."""

    upper: KeyOrderedList
    lower: KeyOrderedList

    def check(self, position: Position) -> bool:
        return self.upper.check(position)

    async def fetch(self, connection: Connection, request: PageRequest) -> list[Row]:
        """The first rows after a position; each row ends with its key."""
        length = len(self.upper.key)
        by_key = {row[-length:]: row for row in await self.lower.fetch(connection, request)}
        by_key |= {row[-length:]: row for row in await self.upper.fetch(connection, request)}
        # Beyond the limit one of the lists may have rows that were not fetched.
        return [by_key[key] for key in sorted(by_key, reverse=request.newest_first)][
            : request.limit
        ]

    def position(self, rows: list[Row], before: Position | None) -> Position:
        return self.upper.position(rows, before)


@dataclass(frozen=True, slots=True)
class TimeOrderedList:
    """A list whose rows have a time and no key.

    Its BRIN index finds times but does not order them. So a page is searched in spans of time that
    grow until the page is full. The values hold ``start_ns`` and ``end_ns``.
    """

    columns: str
    table: str
    condition: str
    """The condition on rows, besides the time range."""
    time: str
    """The column that orders the list."""
    tie: Sequence[str]
    """Columns that order rows of one time; rows equal in all of them are equal."""

    def check(self, position: Position) -> bool:
        return len(position) == 2 and all(_fits(value, int) for value in position)

    async def fetch(self, connection: Connection, request: PageRequest) -> list[Row]:
        """The first rows after a position; each row ends with its time."""
        start_ns, end_ns = request.values["start_ns"], request.values["end_ns"]
        skip = 0
        if request.position is not None:
            from_ns, skip = map(int, request.position)
            if request.newest_first:
                end_ns = min(end_ns, from_ns + 1)
            else:
                start_ns = max(start_ns, from_ns)
        bounds = await self._bounds(connection, request.values, (start_ns, end_ns))
        rows: list[Row] = []
        for span in _spans(*bounds, request.newest_first):
            values = {**request.values, "start_ns": span[0], "end_ns": span[1]}
            values |= {"skip": skip, "limit": request.limit - len(rows)}
            found = await connection.execute(self._statement(request.newest_first), values)
            rows += await found.fetchall()
            if len(rows) == request.limit:
                break
            skip = 0
        return rows

    def position(self, rows: list[Row], before: Position | None) -> Position:
        last = rows[-1][-1]
        count = sum(row[-1] == last for row in rows)
        if before is not None and before[0] == last:
            count += int(before[1])
        return [last, count]

    def _statement(self, newest_first: bool) -> bytes:
        order = "DESC" if newest_first else "ASC"
        orders = ", ".join(f"{column} {order}" for column in (self.time, *self.tie))
        return (
            f"SELECT {self.columns}, {self.time} FROM {self._in_span()}"
            f" ORDER BY {orders} LIMIT %(limit)s OFFSET %(skip)s"
        ).encode()

    def _in_span(self) -> str:
        return (
            f"{self.table} WHERE {self.condition}"
            f" AND {self.time} >= %(start_ns)s AND {self.time} < %(end_ns)s"
        )

    async def _bounds(
        self, connection: Connection, values: Values, span: tuple[int, int]
    ) -> tuple[int, int]:
        """The times between which there are rows, where the range is open. The index tells whether
        the usual bounds hold; only if they do not, rows are searched."""
        start_ns, end_ns = span
        if start_ns == INT64_MIN or end_ns == INT64_MAX:
            found = await connection.execute(_USUAL_BOUNDS, values)
            ((usual_start_ns, usual_end_ns),) = await found.fetchall()
            if start_ns == INT64_MIN:
                outside = INT64_MIN, min(usual_start_ns, end_ns)
                earliest = await self._extreme(connection, values, outside, "min")
                start_ns = outside[1] if earliest is None else earliest
            if end_ns == INT64_MAX:
                outside = max(usual_end_ns, start_ns), INT64_MAX
                latest = await self._extreme(connection, values, outside, "max")
                end_ns = outside[0] if latest is None else latest + 1
        return start_ns, end_ns

    async def _extreme(
        self, connection: Connection, values: Values, span: tuple[int, int], function: str
    ) -> int | None:
        text = f"SELECT {function}({self.time}) FROM {self._in_span()}"
        values = {**values, "start_ns": span[0], "end_ns": span[1]}
        found = await connection.execute(text.encode(), values)
        ((extreme,),) = await found.fetchall()
        return None if extreme is None else int(extreme)


async def page(
    connection: Connection, listing: PagedList, request: Any, values: Values, newest_first: bool
) -> tuple[list[Row], str]:
    """One page of a list, and the token of the next one. Raises BadPageToken, BadRequest."""
    size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
    position = _position(listing, request)
    rows = await listing.fetch(connection, PageRequest(values, newest_first, position, size + 1))
    if len(rows) <= size:
        return rows, ""
    del rows[size:]
    return rows, paging.make_token(request, listing.position(rows, position))


def _spans(start_ns: int, end_ns: int, newest_first: bool) -> Iterator[tuple[int, int]]:
    """Split a range into spans, each longer than the one before."""
    length_ns = FIRST_SPAN_NS
    while start_ns < end_ns:
        if newest_first:
            middle_ns = max(start_ns, end_ns - length_ns)
            yield middle_ns, end_ns
            end_ns = middle_ns
        else:
            middle_ns = min(end_ns, start_ns + length_ns)
            yield start_ns, middle_ns
            start_ns = middle_ns
        length_ns *= SPAN_GROWTH


def _position(listing: PagedList, request: Any) -> Position | None:
    position = paging.read_token(request)
    if position is not None and not listing.check(position):
        raise BadPageToken("not a page token", page_token=request.page_token)
    return position


def _fits(value: object, kind: type) -> bool:
    """Whether it can be compared with a key of this kind."""
    if kind is int:
        return type(value) is int and INT64_MIN <= value <= INT64_MAX
    return isinstance(value, str) and "\0" not in value
