"""One run of a mesh: supervisor, display and state file."""

import asyncio
import os
import resource
import time
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

import grpc
from venuemesh.access.v1.tokens_pb2 import CreateSignInLinkRequest
from venuemesh.access.v1.tokens_pb2_grpc import TokensStub

from kit.base import rpc, settings
from kit.base.access.local_tokens import LocalCredentials
from kit.base.access.settings import AccessSettings
from kit.base.access.transport import MeshTls
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.directory import CALL_TIMEOUT_S, SUPERVISOR
from ops.studio_build import StudioBuild
from ops.supervisor import state, supervisor_service
from ops.supervisor.data_folder import LOG_FOLDER
from ops.supervisor.display import Display
from ops.supervisor.forked_process import ForkServer
from ops.supervisor.logs import ServiceLog
from ops.supervisor.mesh import Mesh
from ops.supervisor.state import MeshState
from ops.supervisor.supervisor import Supervisor

EXIT_KILLED = 130
FORK_SERVER = "fork-server"
"""Name of its log."""
SIGN_IN_INTERVAL_S = 0.5
DESCRIPTORS = 16_384
"""What Envoy needs for as many connections as it accepts, and for those to processes."""


class MeshRun:
    """One run of a mesh."""

    def __init__(self, mesh: Mesh, display: Display) -> None:
        self._mesh = mesh
        self._started = time.time()
        self._logs = mesh.options.data / LOG_FOLDER
        self._fork_server = ForkServer()
        self._supervisor = Supervisor(
            mesh.services(), self._logs, self._changed, spawn=self._fork_server.spawn
        )
        self._display = display
        self._ended = False

    async def run(self) -> int:
        """Run until stopped. Returns the exit code; raises OperationsError if the mesh cannot
        run."""
        self._supervisor.listen_for_signals()
        _allow_descriptors()
        with ServiceLog(self._logs, FORK_SERVER).open() as log:
            await self._fork_server.start(self._mesh.environment(), log)
        data, mesh_id = self._mesh.options.data, self._mesh.settings.mesh_id
        rpc.identify(LocalCredentials(data, mesh_id, SystemClock()))
        certificates = self._mesh.certificates
        if certificates is not None:
            rpc.encrypt(MeshTls(certificates.settings_of(SUPERVISOR), SystemClock()))
        beside = [
            asyncio.create_task(StudioBuild().build(self._logs / "studio.log", self._display.say)),
            asyncio.create_task(self._display.run()),
            asyncio.create_task(self._offer_sign_in()),
            *([asyncio.create_task(certificates.run())] if certificates else []),
        ]
        try:
            async with supervisor_service.serving(self._mesh, self._supervisor):
                await self._supervisor.run(self._mesh.options.seconds)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._fork_server.close()
            # A child that ends now must not write the file again.
            self._ended = True
            state.remove(self._mesh.options.data)
        return EXIT_KILLED if self._supervisor.killed else 0

    async def _offer_sign_in(self) -> None:
        """Show a link that signs a browser in, once the gateway answers."""
        if not settings.load(AccessSettings, "access").required:
            return
        gateway = self._mesh.gateway
        async with rpc.plain_channel(urlsplit(gateway).netloc) as channel:
            stub, request = TokensStub(channel), CreateSignInLinkRequest()
            while True:
                try:
                    link = await stub.CreateSignInLink(request, timeout=CALL_TIMEOUT_S)
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(SIGN_IN_INTERVAL_S)
                else:
                    expires = link.expires_time_ns / NANOSECONDS_PER_SECOND
                    self._display.offer_sign_in(gateway + link.path, expires)
                    return

    def _changed(self) -> None:
        if self._ended:
            return
        children = [state.describe(child) for child in self._supervisor.children]
        self._display.changed(children)
        described = MeshState(
            supervisor_pid=os.getpid(),
            started=self._started,
            world=self._mesh.options.world,
            mesh_id=self._mesh.settings.mesh_id,
            gateway=self._mesh.gateway,
            registry=self._mesh.registry,
            tls=self._mesh.certificates is not None,
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


def _allow_descriptors() -> None:
    """Let the processes have enough open files and connections, as far as the system allows. Often
    1,024 are usual and many more allowed."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    if usual < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))
