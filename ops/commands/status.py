"""``./venuemesh status``: what runs, since when, rates, lags, gaps."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from kit.base import settings as kit_settings
from kit.base.directory import ServiceDirectory
from kit.base.settings import MeshSettings
from ops.arguments import OneLineErrorParser
from ops.supervisor import data_folder, state, status_table
from ops.supervisor.service_rows import ServiceRow, read_registry, rows

EXIT_NOTHING_RUNS = 1


class MeshStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints."""

    running: bool
    registry: str
    gateway: str = ""
    """URL. Empty if no supervisor on this machine runs the mesh."""
    world: str = ""
    supervisor_pid: int | None = None
    started: float | None = None
    """s since the Unix epoch."""
    ports: dict[str, int] = {}
    services: list[ServiceRow] = []


def run(arguments: Sequence[str]) -> int:
    """Return 0 if a mesh runs, otherwise 1."""
    parser = OneLineErrorParser("status", "Show the running processes, their rates, lags and gaps.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", type=Path, metavar="DIR", help="of the mesh; default: data")
    chosen = parser.parse_args(arguments)
    mesh = kit_settings.load(MeshSettings, "mesh")
    data = (chosen.data or Path(mesh.data_dir)).expanduser().absolute()
    status = asyncio.run(read(data, mesh.registry))
    if chosen.json:
        print(msgspec.json.format(msgspec.json.encode(status)).decode())
    elif status.running:
        Console().print(status_table.render(_headline(status), status.services, time.time()))
    else:
        print(f"nothing runs on {data}, and no registry answers at {mesh.registry}")
    return 0 if status.running else EXIT_NOTHING_RUNS


async def read(data: Path, registry: str) -> MeshStatus:
    """The mesh of this data folder, or of the registry if none runs on the folder."""
    mesh = state.read(data) if data_folder.in_use(data) else None
    directory = ServiceDirectory(mesh.registry if mesh else registry)
    try:
        registered = await read_registry(directory)
    finally:
        await directory.close()
    if mesh is None:
        found = rows([], registered)
        return MeshStatus(running=bool(found), registry=registry, services=found)
    return MeshStatus(
        running=True,
        registry=mesh.registry,
        gateway=mesh.gateway,
        world=mesh.world,
        supervisor_pid=mesh.supervisor_pid,
        started=mesh.started,
        ports=mesh.ports,
        services=rows(mesh.children, registered),
    )


def _headline(status: MeshStatus) -> str:
    if status.gateway:
        return f"Venuemesh · {status.gateway} · {status.world}"
    return f"Venuemesh · registry {status.registry}"
