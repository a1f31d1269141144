"""A real mesh in its own folder, started as by a user and observed from outside."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
import psycopg
import redis

from kit.base.access.local_tokens import command_token
from kit.base.access.roles import CALLER_ROLES
from kit.base.access.transport import target_options
from kit.base.runtime import METRICS_PORT_OFFSET
from ops.embedded import postgres, valkey
from ops.embedded.store_passwords import OWNER, StorePasswords
from ops.gateway import local_credentials
from tests.support.free_ports import is_free
from tests.support.workers import WORKER, WORKERS_MAX

ROOT = Path(__file__).resolve().parents[2]
BASE_PORTS = range(12_760, 20_000, 40)
"""The ports are above the last one that browsers refuse (10080), and the metrics ports are between
those of all other tests, from 20000 to 22760, and the ephemeral ones of the system."""
START_SECONDS_MAX = 100.0
STOP_SECONDS_MAX = 60.0
CALL_SECONDS_MAX = 30.0
LOOK_AGAIN_SECONDS = 0.05
LOOK_AGAIN_SECONDS_MAX = 0.25
"""Each look makes work for the mesh: what takes longer is looked at less often."""
LOG_LINES = 8
MARK = "VENUEMESH_TEST_MESH"
"""In the environment of every process of a mesh, to find processes that are left running."""
NOT_YET = (
    OSError,
    psycopg.Error,
    redis.RedisError,
    grpc.RpcError,
    json.JSONDecodeError,
    LookupError,
)
"""Errors of reading something that does not exist yet."""

VENUE = "binance"
SYMBOL = "BTCUSDT"
SERVICES = frozenset(
    {
        *("advisor", "audit", "bars", "binance", "bridge", "detector"),
        *("envoy", "history", "ingest", "inspector"),
        *("ledger", "mcp", "notifier", "postgres", "push", "recorder", "registry", "repair"),
        *("simulator", "valkey"),
    }
)
UNREGISTERED = frozenset({"envoy", "postgres", "record", "simulator", "valkey"})
"""They are no processes of a mesh: they do not register."""
OWN_SERVICES = SERVICES - UNREGISTERED
NO_TRADING = ("--without", "ledger,audit,detector,advisor,inspector,notifier,mcp")
"""Options of a mesh in which nothing trades. It starts in half the time."""


class Mesh:
    """One run of ``./venuemesh up``."""

    def __init__(
        self,
        data: Path,
        base_port: int,
        *arguments: str,
        path: str,
        root: Path = ROOT,
        tls: bool = False,
    ) -> None:
        """``root``: the folder of the version to run. ``tls``: between its processes."""
        self.data = data
        self.output = data / "up.out"
        self._channel: grpc.Channel | None = None
        self._database: psycopg.Connection | None = None
        command = [sys.executable, "-m", "ops.cli", "up", "--data", str(data)]
        environment = {
            "PYTHONPATH": f"{root}:{root / 'gen'}",
            "PATH": path,
            MARK: str(data),
            "VENUEMESH_TLS_REQUIRED": str(tls).lower(),
        }
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--base-port", str(base_port), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=root,
                env=os.environ | environment,
            )

    def state(self) -> dict[str, Any]:
        """The state that the supervisor writes for other shells."""
        state: dict[str, Any] = json.loads((self.data / "state.json").read_bytes())
        return state

    def children(self) -> dict[str, dict[str, Any]]:
        """The supervised processes by name."""
        return {child["service"]: child for child in self.state()["children"]}

    def port(self, name: str) -> int:
        """One of the ports of the mesh."""
        port: int = self.state()["ports"][name]
        return port

    @property
    def gateway(self) -> str:
        """host:port of the one door."""
        return f"127.0.0.1:{self.port('gateway')}"

    @cached_property
    def token(self) -> str:
        """A token with every role."""
        # An earlier version, which asked for no token, has no name of the mesh in its state.
        mesh_id = self.state().get("mesh_id", "local")
        return command_token(self.data, mesh_id, CALLER_ROLES)

    @property
    def channel(self) -> grpc.Channel:
        """A connection to the gateway."""
        if self._channel is None:
            self._channel = self.connect(self.gateway)
        return self._channel

    def connect(self, address: str) -> grpc.Channel:
        """A connection to a process of the mesh, host:port."""
        state = self.state()
        if not state.get("tls") or address == self.gateway:
            return shown_channel(address, self.token)
        return shown_channel(address, self.token, local_credentials(self.data, state["mesh_id"]))

    def get(
        self, path: str, port: str = "gateway", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of a page."""
        shown = {"Authorization": f"Bearer {self.token}"} | dict(headers or {})
        return self._fetch(f"http://127.0.0.1:{self.port(port)}{path}", headers=shown)

    def post(
        self, path: str, body: object, port: str = "gateway", token: str = ""
    ) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        shown = {"Authorization": f"Bearer {token or self.token}"}
        url = f"http://127.0.0.1:{self.port(port)}{path}"
        return self._fetch(url, json.dumps(body).encode(), shown)

    def metrics(self, service: str) -> str:
        """The Prometheus page of a process."""
        return self.metrics_of(self.port(service))

    @staticmethod
    def metrics_of(port: int) -> str:
        """The Prometheus page of the process on a port."""
        url = f"http://127.0.0.1:{port + METRICS_PORT_OFFSET}/metrics"
        with urllib.request.urlopen(url, timeout=CALL_SECONDS_MAX) as response:
            page: str = response.read().decode()
        return page

    def replay(self) -> dict[str, Any]:
        """The state of the replay of the capture."""
        return next(iter(self.get("/replay/status", port="simulator")[1]["venues"]))

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows from the database, over one connection until it breaks."""
        if self._database is not None:
            try:
                return self._database.execute(query.encode(), values or None).fetchall()
            except psycopg.OperationalError:
                # The server was killed; the next read shows whether it is back.
                self._database.close()
        self._database = psycopg.connect(self.database_url(), connect_timeout=2, autocommit=True)
        return self._database.execute(query.encode(), values or None).fetchall()

    def database_url(self, role: str = OWNER) -> str:
        """The URL of the database, with the password."""
        port, passwords = self.port("postgres"), StorePasswords.of_mesh(self.data)
        if not passwords.folder.exists():
            # An earlier version, which had no passwords.
            return postgres.url(port, role="postgres")
        return passwords.login_url(postgres.url(port, role=role))

    def redis_url(self, user: str = OWNER) -> str:
        """The URL of Valkey, with the password."""
        return StorePasswords.of_mesh(self.data).login_url(valkey.url(self.port("valkey"), user))

    def log(self, service: str) -> list[dict[str, Any]]:
        """The lines that one of the mesh's own processes has logged."""
        lines = (self.data / "logs" / f"{service}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_until(
        self, condition: Callable[[], object], what: str, seconds: float = START_SECONDS_MAX
    ) -> None:
        """Wait until a condition is true. Raises AssertionError with the state of the mesh."""
        deadline = time.monotonic() + seconds
        pause = LOOK_AGAIN_SECONDS
        last_error: Exception | None = None
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the mesh ended before {what}\n{self.describe()}")
            try:
                if condition():
                    return
                last_error = None
            except NOT_YET as error:
                last_error = error
            time.sleep(pause)
            pause = min(pause * 1.2, LOOK_AGAIN_SECONDS_MAX)
        raise AssertionError(f"{what}: not within {seconds:g} s ({last_error})\n{self.describe()}")

    def wait_until_running(self) -> None:
        """Wait for every process."""
        self.wait_until(lambda: self._states() == {"running"}, "every process runs")

    def wait_until_registered(self) -> None:
        """Wait until every process of ours is registered: after that none of them starts."""

        def all_registered() -> bool:
            _, found = self.get("/v1/services")
            names = {one["instance"]["service_id"] for one in found["services"]}
            return names >= self.children().keys() - UNREGISTERED

        self.wait_until(all_registered, "every process is registered")

    def _states(self) -> set[str]:
        return {child["state"] for child in self.children().values()}

    def kill(self, service: str) -> int:
        """kill -9 one of its processes. Returns the pid that it had; 0 when it had none."""
        pid = self.children()[service]["pid"] or 0
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does. Returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS_MAX)

    def end(self) -> None:
        """Leave nothing behind, whatever has happened."""
        if self._channel is not None:
            self._channel.close()
        if self._database is not None:
            self._database.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.leftovers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def leftovers(self) -> dict[int, str]:
        """Processes of this mesh that still live: pid and command line."""
        found = {}
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != self.process.pid:
                try:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command and self._is_ours(process):
                        found[int(process.name)] = command
                except OSError:
                    # It has ended meanwhile.
                    continue
        return found

    def describe(self) -> str:
        """The end of its output and the errors of its processes, for a failed test."""
        parts = [self.output.read_text()]
        for log in sorted((self.data / "logs").glob("*.log")):
            said = [line for line in log.read_text().splitlines() if '"level": "info"' not in line]
            parts += [f"== {log.name}", *said[-LOG_LINES:]]
        return "\n".join(parts)

    def _is_ours(self, process: Path) -> bool:
        mark = f"{MARK}={self.data}".encode()
        # PostgreSQL writes over its environment, but works in its folder.
        in_folder = (process / "cwd").readlink().is_relative_to(self.data)
        return in_folder or mark in (process / "environ").read_bytes().split(b"\0")

    @staticmethod
    def _fetch(
        url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        content_type = {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(url, body, {**content_type, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=CALL_SECONDS_MAX) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


class ShownToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds a token to each call."""

    def __init__(self, token: str) -> None:
        self._shown = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    def _with_token(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), self._shown])


def shown_channel(
    address: str, token: str, tls: grpc.ChannelCredentials | None = None
) -> grpc.Channel:
    """A connection whose calls show a token; with TLS to any process of the mesh."""
    connection = (
        grpc.insecure_channel(address)
        if tls is None
        else grpc.secure_channel(address, tls, target_options(""))
    )
    return grpc.intercept_channel(connection, ShownToken(token))


@contextmanager
def new_folder() -> Iterator[Path]:
    """A data folder, not in pytest's own folder, which PostgreSQL's user cannot enter."""
    data = Path(tempfile.mkdtemp(prefix="venuemesh-test-"))
    try:
        yield data
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def running(
    data: Path, *arguments: str, path: str = "/nowhere", tls: bool = False
) -> Iterator[Mesh]:
    """A mesh that is ended at the end. Without a PATH it finds nothing to build Studio with."""
    mesh = Mesh(data, free_base_port(), *arguments, path=path, tls=tls)
    try:
        mesh.wait_until(lambda: mesh.state()["children"], "the supervisor speaks")
        yield mesh
    finally:
        mesh.end()


@contextmanager
def replaying(frames: Path, speed: str, *arguments: str, tls: bool = False) -> Iterator[Mesh]:
    """A mesh that plays a capture."""
    replay = ("--world", "replay", "--replay", f"{VENUE}={frames}", "--speed", speed)
    with new_folder() as data, running(data, *replay, *arguments, tls=tls) as mesh:
        yield mesh


def free_base_port() -> int:
    """The first of a range of free ports.

    The range is random, so that two concurrent runs do not collide.
    """
    rows = BASE_PORTS[WORKER::WORKERS_MAX]
    for number in random.sample(rows, len(rows)):
        row = range(number, number + BASE_PORTS.step)
        if all(map(is_free, row)):
            return number
    raise AssertionError(f"no row of free ports from {BASE_PORTS.start} on")


def metadata(venue: str = VENUE) -> Sequence[tuple[str, str]]:
    """Metadata that names the venue of a gRPC call to the gateway."""
    return [("venuemesh-venue", venue)]
