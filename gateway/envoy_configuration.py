"""Envoy's configuration on disk: written at start, then updated from the registry.

Envoy reads ``bootstrap.yaml`` once, and the other files again when one is renamed into place. It
refuses a file that is wrong and goes on with what it had. The files hold JSON, which is YAML too.

Clusters are written before the routes that lead to them. Envoy may still see the routes first: a
call to a process that has just come or gone then gets UNAVAILABLE for some milliseconds.
"""

from pathlib import Path
from typing import Any

import msgspec
from venuemesh.registry.v1 import registry_pb2

from gateway import envoy_clusters, envoy_listeners, envoy_routes
from gateway.envoy_clusters import ADMIN, REGISTRY, WEB, Endpoint
from gateway.registry import ServiceRegistry
from gateway.service_contracts import ContractSet
from gateway.settings import GatewaySettings
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import SettingError
from kit.base.runtime import METRICS_PORT_OFFSET
from kit.base.settings import MeshSettings

FOLDER = "envoy"
MEMORY_FILE = "services.binpb"
GRACE_S = 5.0
SETTLE_S = 0.01
LOOPBACK = "127.0.0.1"
ANY_ADDRESS = "0.0.0.0"
CONNECTIONS_MAX = 4_096
REGEX_SIZE_MAX = 4_096

Json = dict[str, Any]


class EnvoyConfiguration:
    """The configuration files of one gateway."""

    def __init__(
        self,
        settings: GatewaySettings,
        mesh: MeshSettings,
        contracts: ContractSet,
        registry: ServiceRegistry,
        clock: Clock,
    ) -> None:
        self.folder = (Path(mesh.data_dir) / FOLDER).absolute()
        self._settings = settings
        self._host = mesh.host
        self._own_host = mesh.advertise_host or _reachable(mesh.host)
        self._contracts = contracts
        self._registry = registry
        self._clock = clock
        self._written: dict[str, bytes] = {}
        self._remembered: list[registry_pb2.Service] = []

    def write(self) -> None:
        """Write all files, the bootstrap last, because Envoy starts when it exists.

        Raises SettingError when the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remembered = self._recall()
            self._replace_resources("transcoder.yaml", envoy_listeners.transcoder(self._contracts))
            self._follow()
            self._replace("bootstrap.yaml", _json(self._bootstrap()))
        except OSError as error:
            allowed = f"cannot be written: {error.strerror}"
            raise SettingError("mesh.data_dir", str(self.folder), allowed) from None

    async def run(self) -> None:
        """Update the files from the registry, endlessly. Call ``write_all`` before."""
        grace_ends_ns = self._clock.monotonic_ns() + int(GRACE_S * NANOSECONDS_PER_SECOND)
        while True:
            seen = self._registry.revision
            left_s = (grace_ends_ns - self._clock.monotonic_ns()) / NANOSECONDS_PER_SECOND
            if left_s <= 0:
                self._remembered = []
            self._follow()
            await self._registry.wait_for_change(seen, left_s if self._remembered else None)
            # Processes register in groups; one write is enough for a group.
            await self._clock.sleep(SETTLE_S)

    def _follow(self) -> None:
        """Write the files that have changed.

        After a restart of this process the registry is empty until the others have come back. Those
        that it had before keep their routes for that time, so that their callers notice nothing.
        """
        present = self._registry.services()
        ids = {service.instance.service_id for service in present}
        present += [old for old in self._remembered if old.instance.service_id not in ids]
        targets = envoy_clusters.targets(self._contracts.services, present)
        processes = [envoy_clusters.grpc_cluster(to.cluster, to.endpoints) for to in targets]
        self._replace_resources("clusters.yaml", *self._own_clusters(), *processes)
        configuration = envoy_routes.route_configuration(
            self._contracts.services, targets, self._settings.hosts
        )
        self._replace_resources("routes.yaml", configuration)
        self._replace(MEMORY_FILE, _memory(present))

    def _own_clusters(self) -> list[Json]:
        return [
            envoy_clusters.grpc_cluster(REGISTRY, [Endpoint(self._own_host, self._settings.port)]),
            envoy_clusters.http_cluster(WEB, Endpoint(self._own_host, self._settings.web_port)),
        ]

    def _bootstrap(self) -> Json:
        settings, host = self._settings, self._host
        admin = envoy_clusters.http_cluster(ADMIN, Endpoint(LOOPBACK, settings.admin_port))
        # A static resource is not an "Any" and has no type.
        del admin["@type"]
        return {
            "node": {"id": "gateway", "cluster": "venuemesh"},
            "admin": {"address": envoy_listeners.socket_address(LOOPBACK, settings.admin_port)},
            "dynamic_resources": {
                "cds_config": envoy_listeners.file_source(self.folder, "clusters.yaml")
            },
            "static_resources": {
                "clusters": [admin],
                "listeners": [
                    envoy_listeners.public(host, settings.public_port, settings.hosts, self.folder),
                    envoy_listeners.metrics(host, settings.public_port + METRICS_PORT_OFFSET),
                ],
            },
            # The paths of a contract are one regular expression, longer than Envoy's default limit.
            "layered_runtime": {
                "layers": [
                    {
                        "name": "static",
                        "static_layer": {"re2.max_program_size.error_level": REGEX_SIZE_MAX},
                    }
                ]
            },
            "overload_manager": envoy_listeners.connection_limit(CONNECTIONS_MAX),
        }

    def _recall(self) -> list[registry_pb2.Service]:
        """The processes that were registered when the previous registry process ended."""
        try:
            memory = (self.folder / MEMORY_FILE).read_bytes()
        except FileNotFoundError:
            return []
        return list(registry_pb2.ListServicesResponse.FromString(memory).services)

    def _replace_resources(self, name: str, *resources: Json) -> None:
        self._replace(name, _json({"resources": resources}))

    def _replace(self, name: str, content: bytes) -> None:
        """Replace a file by rename, if it has changed. Envoy never reads half a file."""
        if self._written.get(name) == content:
            return
        fresh = self.folder / f".{name}"
        fresh.write_bytes(content)
        fresh.rename(self.folder / name)
        self._written[name] = content


def _memory(services: list[registry_pb2.Service]) -> bytes:
    # Without the status, which changes with each heartbeat and is not valid after a restart.
    instances = [registry_pb2.Service(instance=service.instance) for service in services]
    return registry_pb2.ListServicesResponse(services=instances).SerializeToString()


def _json(document: Json) -> bytes:
    # With line breaks, because people read these files too.
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _reachable(host: str) -> str:
    return LOOPBACK if host == ANY_ADDRESS else host
