"""The output of ``up``: a live table in a terminal, otherwise a line per change."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console
from rich.live import Live
from venuemesh.registry.v1 import registry_pb2

from kit.base.directory import ServiceDirectory
from ops.output import print_json
from ops.supervisor import status_table
from ops.supervisor.child import ProcessState
from ops.supervisor.service_rows import read_registry, rows
from ops.supervisor.state import ChildState

REFRESH_SECONDS = 1.0
NOTES_MAX = 5
LASTING_SECONDS = 4.0
"""A service that is DEGRADED for a moment, as all are while they start, is not worth a line."""


class Display(Protocol):
    """A way to show a mesh."""

    def say(self, text: str) -> None:
        """Show a line that is worth reading."""

    def offer_sign_in(self, url: str, expires: float) -> None:
        """Show the link that signs a browser in, until it expires. ``expires``: s."""

    def changed(self, children: Sequence[ChildState]) -> None:
        """Something may have changed."""

    async def run(self) -> None:
        """Show until cancelled."""


class PersistentProblems:
    """Reasons of services that stay DEGRADED: each is reported once."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}
        self._reported: dict[str, str] = {}

    def new(self, registered: Mapping[str, registry_pb2.Service], now: float) -> list[str]:
        """One line for each reason that has lasted and was not reported before. ``now``: s."""
        lines = []
        degraded = {
            service_id: service.status.detail
            for service_id, service in registered.items()
            if service.status.state == registry_pb2.SERVICE_STATE_DEGRADED
        }
        self._since = {
            service_id: known
            for service_id, known in self._since.items()
            if degraded.get(service_id) == known[0]
        }
        for service_id, detail in degraded.items():
            _, since = self._since.setdefault(service_id, (detail, now))
            if now - since >= LASTING_SECONDS and self._reported.get(service_id) != detail:
                self._reported[service_id] = detail
                lines.append(f"{status_table.clock(now)} {service_id} degraded: {detail}")
        return lines


# Ways to another state: in lines they would say everything twice.
PASSING = frozenset({ProcessState.WAITING, ProcessState.STARTING, ProcessState.STOPPING})


class LineDisplay:
    """One line for each change that lasts: a text, or a JSON object."""

    def __init__(self, headline: str, registry: str, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._shown: dict[str, str] = {}
        self._registry = registry
        self.say(headline)

    def say(self, text: str) -> None:
        if self._as_json:
            print_json({"message": text})
        else:
            print(text, flush=True)

    def offer_sign_in(self, url: str, expires: float) -> None:
        if self._as_json:
            print_json({"sign_in_url": url, "expires": expires})
        else:
            self.say(f"sign in once, until {status_table.clock(expires)}: {url}")

    def changed(self, children: Sequence[ChildState]) -> None:
        for child in children:
            state = f"{child.state} ({child.detail})" if child.detail else child.state
            if child.state not in PASSING and self._shown.get(child.service) != state:
                self._shown[child.service] = state
                if self._as_json:
                    print_json(child)
                else:
                    self.say(f"{status_table.clock(child.since)} {child.service} {state}")

    async def run(self) -> None:
        """Report what services lack, until cancelled."""
        directory, problems = ServiceDirectory(self._registry), PersistentProblems()
        try:
            while True:
                for line in problems.new(await read_registry(directory), time.time()):
                    self.say(line)
                await asyncio.sleep(REFRESH_SECONDS)
        finally:
            await directory.close()


class LiveTable:
    """A table that is drawn again each second, with the latest lines above it."""

    def __init__(self, headline: str, registry: str) -> None:
        self._headline = headline
        self._registry = registry
        self._notes: list[str] = []
        self._sign_in: tuple[str, float] | None = None
        self._children: Sequence[ChildState] = ()

    def say(self, text: str) -> None:
        """Keep it above the table."""
        self._notes = [*self._notes, text][-NOTES_MAX:]

    def offer_sign_in(self, url: str, expires: float) -> None:
        self._sign_in = (url, expires)

    def changed(self, children: Sequence[ChildState]) -> None:
        self._children = children

    async def run(self) -> None:
        directory, problems = ServiceDirectory(self._registry), PersistentProblems()
        try:
            with Live(console=Console(), auto_refresh=False) as live:
                try:
                    while True:
                        registered = await read_registry(directory)
                        for line in problems.new(registered, time.time()):
                            self.say(line)
                        self._draw(live, registered)
                        await asyncio.sleep(REFRESH_SECONDS)
                finally:
                    # The final state stays on the terminal.
                    self._draw(live, {})
        finally:
            await directory.close()

    def _draw(self, live: Live, registered: Mapping[str, registry_pb2.Service]) -> None:
        now = time.time()
        text = "\n".join([self._headline, *self._sign_in_lines(now), *self._notes])
        found = rows(self._children, registered)
        live.update(status_table.render(text, found, now), refresh=True)

    def _sign_in_lines(self, now: float) -> list[str]:
        if self._sign_in is None:
            return []
        url, expires = self._sign_in
        if expires <= now:
            return ["sign in: ./venuemesh token link"]
        return [f"sign in once, until {status_table.clock(expires)}: {url}"]
