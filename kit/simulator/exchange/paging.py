"""Pages of rows, as exchanges cut them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

RowT = TypeVar("RowT")


def page_after(
    rows: Sequence[RowT], mark: Callable[[RowT], str], cursor: str, limit: int
) -> Sequence[RowT]:
    """The rows after the one with this mark; all from the first when the cursor is empty, none when
    no row has the mark."""
    if cursor:
        marks = [mark(row) for row in rows]
        rows = rows[marks.index(cursor) + 1 :] if cursor in marks else []
    return rows[:limit]


def page_by_id(
    newest_first: Sequence[RowT],
    number: Callable[[RowT], int],
    limit: int,
    below: int | None = None,
    above: int | None = None,
) -> list[RowT]:
    """The newest rows with a number below one and above another, both left out."""
    return [
        row
        for row in newest_first
        if (below is None or number(row) < below) and (above is None or number(row) > above)
    ][:limit]
