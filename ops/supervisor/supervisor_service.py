"""The service through which the catalog starts and stops venues.

It listens on the loopback only, and no route of the gateway leads to it: the registry process
checks the requests and forwards them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from msgspec.structs import replace
from venuemesh.supervisor.v1 import supervisor_pb2, supervisor_pb2_grpc

from kit.base import rpc, settings
from kit.base.access import authority
from kit.base.access.call_guard import CallGuard, require_kind
from kit.base.access.settings import AccessSettings
from kit.base.access.trust import from_file
from kit.base.clock import SystemClock
from kit.base.directory import REGISTRY
from kit.base.errors import NotSupported, PortInUse, ProcessDraining, UnknownVenue
from kit.base.reloaded_file import ReloadedFile
from kit.base.runtime import call_guard
from ops import ports
from ops.embedded.server_command import LOOPBACK
from ops.errors import OperationsError
from ops.supervisor.child import ProcessState
from ops.supervisor.mesh import Mesh
from ops.supervisor.options import ReplaySources
from ops.supervisor.supervisor import Supervisor

KEYS_INTERVAL_S = 5.0

Context = grpc.aio.ServicerContext[Any, Any]


class SupervisorServicer(supervisor_pb2_grpc.SupervisorServicer):
    """Starts and stops venues of a running mesh."""

    def __init__(self, mesh: Mesh, supervisor: Supervisor) -> None:
        self._mesh = mesh
        self._supervisor = supervisor
        # Sequential, because a port is free only when its previous process has ended.
        self._turn = asyncio.Lock()

    async def StartVenue(
        self, request: supervisor_pb2.StartVenueRequest, context: Context
    ) -> supervisor_pb2.StartVenueResponse:
        require_kind(REGISTRY, "start and stop venues")
        async with self._turn:
            await self._start(request.venue)
        return supervisor_pb2.StartVenueResponse()

    async def StopVenue(
        self, request: supervisor_pb2.StopVenueRequest, context: Context
    ) -> supervisor_pb2.StopVenueResponse:
        require_kind(REGISTRY, "start and stop venues")
        async with self._turn:
            self._require(request.venue)
            for name in self._mesh.processes_of(request.venue):
                child = self._supervisor.child(name)
                if child is not None:
                    await self._supervisor.remove(child)
        return supervisor_pb2.StopVenueResponse()

    async def _start(self, venue: str) -> None:
        self._require(venue)
        child = self._supervisor.child(venue)
        if child is not None:
            if child.state is not ProcessState.STOPPED:
                return
            # It was given up, and is asked for again.
            await self._supervisor.remove(child)
        options = self._mesh.options
        played = ReplaySources(options.replays, options.records).venues
        if options.world == "replay" and venue not in played:
            raise NotSupported(
                f"the world replay has no file of {venue}: start it with --replay {venue}=FILE",
                service="supervisor",
                wanted=venue,
            )
        for name, port in self._mesh.venue_ports(venue).items():
            try:
                ports.require_free({name: port})
            except OperationsError:
                text = f"port {port} ({name}) is in use: stop what uses it, and activate it again"
                raise PortInUse(text, venue=venue, port=port) from None
        self._require(venue)
        self._supervisor.add(self._mesh.venue_service(venue))
        for replica, of in self._mesh.replicas.items():
            if of == venue and self._supervisor.child(replica) is None:
                self._supervisor.add(self._mesh.replica_service(replica))

    def _require(self, venue: str) -> None:
        """Raises Draining and UnknownVenue."""
        if self._supervisor.stopping:
            raise ProcessDraining("the mesh is stopping")
        if venue not in self._mesh.known_venues:
            raise UnknownVenue(f"no venue {venue!r} is installed", venue=venue)


@asynccontextmanager
async def serving(mesh: Mesh, supervisor: Supervisor) -> AsyncIterator[None]:
    """Serve within the context. Raises OperationsError if the port is in use."""
    server = rpc.server()
    descriptor = supervisor_pb2.DESCRIPTOR.services_by_name["Supervisor"]
    folder = mesh.options.data / authority.FOLDER
    # The file of public keys is there once the mesh has keys.
    authority.Authority(folder, SystemClock())
    access = settings.load(AccessSettings, "access")
    guard = call_guard(access, replace(mesh.settings, data_dir=str(mesh.options.data)))
    rpc.serve(server, descriptor, SupervisorServicer(mesh, supervisor), guard=guard)
    port = mesh.ports["supervisor"]
    try:
        rpc.listen(server, f"{LOOPBACK}:{port}")
    except RuntimeError:
        raise OperationsError(f"port {port} (supervisor) is in use") from None
    await server.start()
    following = asyncio.create_task(_follow_keys(guard, folder / authority.PUBLIC_FILE))
    try:
        yield
    finally:
        following.cancel()
        await server.stop(None)


async def _follow_keys(guard: CallGuard, file: Path) -> None:
    """Verify with the present keys. Other processes hear of them with their heartbeats."""
    clock = SystemClock()
    keys = ReloadedFile(file, from_file, clock, missing=None, unreadable=None)
    while True:
        await clock.sleep(KEYS_INTERVAL_S)
        guard.trust(keys.content)
