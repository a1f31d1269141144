"""The description of one supervised process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from ops.embedded.server_command import ServerCommand


class StopStage(IntEnum):
    """The order in which a mesh stops: each turn ends before the next begins.

    It follows the data, so that what was read is also written.
    """

    VENUES = 0
    AROUND_VENUES = 1
    """What venues read from, and what reads from venues."""
    CONSUMERS = 2
    GATEWAY = 3
    STORES = 4


def nothing() -> None:
    """Default of ``prepare``."""


def at_once() -> bool:
    """Default of ``may_start``."""
    return True


async def when_started() -> bool:
    """Default of ``is_ready``."""
    return True


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One process to be kept alive."""

    name: str
    command: ServerCommand
    stop_turn: StopStage
    prepare: Callable[[], None] = nothing
    """Before each start, in a thread. Raises RuntimeError or OSError when it cannot."""
    may_start: Callable[[], bool] = at_once
    """Asked until it is true, before each start."""
    is_ready: Callable[[], Awaitable[bool]] = when_started
    """Asked until it is true, after each start. Raises SettingError when it never will be."""
    niceness: int = 0
    """The nice value: from 0 to 19 (lowest priority)."""
    refuses_settings: bool = False
    """Whether exit code 2 means a wrong setting, as it does for the mesh's own processes."""
