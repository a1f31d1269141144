"""Keeps a file of Prometheus targets current from the registry.

Run as ``python -m ops.prometheus.targets FILE``. Prometheus reads the file by its file_sd_configs.
A process that says good-bye is taken out. One that is lost stays, so that its silence is seen,
until it or another instance of its service comes back, or this process ends.
"""

import json
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc, settings, telemetry
from kit.base.access.credentials import Credentials
from kit.base.access.settings import AccessSettings, TlsSettings
from kit.base.access.transport import MeshTls
from kit.base.clock import SystemClock
from kit.base.directory import ServiceDirectory
from kit.base.runtime import run_process
from kit.base.settings import MeshSettings

EXIT_USAGE = 2

_log = telemetry.logger("targets")

Service = registry_pb2.Service


class ServiceWatcher(Protocol):
    """The part of the directory that is used."""

    def watch(self) -> AsyncIterator[Sequence[Service]]:
        """The registered processes, now and at each change."""


class ScrapeTargets:
    """The processes whose metrics are scraped."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Service] = {}

    def update(self, present: Iterable[Service]) -> list[dict[str, Any]]:
        """Take the registry's current list. Returns the content of the file."""
        found = {_process(service): service for service in present}
        running = {service_id for service_id, _ in found}
        lost = {
            process: service
            for process, service in self._known.items()
            if service.status.state == registry_pb2.SERVICE_STATE_LOST and process[0] not in running
        }
        self._known = lost | found
        return [_target(self._known[process]) for process in sorted(self._known)]


async def follow(directory: ServiceWatcher, file: Path) -> None:
    """Keep the file current, endlessly."""
    targets = ScrapeTargets()
    written = ""
    file.parent.mkdir(parents=True, exist_ok=True)
    async for services in directory.watch():
        content = json.dumps(targets.update(services), indent=1)
        if content != written:
            _replace(file, content)
            written = content


def _process(service: Service) -> tuple[str, str]:
    return (service.instance.service_id, service.instance.instance_id)


def _target(service: Service) -> dict[str, Any]:
    instance = service.instance
    return {
        "targets": [instance.metrics_address],
        "labels": {
            "service_id": instance.service_id,
            "kind": instance.kind,
            "name": instance.name,
        },
    }


def _replace(file: Path, content: str) -> None:
    """Replace the file by rename, so that Prometheus never reads half a file."""
    fresh = file.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(file)
    _log.info("written", extra={"file": str(file)})


async def _run(file: Path, mesh: MeshSettings) -> None:
    access = settings.load(AccessSettings, "access")
    rpc.identify(Credentials(access.token_file, SystemClock()))
    tls = settings.load(TlsSettings, "tls")
    rpc.encrypt(MeshTls(tls, SystemClock()) if tls.required else None)
    directory = ServiceDirectory(mesh.registry)
    try:
        await follow(directory, file)
    finally:
        await directory.close()


def main(arguments: Sequence[str]) -> int:
    """Follow the registry until interrupted. Returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m ops.prometheus.targets FILE", file=sys.stderr)
        return EXIT_USAGE
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    try:
        return run_process("targets", mesh, lambda: _run(Path(arguments[0]), mesh))
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
