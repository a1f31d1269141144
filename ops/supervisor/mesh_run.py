"""One run of a mesh: supervisor, display and state file."""

import asyncio
import os
import time
from collections.abc import Collection
from contextlib import suppress

from ops.studio_build import StudioBuild
from ops.supervisor import state, supervisor_service
from ops.supervisor.data_folder import LOG_FOLDER
from ops.supervisor.display import Display
from ops.supervisor.mesh import Mesh
from ops.supervisor.state import MeshState
from ops.supervisor.supervisor import Supervisor

EXIT_KILLED = 130


class MeshRun:
    """One run of a mesh."""

    def __init__(self, mesh: Mesh, display: Display) -> None:
        self._mesh = mesh
        self._started = time.time()
        self._logs = mesh.options.data / LOG_FOLDER
        self._supervisor = Supervisor(mesh.services(), self._logs, self._changed)
        self._display = display

    async def run(self) -> int:
        """Run until stopped. Returns the exit code; raises OperationsError if the mesh cannot
        run."""
        self._supervisor.listen_for_signals()
        beside = [
            asyncio.create_task(StudioBuild().build(self._logs / "studio.log", self._display.say)),
            asyncio.create_task(self._display.run()),
        ]
        try:
            async with supervisor_service.serving(self._mesh, self._supervisor):
                await self._supervisor.run(self._mesh.options.seconds)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            state.remove(self._mesh.options.data)
        return EXIT_KILLED if self._supervisor.killed else 0

    def _changed(self) -> None:
        children = [state.describe(child) for child in self._supervisor.children]
        self._display.changed(children)
        described = MeshState(
            supervisor_pid=os.getpid(),
            started=self._started,
            world=self._mesh.options.world,
            mesh_id=self._mesh.settings.mesh_id,
            gateway=self._mesh.gateway,
            registry=self._mesh.registry,
            ports=self._ports([child.service for child in children]),
            children=children,
        )
        # On a full disk other shells see an old state; the mesh itself continues.
        with suppress(OSError):
            state.write(self._mesh.options.data, described)

    def _ports(self, running: Collection[str]) -> dict[str, int]:
        """The ports in use, with venues that were started or stopped later."""
        mesh = self._mesh
        absent = mesh.known_venues - frozenset(running)
        used = mesh.own_ports() | {venue: mesh.ports[venue] for venue in mesh.known_venues}
        return {name: port for name, port in used.items() if name not in absent}
