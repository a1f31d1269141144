"""Small programs in place of the mesh's processes, and waiting for their outcome."""

import asyncio
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.embedded.server_command import ServerCommand
from ops.supervisor.child import ProcessState, RestartDelays
from ops.supervisor.service_spec import ServiceSpec, StopStage
from ops.supervisor.supervisor import Supervisor

SECONDS_MAX = 60.0
QUICK = RestartDelays(first_seconds=0.01, most_seconds=0.02)

SLEEPS = "exec sleep 60"


def service(
    name: str, script: str, turn: StopStage = StopStage.CONSUMERS, **more: Any
) -> ServiceSpec:
    """A service that runs this shell script."""
    return ServiceSpec(name, ServerCommand(("/bin/sh", "-c", script)), turn, **more)


def trapping(folder: Path, name: str, reaction: str, turn: StopStage) -> ServiceSpec:
    """A service that is ready when it has set this reaction to being asked to end."""
    ready = folder / f"{name}.ready"

    async def is_ready() -> bool:
        return ready.exists()

    script = f"trap '{reaction}' TERM; touch {ready}; while :; do sleep 0.01; done"
    return service(name, script, turn, is_ready=is_ready)


class Watched:
    """A supervisor with a method to wait for a state."""

    def __init__(self, folder: Path, *services: ServiceSpec) -> None:
        self._news = asyncio.Event()
        self.supervisor = Supervisor(services, folder, self._news.set, QUICK)
        self.children = {child.service.name: child for child in self.supervisor.children}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds. Raises TimeoutError."""
        async with asyncio.timeout(SECONDS_MAX):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def until_running(self) -> None:
        """Wait until all are."""
        children = self.children.values()
        await self.until(lambda: all(child.state is ProcessState.RUNNING for child in children))


def wait_for_end(pid: int) -> bool:
    """Whether any process ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], SECONDS_MAX)[0])
    finally:
        os.close(descriptor)
