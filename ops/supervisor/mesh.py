"""A local mesh as a list of services: its processes and their settings."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kit.base.settings import MeshSettings
from ops import ports
from ops.embedded import envoy, postgres, valkey
from ops.embedded.server_command import LOOPBACK, ServerCommand
from ops.supervisor import playback_source
from ops.supervisor.options import MeshOptions
from ops.supervisor.service_spec import ServiceSpec, StopStage
from ops.supervisor.startup_priority import StartupPriority

ROOT = Path(__file__).resolve().parents[2]
STUDIO_FOLDER = ROOT / "studio" / "dist"
CONSUMERS = ("recorder", "bars", "bridge", "history", "repair")
PATIENT = frozenset({"recorder", "bars", "history", "repair"})
"""Services that are not on the path of a tick: when CPU is scarce, they fall behind and catch
up."""
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Mesh:
    """The processes to run, and their ports."""

    options: MeshOptions
    ports: Mapping[str, int]
    """Ports of all known venues, including stopped ones."""
    settings: MeshSettings
    """From venuemesh.toml and the environment: names external stores."""

    @property
    def has_own_valkey(self) -> bool:
        """Whether to start a Valkey; false if redis_url names another server."""
        return self.settings.redis_url == MeshSettings().redis_url

    @property
    def has_own_postgres(self) -> bool:
        """Whether to start a PostgreSQL; false if database_url names another server."""
        return self.settings.database_url == MeshSettings().database_url

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
        if self.has_own_postgres:
            yield postgres_service(self.options.data / "postgres", self.ports["postgres"])
        if self.record_folder is not None:
            folder = self.record_folder / "postgres"
            yield postgres_service(
                folder, self.ports[playback_source.SERVICE], playback_source.SERVICE
            )
        if self.has_own_valkey:
            yield valkey_service(self.options.data / "valkey", self.ports["valkey"])

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
            yield self._process(name, StopStage.CONSUMERS)

    def venue_service(self, venue: str) -> ServiceSpec:
        """The process of a known venue, or the playback of its record."""
        for played in self.options.records:
            if played.venue == venue:
                own_port, port = self.ports[playback_source.SERVICE], self.ports[venue]
                variables = played.environment(own_port, port, self.options.speed)
                service = self._process("playback", StopStage.VENUES)
                environment = {**service.command.environment, **variables}
                command = replace(service.command, environment=environment)
                return replace(service, name=venue, command=command)
        return self._process(venue, StopStage.VENUES, verb="venue")

    def replica_service(self, replica: str) -> ServiceSpec:
        """The second process of a venue."""
        venue = self.replicas[replica]
        service = self._process(venue, StopStage.VENUES, verb="venue")
        section = f"VENUEMESH_VENUES_{venue.upper()}"
        variables = {f"{section}_PORT": str(self.ports[replica])}
        variables[f"{section}_INSTANCE"] = ports.REPLICA_INSTANCE
        environment = {**service.command.environment, **variables}
        return replace(
            service, name=replica, command=replace(service.command, environment=environment)
        )

    def _process(self, name: str, turn: StopStage, verb: str = "run") -> ServiceSpec:
        arguments = (sys.executable, "-m", "ops.cli", verb, name)
        command = ServerCommand(arguments=arguments, environment=self.environment())
        return ServiceSpec(
            name=name,
            command=command,
            stop_turn=turn,
            niceness=NICENESS if name in PATIENT else 0,
            refuses_settings=True,
        )

    def _envoy(self) -> ServiceSpec:
        return envoy_service(self.options.data / "envoy", self.ports["envoy admin"])

    def environment(self) -> dict[str, str]:
        """Environment of every process; takes precedence over venuemesh.toml."""
        numbers = self.ports
        variables = {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
            "VENUEMESH_WORLD": self.options.world,
            "VENUEMESH_MESH_ID": self.settings.mesh_id,
            "VENUEMESH_DATA_DIR": str(self.options.data),
            "VENUEMESH_REGISTRY": self.registry,
            "VENUEMESH_REDIS_URL": self.settings.redis_url,
            "VENUEMESH_DATABASE_URL": self.settings.database_url,
            "VENUEMESH_GATEWAY_PORT": str(numbers["registry"]),
            "VENUEMESH_GATEWAY_PUBLIC_PORT": str(numbers["gateway"]),
            "VENUEMESH_GATEWAY_ADMIN_PORT": str(numbers["envoy admin"]),
            "VENUEMESH_GATEWAY_WEB_PORT": str(numbers["pages"]),
            "VENUEMESH_GATEWAY_STUDIO_DIR": str(STUDIO_FOLDER),
            "VENUEMESH_GATEWAY_SUPERVISOR": f"{LOOPBACK}:{numbers['supervisor']}",
        }
        for name in ("ingest", *CONSUMERS):
            variables[f"VENUEMESH_{name.upper()}_PORT"] = str(numbers[name])
        for venue in self.known_venues:
            variables[f"VENUEMESH_VENUES_{venue.upper()}_PORT"] = str(numbers[venue])
        if self.has_own_valkey:
            variables["VENUEMESH_REDIS_URL"] = valkey.url(numbers["valkey"])
        if self.has_own_postgres:
            variables["VENUEMESH_DATABASE_URL"] = postgres.url(numbers["postgres"])
        if self.has_simulator:
            variables |= self._simulator_environment()
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


def valkey_service(folder: Path, port: int) -> ServiceSpec:
    """Valkey on this folder and port."""
    return ServiceSpec(
        name="valkey",
        command=valkey.command(folder, port),
        stop_turn=StopStage.STORES,
        prepare=lambda: valkey.prepare(folder),
        is_ready=lambda: valkey.is_ready(port),
    )


def postgres_service(folder: Path, port: int, name: str = "postgres") -> ServiceSpec:
    """PostgreSQL on this folder and port."""

    async def is_ready() -> bool:
        return postgres.is_ready(folder)

    return ServiceSpec(
        name=name,
        command=postgres.command(folder, port),
        stop_turn=StopStage.STORES,
        niceness=NICENESS,
        prepare=lambda: postgres.prepare(folder),
        is_ready=is_ready,
    )


def envoy_service(folder: Path, admin_port: int) -> ServiceSpec:
    """Envoy on the files that the registry writes into this folder."""
    return ServiceSpec(
        name="envoy",
        command=envoy.command(folder),
        stop_turn=StopStage.GATEWAY,
        may_start=lambda: envoy.has_configuration(folder),
        is_ready=lambda: envoy.is_ready(admin_port),
    )
