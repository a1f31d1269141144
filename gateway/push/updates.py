"""What a feed yields, and what it is."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

Row: TypeAlias = dict[str, Any]
"""One event or state, as a client gets it. Amounts are decimal text, 64-bit numbers text."""
Position: TypeAlias = tuple[int, ...]
"""Place in the stream of a feed; ordered."""


class Update(NamedTuple):
    """Rows that belong together."""

    rows: Sequence[Row] = ()
    key: str = ""
    """What the rows are the state of: a later update of the same key replaces this one where only
    the newest state is delivered."""
    position: Position | None = None
    """In the stream, after these rows. None: the stream has no positions."""
    gaps: Sequence[Row] = ()
    """What is missing before these rows."""


class Feed(Protocol):
    """The stream of one topic."""

    def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        """Yield updates after a position, or from now on, as long as the stream lasts. An update
        without rows and gaps only says what the position is.

        Raises grpc.aio.AioRpcError and VenuemeshError.
        """

    async def snapshot(self) -> Update | None:
        """The state before which nothing is needed, with its position in the stream; None where
        the stream has none, or begins with it. Raises like ``updates``."""


def position_text(position: Position | None) -> str | None:
    """A position as the cursor of a client, for example "1754640000000-17"."""
    return None if position is None else "-".join(map(str, position))


def parse_position(text: str, parts: int) -> Position:
    """Raises ValueError for what is no cursor of so many numbers."""
    position = tuple(map(int, text.split("-")))
    if len(position) != parts:
        raise ValueError(text)
    return position
