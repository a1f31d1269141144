"""``./venuemesh status``: what runs, since when, rates, lags, gaps."""

import argparse
import asyncio
import time
from dataclasses import replace
from pathlib import Path

import grpc
import msgspec
from rich.console import Console
from venuemesh.registry.v1 import registry_pb2

from kit.base import settings
from kit.base.access.settings import TlsSettings
from kit.base.access.transport import MeshTls
from kit.base.clock import SystemClock
from kit.base.settings import MESH_SECTION, MeshSettings
from ops import gateway
from ops.errors import OperationsError
from ops.gateway import Gateway
from ops.output import print_json
from ops.supervisor import status_table
from ops.supervisor.service_rows import ServiceRow, by_id, rows

EXIT_NOTHING_RUNS = 1


class MeshStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints."""

    running: bool
    registry: str
    """host:port. Empty for a mesh that was found by its gateway."""
    gateway: str = ""
    """URL. Empty if only the registry is known."""
    world: str = ""
    supervisor_pid: int | None = None
    started: float | None = None
    """s since the Unix epoch."""
    ports: dict[str, int] = {}
    services: list[ServiceRow] = []


def add_arguments(parser: argparse.ArgumentParser) -> None:
    gateway.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if a mesh runs, otherwise 1."""
    status = asyncio.run(_read(chosen))
    if chosen.json:
        print_json(status)
    elif status.running:
        Console().print(status_table.render(_headline(status), status.services, time.time()))
    else:
        data = gateway.data_of(chosen)
        print(f"nothing runs on {data}, and no registry answers at {status.registry}")
    return 0 if status.running else EXIT_NOTHING_RUNS


async def _read(chosen: argparse.Namespace) -> MeshStatus:
    """The status of the mesh that is named, or of the registry of the settings if none runs on the
    data folder."""
    found = gateway.find(chosen)
    if found is None:
        mesh_settings = settings.load(MeshSettings, MESH_SECTION)
        address = mesh_settings.registry
        data = gateway.data_of(chosen)
        token = gateway.local_token(data, mesh_settings.mesh_id)
        shown = _credentials(data, mesh_settings.mesh_id)
        registry = Gateway(f"http://{address}", address, False, token, credentials=shown)
        answer = await _registered_or_none(registry)
        services = rows([], by_id(answer.services))
        running = bool(services)
        return MeshStatus(running=running, registry=address, world=answer.world, services=services)
    mesh = found.local
    if mesh is None:
        answer = await _registered(found)
        services = rows([], by_id(answer.services))
        return MeshStatus(
            running=True, registry="", gateway=found.url, world=answer.world, services=services
        )
    # The registry answers also while the gateway does not.
    shown = gateway.local_credentials(gateway.data_of(chosen), mesh.mesh_id) if mesh.tls else None
    registry = replace(found, address=mesh.registry, credentials=shown)
    registered = await _registered_or_none(registry)
    return MeshStatus(
        running=True,
        registry=mesh.registry,
        gateway=mesh.gateway,
        world=mesh.world,
        supervisor_pid=mesh.supervisor_pid,
        started=mesh.started,
        ports=mesh.ports,
        services=rows(mesh.children, by_id(registered.services)),
    )


def _credentials(data: Path, mesh_id: str) -> grpc.ChannelCredentials | None:
    """For the registry of the settings. Raises SettingError."""
    tls = settings.load(TlsSettings, "tls")
    if not tls.required:
        return None
    if tls.certificate_file:
        return MeshTls(tls, SystemClock()).shown.channel_credentials()
    return gateway.local_credentials(data, mesh_id)


async def _registered(where: Gateway) -> registry_pb2.ListServicesResponse:
    async with gateway.connected(where) as channel:
        return await gateway.services(channel)


async def _registered_or_none(where: Gateway) -> registry_pb2.ListServicesResponse:
    try:
        return await _registered(where)
    except OperationsError:
        return registry_pb2.ListServicesResponse()


def _headline(status: MeshStatus) -> str:
    if status.gateway:
        return " · ".join(filter(None, ("Venuemesh", status.gateway, status.world)))
    return f"Venuemesh · registry {status.registry}"
