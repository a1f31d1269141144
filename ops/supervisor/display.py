"""What ``up`` shows while it runs: a live table in a terminal, lines at changes elsewhere."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console
from rich.live import Live
from venuemesh.registry.v1 import registry_pb2

from kit.base.directory import Directory
from ops.supervisor import table
from ops.supervisor.child import State
from ops.supervisor.overview import read_registry, rows
from ops.supervisor.state import ChildState

REFRESH_SECONDS = 1.0
NOTES_MAX = 5


class Display(Protocol):
    """A way to show a mesh."""

    def say(self, text: str) -> None:
        """Show a line that is worth reading."""

    def changed(self, children: Sequence[ChildState]) -> None:
        """Something may have changed."""

    async def run(self) -> None:
        """Show until cancelled."""


# Ways to another state: in lines they would say everything twice.
PASSING = frozenset({State.WAITING, State.STARTING, State.STOPPING})


class Lines:
    """One line for each change that lasts."""

    def __init__(self, headline: str) -> None:
        self._shown: dict[str, str] = {}
        self.say(headline)

    def say(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)

    def changed(self, children: Sequence[ChildState]) -> None:
        """Print what is new."""
        for child in children:
            state = f"{child.state} ({child.detail})" if child.detail else child.state
            if child.state not in PASSING and self._shown.get(child.service) != state:
                self._shown[child.service] = state
                self.say(f"{table.clock(child.since)} {child.service} {state}")

    async def run(self) -> None:
        """Nothing to be done between changes."""


class LiveTable:
    """A table that is drawn again each second, with the latest lines above it."""

    def __init__(self, headline: str, registry: str) -> None:
        self._headline = headline
        self._registry = registry
        self._notes: list[str] = []
        self._children: Sequence[ChildState] = ()

    def say(self, text: str) -> None:
        """Keep it above the table."""
        self._notes = [*self._notes, text][-NOTES_MAX:]

    def changed(self, children: Sequence[ChildState]) -> None:
        """Draw these next."""
        self._children = children

    async def run(self) -> None:
        """Draw until cancelled."""
        directory = Directory(self._registry)
        try:
            with Live(console=Console(), auto_refresh=False) as live:
                try:
                    while True:
                        self._draw(live, await read_registry(directory))
                        await asyncio.sleep(REFRESH_SECONDS)
                finally:
                    # What stays on the terminal is how it ended.
                    self._draw(live, {})
        finally:
            await directory.close()

    def _draw(self, live: Live, registered: Mapping[str, registry_pb2.Service]) -> None:
        text = "\n".join([self._headline, *self._notes])
        found = rows(self._children, registered)
        live.update(table.render(text, found, time.time()), refresh=True)
