"""The door, as it is in use: the registry process and the real Envoy, on free ports."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.settings import GatewaySettings
from gateway.tests.fakes import Directories
from gateway.tests.platform_issuer import PlatformIssuer
from kit.base import rpc
from kit.base.access import authority, tokens
from kit.base.access.credentials import FixedToken
from kit.base.access.roles import Role
from kit.base.access.tokens import MeshNames, TokenTerms
from kit.base.clock import SystemClock
from kit.base.directory import ServiceDirectory
from kit.base.settings import MeshSettings
from ops.embedded import envoy
from tests.support.free_ports import is_free
from tests.support.workers import WORKER, WORKERS_MAX

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
# Below the ports that the system gives to clients, also with the offset of the metrics.
PORTS = range(20_000, 22_000)
START_SECONDS_MAX = 60.0
CALLS_PER_SECOND = 100


class Door:
    """Both processes, and how to end and start one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ("port", "public_port", "web_port")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.address = f"{LOOPBACK}:{self.ports['public_port']}"
        self.registry_address = f"{LOOPBACK}:{self.ports['port']}"
        self.url = f"http://{self.address}"
        self.session_cookie = GatewaySettings(public_port=self.ports["public_port"]).session_cookie
        self.admin_socket = folder / envoy.FOLDER / envoy.ADMIN_SOCKET
        self.platform = PlatformIssuer()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # The first key: a new one of a test may not have reached Envoy yet.
        self._key = authority.Authority(folder / authority.FOLDER, SystemClock()).signing
        self._token_file = folder / "token"
        self._token_file.write_text(self.process_token("registry", "registry"))

    def process_token(self, service_id: str, kind: str) -> str:
        """What a process shows to the registry."""
        return self.token(Role.PROCESS, caller=service_id, kind=kind)

    def process_channel(self, service_id: str, kind: str = "venue") -> grpc.aio.Channel:
        """A connection of a process to the registry."""
        shown = FixedToken(self.process_token(service_id, kind))
        return rpc.channel(self.registry_address, shown)

    def token(
        self, *roles: Role, caller: str = "tests", valid_s: int = 3_600, kind: str = ""
    ) -> str:
        """A token as the registry issues it, which does not know of it."""
        terms = TokenTerms(caller, frozenset(roles), valid_s, kind=kind)
        names = MeshNames(MeshSettings().mesh_id)
        return tokens.issue(terms, self._key, names, SystemClock())[0]

    def admin(self) -> aiohttp.ClientSession:
        """A client of Envoy's administration."""
        connector = aiohttp.UnixConnector(str(self.admin_socket))
        return aiohttp.ClientSession("http://envoy", connector=connector)

    def start_registry(self) -> None:
        self._spawn_registry()
        # Both are there when the last of them is.
        self._await("registry", lambda: listens(self.ports["port"]))
        self._await("registry", lambda: listens(self.ports["web_port"]))

    def run_registry(self, seconds_max: float) -> int:
        """Start one that is to end by itself. Returns its exit code."""
        self._spawn_registry()
        return self._running.pop("registry").wait(seconds_max)

    def end_registry(self, number: signal.Signals, seconds_max: float) -> int:
        """Stop the registry. Returns its exit code."""
        process = self._running.pop("registry")
        process.send_signal(number)
        return process.wait(seconds_max)

    def start_envoy(self) -> None:
        folder = self.folder / envoy.FOLDER
        self._await("registry", lambda: envoy.has_configuration(folder))
        command = envoy.command(folder)
        self._start("envoy", command.arguments, **command.spawn_options())
        self._await("envoy", lambda: listens(self.ports["public_port"]))

    def kill_registry(self) -> None:
        """As kill -9 does."""
        self.end_registry(signal.SIGKILL, START_SECONDS_MAX)

    def kill_envoy(self) -> None:
        """As kill -9 does."""
        envoy_process = self._running.pop("envoy")
        envoy_process.kill()
        envoy_process.wait()
        deadline = time.monotonic() + START_SECONDS_MAX
        while listens(self.ports["public_port"]) and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        self.platform.close()
        for process in self._running.values():
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text()

    def _spawn_registry(self) -> None:
        settings = {
            f"VENUEMESH_GATEWAY_{name.upper()}": str(self.ports[name]) for name in self.ports
        }
        environment = {
            **os.environ,
            **settings,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
            "VENUEMESH_DATA_DIR": str(self.folder),
            "VENUEMESH_REGISTRY": self.registry_address,
            "VENUEMESH_GATEWAY_STUDIO_DIR": str(self.folder / "studio"),
            "VENUEMESH_GATEWAY_ORIGINS": "http://localhost:5173",
            "VENUEMESH_GATEWAY_CALLS_PER_SECOND": str(CALLS_PER_SECOND),
            "VENUEMESH_ACCESS_REQUIRED": "true",
            "VENUEMESH_ACCESS_ISSUER": self.platform.issuer,
            "VENUEMESH_ACCESS_AUDIENCE": self.platform.audience,
            "VENUEMESH_ACCESS_JWKS_URL": self.platform.jwks_url,
            "VENUEMESH_ACCESS_ROLES_CLAIM": self.platform.roles_claim,
            "VENUEMESH_ACCESS_TOKEN_FILE": str(self._token_file),
        }
        arguments = (sys.executable, "-m", "ops.cli", "run", "registry")
        self._start("registry", arguments, env=environment)

    def _start(self, name: str, arguments: tuple[str, ...], **options: Any) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                arguments, stdout=log, stderr=log, cwd=self.folder, **options
            )

    def _await(self, name: str, ready) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not ready():
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{name} did not start:\n{self.log(name)}")
            time.sleep(0.01)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports that are free, and whose metrics' ports are. Tests side by side have others."""
    own = PORTS[WORKER::WORKERS_MAX]
    free = filter(is_free, random.sample(own, len(own)))
    return list(islice(free, count))


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One gateway for all tests; each test registers its processes."""
    opened = Door(tmp_path_factory.mktemp("door"))
    try:
        opened.start_registry()
        opened.start_envoy()
        yield opened
    finally:
        opened.close()


@pytest.fixture
def directory(door: Door) -> Directories:
    """How processes of the mesh find the registry: not through Envoy."""

    def opened(service_id: str, kind: str) -> ServiceDirectory:
        return ServiceDirectory(
            door.registry_address, FixedToken(door.process_token(service_id, kind))
        )

    return opened


@pytest.fixture
async def channel(door: Door) -> AsyncIterator[grpc.aio.Channel]:
    """A gRPC client of the door, with a token that allows everything."""
    async with rpc.channel(door.address, FixedToken(door.token(Role.ADMIN))) as opened:
        yield opened


@pytest.fixture
async def browser(door: Door) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the door, with a token that allows everything."""
    headers = {"authorization": f"Bearer {door.token(Role.ADMIN)}"}
    async with aiohttp.ClientSession(door.url, headers=headers) as opened:
        yield opened
