"""Tables for a terminal, and the words in them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from kit.base.clock import NANOSECONDS_PER_SECOND

WIDTH_MIN = 160
"""Width of a table if the output is not a terminal."""


def console() -> Console:
    """A console for tables. Texts of venues have brackets, which are no markup."""
    found = Console(markup=False)
    if not found.is_terminal:
        found.width = max(found.width, WIDTH_MIN)
    return found


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table with these columns; "detail" may be wrapped."""
    found = Table()
    for name in names:
        # Ids are there to be copied.
        found.add_column(name, no_wrap=name != "detail", overflow="fold")
    for row in rows:
        found.add_row(*row)
    return found


def word(name: str, prefix: str) -> str:
    """The words of an enum value; "" for one that is not set."""
    found = name.removeprefix(prefix).lower().replace("_", " ")
    return "" if found == "unspecified" else found


def time_text(time_ns: int) -> str:
    """A time in UTC with ms; "" for 0."""
    if not time_ns:
        return ""
    seconds = time_ns / NANOSECONDS_PER_SECOND
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "milliseconds")
