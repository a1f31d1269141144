"""Venues come and go at a word, while the others run."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from venuemesh.supervisor.v1 import supervisor_pb2, supervisor_pb2_grpc

from kit.base import rpc
from kit.base.access.credentials import FixedToken
from kit.base.access.local_tokens import process_token
from kit.base.errors import error_info
from kit.base.settings import MeshSettings
from ops import ports
from ops.embedded.server_command import LOOPBACK
from ops.errors import OperationsError
from ops.supervisor import supervisor_service
from ops.supervisor.child import ProcessState
from ops.supervisor.mesh import Mesh
from ops.supervisor.options import MeshOptions
from ops.supervisor.service_spec import ServiceSpec, StopStage
from ops.supervisor.tests.helpers import SLEEPS, Watched, service, wait_for_end

VENUES = {"one": 5060, "other": 5061}
BASE_PORTS = range(9_300, 9_400, 20)
REFUSES = "echo 'venuemesh: setting key = 3: no such key' >&2; exit 2"


class ShellMesh(Mesh):
    """One whose venues are shell scripts."""

    def venue_service(self, venue: str) -> ServiceSpec:
        script = REFUSES if venue == "other" and self.options.seed == 13 else SLEEPS
        return service(venue, script, StopStage.VENUES, refuses_settings=True)


class Opened:
    """A supervisor of one process that is no venue, and a caller."""

    def __init__(self, mesh: Mesh, watched: Watched, channel: grpc.aio.Channel) -> None:
        self.mesh = mesh
        self.watched = watched
        self.supervisor = watched.supervisor
        self._stub = supervisor_pb2_grpc.SupervisorStub(channel)

    async def start(self, venue: str) -> None:
        await self._stub.StartVenue(supervisor_pb2.StartVenueRequest(venue=venue))

    async def stop(self, venue: str) -> None:
        await self._stub.StopVenue(supervisor_pb2.StopVenueRequest(venue=venue))

    async def until(self, venue: str, state: ProcessState) -> None:
        await self.watched.until(
            lambda: (child := self.supervisor.child(venue)) is not None and child.state is state
        )


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    options = MeshOptions(world="simulate", venues=(), data=tmp_path)
    for base in BASE_PORTS:
        assigned = ports.assign(VENUES, base)
        try:
            ports.require_free({**assigned, **ports.metrics(assigned)})
        except OperationsError:
            continue
        return ShellMesh(options, assigned, MeshSettings())
    pytest.skip(f"no row of free ports from {BASE_PORTS.start} on")


def as_registry(mesh: Mesh) -> FixedToken:
    """What the registry process shows."""
    data, mesh_id = mesh.options.data, mesh.settings.mesh_id
    return FixedToken(process_token(data, mesh_id, "registry", "registry"))


@asynccontextmanager
async def opened(mesh: Mesh, folder: Path) -> AsyncIterator[Opened]:
    """A supervisor at work, stopped at the end."""
    watched = Watched(folder, service("registry", SLEEPS, StopStage.GATEWAY))
    async with asyncio.TaskGroup() as group, supervisor_service.serving(mesh, watched.supervisor):
        running = group.create_task(watched.supervisor.run())
        await watched.until_running()
        try:
            address = f"{LOOPBACK}:{mesh.ports['supervisor']}"
            async with rpc.channel(address, as_registry(mesh)) as channel:
                yield Opened(mesh, watched, channel)
        finally:
            watched.supervisor.stop()
            await running


def names(found: Opened) -> Sequence[str]:
    return [child.service.name for child in found.supervisor.children]


async def test_a_venue_is_started_and_stopped_alone(mesh: Mesh, tmp_path: Path):
    async with opened(mesh, tmp_path) as found:
        before = found.watched.children["registry"].pid
        await found.start("one")
        await found.until("one", ProcessState.RUNNING)
        pid = found.supervisor.child("one").pid
        await found.stop("one")
        assert wait_for_end(pid)
        assert names(found) == ["registry"]
        assert found.watched.children["registry"].pid == before


async def test_twice_is_as_good_as_once(mesh: Mesh, tmp_path: Path):
    async with opened(mesh, tmp_path) as found:
        await found.start("one")
        await found.until("one", ProcessState.RUNNING)
        pid = found.supervisor.child("one").pid
        await found.start("one")
        assert found.supervisor.child("one").pid == pid
        await found.stop("one")
        await found.stop("one")
        assert names(found) == ["registry"]


async def test_it_ends_with_the_mesh(mesh: Mesh, tmp_path: Path):
    async with opened(mesh, tmp_path) as found:
        await found.start("one")
        await found.until("one", ProcessState.RUNNING)
        pid = found.supervisor.child("one").pid
    assert wait_for_end(pid)


async def test_a_taken_port_is_rejected(mesh: Mesh, tmp_path: Path):
    async with opened(mesh, tmp_path) as found:
        port = mesh.ports["one"] + 10_000
        with socket.socket() as taken:
            taken.bind((LOOPBACK, port))
            taken.listen()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await found.start("one")
        assert error_info(caught.value).reason == "PORT_IN_USE"
        metadata = error_info(caught.value).metadata
        assert (metadata["venue"], metadata["port"]) == ("one", str(port))
        assert "one metrics" in caught.value.details()
        await found.start("one")
        await found.until("one", ProcessState.RUNNING)


async def test_a_service_that_rejects_its_settings_ends_alone(mesh: Mesh, tmp_path: Path):
    refusing = replace(mesh, options=replace(mesh.options, seed=13))
    async with opened(refusing, tmp_path) as found:
        await found.start("other")
        await found.until("other", ProcessState.STOPPED)
        assert found.supervisor.child("other").detail == "other: setting key = 3: no such key"
        assert found.watched.children["registry"].state is ProcessState.RUNNING
        # It may be tried again.
        await found.start("other")
        await found.until("other", ProcessState.STOPPED)
        assert names(found) == ["registry", "other"]


async def test_a_replay_has_only_the_venues_on_its_tapes(mesh: Mesh, tmp_path: Path):
    options = replace(mesh.options, world="replay", replays=(("one", tmp_path / "frames"),))
    async with opened(replace(mesh, options=options), tmp_path) as found:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await found.start("other")
        assert error_info(caught.value).reason == "NOT_SUPPORTED"
        await found.start("one")
        await found.until("one", ProcessState.RUNNING)


async def test_only_venues_are_started_and_stopped(mesh: Mesh, tmp_path: Path):
    async with opened(mesh, tmp_path) as found:
        for ask in (found.start, found.stop):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask("registry")
            assert error_info(caught.value).reason == "UNKNOWN_VENUE"
        assert found.watched.children["registry"].state is ProcessState.RUNNING


@pytest.mark.parametrize("kind", ["venue", "supervisor", "ingest"])
async def test_another_process_than_the_registry_is_refused(mesh: Mesh, tmp_path: Path, kind: str):
    async with opened(mesh, tmp_path) as found:
        token = process_token(mesh.options.data, mesh.settings.mesh_id, kind, kind)
        async with rpc.channel(
            f"{LOOPBACK}:{mesh.ports['supervisor']}", FixedToken(token)
        ) as other:
            stub = supervisor_pb2_grpc.SupervisorStub(other)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.StartVenue(supervisor_pb2.StartVenueRequest(venue="one"))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert names(found) == ["registry"]
