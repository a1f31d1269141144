"""A local mesh as a list of services: its processes and their settings."""

import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kit.base.access.local_tokens import process_token
from kit.base.errors import StoreUnavailable
from kit.base.migration import grant, migrate
from kit.base.settings import MeshSettings, load
from kit.execution.settings import OrdersSettings
from ops import ports
from ops.embedded import envoy, postgres, valkey
from ops.embedded.server_command import LOOPBACK, ServerCommand
from ops.embedded.store_passwords import StorePasswords
from ops.supervisor import playback_source, store_access
from ops.supervisor.fork_request import CLI
from ops.supervisor.mesh_certificates import MeshCertificates
from ops.supervisor.options import CONSUMERS, MeshOptions
from ops.supervisor.service_spec import ServiceSpec, StopStage
from ops.supervisor.startup_priority import StartupPriority
from ops.supervisor.store_access import StoreAccess

ROOT = Path(__file__).resolve().parents[2]
STUDIO_FOLDER = ROOT / "studio" / "dist"
PATIENT = frozenset({"recorder", "bars", "history", "repair", "audit"})
"""Services that are not on the path of a tick: when CPU is scarce, they fall behind and catch
up."""
NICENESS = 10
INSTANCE = "supervised"
EXAMPLE_ACCOUNT = "binance/paper"
"""The account of the example strategy, in the world simulate."""
VENUE = "venue"
"""The kind of process that is a venue, also one that plays a record."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """The processes to run, and their ports."""

    options: MeshOptions
    ports: Mapping[str, int]
    """Ports of all known venues, including stopped ones."""
    settings: MeshSettings
    """From venuemesh.toml and the environment: names external stores."""
    certificates: MeshCertificates | None = None
    """With TLS between the processes."""

    @property
    def has_own_valkey(self) -> bool:
        """Whether to start a Valkey; false if redis_url names another server."""
        return store_access.has_embedded_valkey(self.settings)

    @property
    def has_own_postgres(self) -> bool:
        """Whether to start a PostgreSQL; false if database_url names another server."""
        return store_access.has_embedded_postgres(self.settings)

    @property
    def stores(self) -> StoreAccess:
        """How the processes reach the stores."""
        return StoreAccess(self.settings, self.options.data, self.ports)

    @property
    def has_simulator(self) -> bool:
        only_records = bool(self.options.records) and not self.options.replays
        return self.options.world != "live" and not only_records

    @property
    def record_folder(self) -> Path | None:
        """The data folder of another mesh, whose record is played and whose PostgreSQL is not
        running."""
        folders = (chosen.own_folder for chosen in self.options.records)
        return next((folder for folder in folders if folder is not None), None)

    @property
    def gateway(self) -> str:
        """The one URL that users need."""
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    @property
    def registry(self) -> str:
        return f"{LOOPBACK}:{self.ports['registry']}"

    @property
    def known_venues(self) -> frozenset[str]:
        return frozenset(self.ports) - frozenset(ports.DEFAULTS) - frozenset(self.replicas)

    @property
    def replicas(self) -> dict[str, str]:
        """The second processes of venues, by service id."""
        return {ports.replica(venue): venue for venue in self.options.replicas}

    @property
    def headline(self) -> str:
        """The running mesh in one line."""
        options = self.options
        venues = ", ".join(options.venues)
        return f"Venuemesh · {self.gateway} · {options.world} · {venues} · {options.data}"

    def own_ports(self) -> dict[str, int]:
        """The ports that this mesh will listen on, with the venues that it starts with."""
        used = {
            "valkey": self.has_own_valkey,
            "postgres": self.has_own_postgres,
            "record": self.record_folder is not None,
            "simulator": self.has_simulator,
        }
        used |= {venue: venue in self.options.venues for venue in self.known_venues}
        used |= dict.fromkeys(self.options.without, False)
        used["mcp_http"] = "mcp" not in self.options.without
        used["push_http"] = "push" not in self.options.without
        return {name: port for name, port in self.ports.items() if used.get(name, True)}

    def processes_of(self, venue: str) -> list[str]:
        """Service ids: of a venue that runs twice there are two."""
        return [venue, *(replica for replica, of in self.replicas.items() if of == venue)]

    def venue_ports(self, venue: str) -> dict[str, int]:
        """The ports that one venue listens on, or would."""
        own = {venue: self.ports[venue]}
        return {**own, **ports.metrics(own)}

    def services(self) -> list[ServiceSpec]:
        """All of them, the ones that take longest to start first."""
        return [*self._stores(), *self._processes(), self._envoy()]

    def _stores(self) -> Iterator[ServiceSpec]:
        passwords = self.stores.passwords
        if self.has_own_postgres:
            folder = self.options.data / "postgres"
            yield postgres_service(folder, self.ports["postgres"], passwords, migrate)
        if self.record_folder is not None:
            yield postgres_service(
                self.record_folder / "postgres",
                self.ports[playback_source.SERVICE],
                StorePasswords.of_mesh(self.record_folder),
                grant,
                playback_source.SERVICE,
            )
        if self.has_own_valkey:
            yield valkey_service(self.options.data / "valkey", self.ports["valkey"], passwords)

    def _processes(self) -> Iterator[ServiceSpec]:
        yield self._process("registry", StopStage.GATEWAY)
        if self.has_simulator:
            yield self._process("simulator", StopStage.AROUND_VENUES)
        first, *others = self.options.venues
        yield self.venue_service(first)
        startup_priority = StartupPriority(self.ports["simulator" if self.has_simulator else first])
        for venue in others:
            yield replace(self.venue_service(venue), may_start=startup_priority.is_over)
        for replica in self.replicas:
            yield replace(self.replica_service(replica), may_start=startup_priority.is_over)
        yield self._process("ingest", StopStage.AROUND_VENUES)
        for name in CONSUMERS:
            if name not in self.options.without:
                yield self._process(name, StopStage.CONSUMERS)

    def venue_service(self, venue: str) -> ServiceSpec:
        """The process of a known venue, or the playback of its record."""
        for played in self.options.records:
            if played.venue == venue:
                own_port, port = self.ports[playback_source.SERVICE], self.ports[venue]
                variables = played.environment(own_port, port, self.options.speed)
                service = self._process("playback", StopStage.VENUES)
                certificate = self._certificate(venue)
                command = replace(
                    service.command,
                    environment={**service.command.environment, **variables, **certificate},
                    secrets={
                        **service.command.secrets,
                        **played.secrets(own_port),
                        **self._identity(venue, VENUE),
                    },
                )
                return replace(service, name=venue, command=command)
        return self._process(venue, StopStage.VENUES, verb="venue")

    def replica_service(self, replica: str) -> ServiceSpec:
        """The second process of a venue."""
        venue = self.replicas[replica]
        service = self._process(venue, StopStage.VENUES, verb="venue")
        section = f"VENUEMESH_VENUES_{venue.upper()}"
        variables = {f"{section}_PORT": str(self.ports[replica])}
        variables[f"{section}_INSTANCE"] = ports.REPLICA_INSTANCE
        certificate = self._certificate(replica)
        environment = {**service.command.environment, **variables, **certificate}
        secrets = {**service.command.secrets, **self._identity(replica, VENUE)}
        command = replace(service.command, environment=environment, secrets=secrets)
        return replace(service, name=replica, command=command)

    def _process(self, name: str, turn: StopStage, verb: str = "run") -> ServiceSpec:
        stores, kind = self.stores, VENUE if verb == "venue" else name
        command = ServerCommand(
            arguments=(*CLI, verb, name),
            environment={
                **self.environment(),
                **stores.environment(name),
                **self._certificate(name),
            },
            secrets={**stores.secrets(name), **self._identity(name, kind)},
        )
        return ServiceSpec(
            name=name,
            command=command,
            stop_turn=turn,
            niceness=NICENESS if name in PATIENT else 0,
            refuses_settings=True,
        )

    def _identity(self, service_id: str, kind: str) -> Mapping[str, Callable[[], str]]:
        """What only this process is given: the token that tells the others who it is."""

        def token() -> str:
            return process_token(self.options.data, self.settings.mesh_id, service_id, kind)

        return {"VENUEMESH_ACCESS_TOKEN_FILE": token}

    def _certificate(self, service_id: str) -> Mapping[str, str]:
        """Where a process finds its certificate. A file, because it is renewed."""
        return {} if self.certificates is None else self.certificates.variables_of(service_id)

    def _envoy(self) -> ServiceSpec:
        return envoy_service(self.options.data / "envoy")

    def environment(self) -> dict[str, str]:
        """Environment of every process; takes precedence over venuemesh.toml."""
        numbers = self.ports
        variables = {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
            "VENUEMESH_WORLD": self.options.world,
            "VENUEMESH_MESH_ID": self.settings.mesh_id,
            # It runs one process of each service. The same after a restart on other ports.
            "VENUEMESH_INSTANCE_ID": self.settings.instance_id or INSTANCE,
            "VENUEMESH_DATA_DIR": str(self.options.data),
            "VENUEMESH_REGISTRY": self.registry,
            "VENUEMESH_GATEWAY_PORT": str(numbers["registry"]),
            "VENUEMESH_GATEWAY_PUBLIC_PORT": str(numbers["gateway"]),
            "VENUEMESH_GATEWAY_WEB_PORT": str(numbers["pages"]),
            "VENUEMESH_GATEWAY_STUDIO_DIR": str(STUDIO_FOLDER),
            "VENUEMESH_GATEWAY_SUPERVISOR": f"{LOOPBACK}:{numbers['supervisor']}",
        }
        for name in ("ingest", *CONSUMERS):
            variables[f"VENUEMESH_{name.upper()}_PORT"] = str(numbers[name])
        variables["VENUEMESH_MCP_HTTP_PORT"] = str(numbers["mcp_http"])
        variables["VENUEMESH_PUSH_HTTP_PORT"] = str(numbers["push_http"])
        variables["VENUEMESH_MCP_GATEWAY"] = self.gateway
        for venue in self.known_venues:
            variables[f"VENUEMESH_VENUES_{venue.upper()}_PORT"] = str(numbers[venue])
        if self.has_own_postgres:
            # The supervisor does, as the owner of the tables.
            variables["VENUEMESH_RECORDER_MIGRATE"] = "false"
        if self.has_simulator:
            variables |= self._simulator_environment()
        if self.options.world == "simulate":
            variables |= paper_environment(self.known_venues)
        return variables

    def _simulator_environment(self) -> dict[str, str]:
        port, options = self.ports["simulator"], self.options
        variables = {
            "VENUEMESH_SIMULATOR_URL": f"http://{LOOPBACK}:{port}",
            "VENUEMESH_SIMULATOR_PORT": str(port),
        }
        if options.speed is not None:
            variables["VENUEMESH_SIMULATOR_SPEED"] = options.speed
        if options.seed is not None:
            variables["VENUEMESH_SIMULATOR_SEED"] = str(options.seed)
        if options.replays:
            files = ",".join(f"{venue}={file}" for venue, file in options.replays)
            variables["VENUEMESH_SIMULATOR_REPLAY"] = files
        return variables


def paper_environment(venues: Collection[str]) -> dict[str, str]:
    """The paper account of the example strategy, unless the settings name others."""
    venue, _, _ = EXAMPLE_ACCOUNT.partition("/")
    if venue not in venues or load(OrdersSettings, "orders").paper_accounts:
        return {}
    return {"VENUEMESH_ORDERS_PAPER_ACCOUNTS": EXAMPLE_ACCOUNT}


def valkey_service(folder: Path, port: int, passwords: StorePasswords) -> ServiceSpec:
    """Valkey on this folder and port."""
    return ServiceSpec(
        name="valkey",
        command=valkey.command(folder, port),
        stop_turn=StopStage.STORES,
        prepare=lambda: valkey.prepare(folder, passwords),
        is_ready=lambda: valkey.is_ready(port, passwords),
    )


def postgres_service(
    folder: Path,
    port: int,
    passwords: StorePasswords,
    upkeep: Callable[[str], Awaitable[object]],
    name: str = "postgres",
) -> ServiceSpec:
    """PostgreSQL on this folder and port. It is ready after ``upkeep`` as the owner of the
    tables."""

    async def is_ready() -> bool:
        if not postgres.is_ready(folder):
            return False
        try:
            await upkeep(passwords.login_url(postgres.url(port)))
        except StoreUnavailable:
            return False
        return True

    return ServiceSpec(
        name=name,
        command=postgres.command(folder, port),
        stop_turn=StopStage.STORES,
        prepare=lambda: postgres.prepare(folder, passwords),
        is_ready=is_ready,
    )


def envoy_service(folder: Path) -> ServiceSpec:
    """Envoy on the files that the registry writes into this folder."""
    return ServiceSpec(
        name="envoy",
        command=envoy.command(folder),
        stop_turn=StopStage.GATEWAY,
        may_start=lambda: envoy.has_configuration(folder),
        is_ready=lambda: envoy.is_ready(folder),
    )
