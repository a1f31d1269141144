"""Envoy's configuration on disk: written at start, then updated from the registry.

Envoy reads ``bootstrap.json`` once, and a file of resources again when one is renamed into its
folder. Each has a folder of its own, because reading all of them for each change takes Envoy half a
second. It refuses a file that is wrong and goes on with what it had.

Clusters are written before the routes that lead to them. Envoy may still see the routes first: a
call to a process that has just come or gone then gets UNAVAILABLE for some milliseconds.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from venuemesh.registry.v1 import registry_pb2

from gateway import (
    envoy_access,
    envoy_addressing,
    envoy_certificates,
    envoy_clusters,
    envoy_listeners,
    envoy_routes,
    envoy_tracing,
    http_paths,
)
from gateway.envoy_access import GatewayAccess
from gateway.envoy_admin import CLUSTERS, ROUTES, EnvoyAdmin
from gateway.envoy_clusters import ADMIN, REGISTRY, WEB, Endpoint
from gateway.registry import ServiceRegistry
from gateway.service_contracts import ContractSet
from gateway.settings import GatewaySettings
from kit.base.access import authority
from kit.base.access.settings import TlsSettings
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.directory import stands_by
from kit.base.errors import SettingError
from kit.base.runtime import METRICS_PORT_OFFSET
from kit.base.secret_files import write_secret
from kit.base.settings import MeshSettings
from kit.base.tracing.settings import TelemetrySettings

FOLDER = "envoy"
ADMIN_SOCKET = "admin.sock"
SOCKET_PATH_LENGTH_MAX = 107
MEMORY_FILE = "services.binpb"
CLUSTERS_FILE = envoy_listeners.resource_file("clusters")
ROUTES_FILE = envoy_listeners.resource_file("routes")
VERSION_LENGTH = 16
ROUTES_FOLLOW_S = 2.0
"""How long a process that has a successor serves at most until Envoy calls that one."""
GRACE_S = 5.0
SETTLE_S = 0.01
ASK_INTERVAL_S = 0.02
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
        access: GatewayAccess,
        registry: ServiceRegistry,
        clock: Clock,
    ) -> None:
        self.folder = (Path(mesh.data_dir) / FOLDER).absolute()
        self._settings = settings
        self.telemetry = TelemetrySettings()
        """Where Envoy sends its traces and serves its metrics. Set before ``write`` is called."""
        self._host = mesh.host
        self._mesh_id = mesh.mesh_id
        self._authority = Path(mesh.data_dir) / authority.FOLDER
        self.tls = TlsSettings()
        self._own_host = mesh.advertise_host or _reachable(mesh.host)
        self._contracts = contracts
        self._access = access
        self._registry = registry
        self._clock = clock
        self._written: dict[str, bytes] = {}
        self._versions: dict[str, str] = {}
        """Of the resources in files, by the name of the file."""
        self._admin_socket = settings.admin_socket or str(self.folder / ADMIN_SOCKET)
        self.envoy = EnvoyAdmin(self._admin_socket)

    def write(self) -> None:
        """Write all files, the bootstrap last, because Envoy starts when it exists.

        Raises SettingError when the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.tls.required:
                self.write_certificate()
            self._registry.expect(self._recall())
            self._replace_resources(
                envoy_listeners.resource_file(envoy_listeners.TRANSCODER),
                envoy_listeners.transcoder(self._contracts),
            )
            self._replace_resources(
                envoy_listeners.resource_file(envoy_addressing.FIELDS),
                envoy_addressing.fields(self._contracts),
            )
            self.write_access()
            self._follow()
            self._replace("bootstrap.json", _json(self._bootstrap()))
        except OSError as error:
            allowed = f"cannot be written: {error.strerror}"
            raise SettingError("mesh.data_dir", str(self.folder), allowed) from None

    def write_access(self) -> None:
        """Write what verifies callers. Call this when keys change or a token is revoked."""
        tokens = envoy_access.tokens(self._access)
        self._replace_resources(envoy_listeners.resource_file(envoy_access.TOKENS), tokens)
        roles = envoy_access.roles(self._access, self._contracts)
        self._replace_resources(envoy_listeners.resource_file(envoy_access.ROLES), roles)

    def write_certificate(self) -> None:
        """Write what Envoy shows to the processes. Raises OSError and SettingError."""
        secrets = envoy_certificates.secrets(self._authority, self._mesh_id, self._clock)
        for name, secret in secrets.items():
            file = self.folder / name
            file.parent.mkdir(exist_ok=True)
            write_secret(file, _json({"resources": [secret]}))

    async def run_certificate(self) -> None:
        """Give Envoy a new one long before the last one expires."""
        while True:
            await self._clock.sleep(envoy_certificates.RENEWAL_S)
            self.write_certificate()

    async def run(self) -> None:
        """Update the files from the registry, endlessly. Call ``write_all`` before."""
        grace_ends_ns = self._clock.monotonic_ns() + int(GRACE_S * NANOSECONDS_PER_SECOND)
        while True:
            seen = self._registry.revision
            left_s = (grace_ends_ns - self._clock.monotonic_ns()) / NANOSECONDS_PER_SECOND
            if left_s <= 0:
                self._registry.expect([])
            self._follow()
            await self._registry.wait_for_change(seen, left_s if self._registry.expected else None)
            # Processes register in groups; one write is enough for a group.
            await self._clock.sleep(SETTLE_S)

    async def settle(self) -> None:
        """Return when Envoy calls the processes that are registered now; after ROUTES_FOLLOW_S at
        the latest, also if it cannot be asked."""
        self._follow()
        ends_ns = self._clock.monotonic_ns() + int(ROUTES_FOLLOW_S * NANOSECONDS_PER_SECOND)
        while self._clock.monotonic_ns() < ends_ns:
            used = await self.envoy.versions()
            written = {CLUSTERS: self._versions[CLUSTERS_FILE], ROUTES: self._versions[ROUTES_FILE]}
            if written.items() <= used.items():
                return
            await self._clock.sleep(ASK_INTERVAL_S)

    def _follow(self) -> None:
        """Write the files that have changed.

        After a restart of this process the registry is empty until the others have come back. Those
        that it had before keep their routes for that time, so that their callers notice nothing.
        """
        present = self._registry.services() + self._registry.expected
        targets = envoy_clusters.targets(self._contracts.services, present)
        processes = [
            self._encrypted(envoy_clusters.grpc_cluster(to.cluster, to.endpoints), to.service_ids)
            for to in targets
        ]
        servers = http_paths.targets(present)
        processes += [
            self._encrypted(
                envoy_clusters.http_cluster(to.path.cluster, to.endpoints), to.service_ids
            )
            for to in servers
        ]
        self._replace_resources(CLUSTERS_FILE, *self._own_clusters(), *processes)
        configuration = envoy_routes.route_configuration(
            self._contracts.services, targets, servers, self._settings
        )
        self._replace_resources(ROUTES_FILE, configuration)
        self._replace(MEMORY_FILE, _memory(present))

    def _encrypted(self, cluster: Json, service_ids: Iterable[str]) -> Json:
        if not self.tls.required:
            return cluster
        return cluster | envoy_certificates.transport_socket(self.folder, service_ids)

    def _own_clusters(self) -> list[Json]:
        registry = Endpoint(self._own_host, self._settings.port)
        pages = Endpoint(self._own_host, self._settings.web_port)
        return [
            self._encrypted(envoy_clusters.grpc_cluster(REGISTRY, [registry]), (REGISTRY,)),
            self._encrypted(envoy_clusters.http_cluster(WEB, [pages]), (REGISTRY,)),
        ]

    def _bootstrap(self) -> Json:
        settings, host, socket = self._settings, self._host, self._admin_socket
        if len(socket) > SOCKET_PATH_LENGTH_MAX:
            allowed = f"at most {SOCKET_PATH_LENGTH_MAX} characters, as the system demands"
            raise SettingError("gateway.admin_socket", socket, allowed)
        admin = envoy_clusters.socket_cluster(ADMIN, socket)
        needed = envoy_access.role_sets(self._contracts) if self._access.settings.required else []
        # A static resource is not an "Any" and has no type.
        del admin["@type"]
        return {
            "node": {"id": "gateway", "cluster": "venuemesh"},
            "admin": {"address": envoy_listeners.pipe(socket)},
            "dynamic_resources": {
                "cds_config": envoy_listeners.file_source(self.folder, CLUSTERS_FILE)
            },
            "static_resources": {
                "clusters": [admin, *envoy_tracing.cluster(self.telemetry)],
                "listeners": [
                    envoy_listeners.public(
                        host,
                        settings,
                        self.folder,
                        needed,
                        envoy_tracing.manager_options(self.telemetry),
                    ),
                    envoy_listeners.metrics(
                        self.telemetry.metrics_host, settings.public_port + METRICS_PORT_OFFSET
                    ),
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
        content = _json({"resources": resources})
        version = hashlib.sha256(content).hexdigest()[:VERSION_LENGTH]
        self._versions[name] = version
        self._replace(name, _json({"version_info": version, "resources": resources}))

    def _replace(self, name: str, content: bytes) -> None:
        """Replace a file by rename, if it has changed. Envoy never reads half a file."""
        if self._written.get(name) == content:
            return
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        fresh = file.with_name(f".{file.name}")
        fresh.write_bytes(content)
        fresh.rename(file)
        self._written[name] = content


def _memory(services: list[registry_pb2.Service]) -> bytes:
    # Without the status, which changes with each heartbeat and is not valid after a restart.
    called = [service for service in services if not stands_by(service)]
    instances = [registry_pb2.Service(instance=service.instance) for service in called]
    return registry_pb2.ListServicesResponse(services=instances).SerializeToString()


def _json(document: Json) -> bytes:
    # With line breaks, because people read these files too.
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _reachable(host: str) -> str:
    return LOOPBACK if host == ANY_ADDRESS else host
