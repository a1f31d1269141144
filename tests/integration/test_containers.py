"""The processes of the compose file with its variables, commands and health checks, as containers
start them: each knows its own folder only, and calls the others by TLS."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.envoy_certificates import OWN_FILE
from kit.base.access.local_tokens import command_token
from kit.base.access.roles import CALLER_ROLES
from ops.docker.tests import compose
from ops.embedded import envoy
from tests.integration.mesh import CALL_SECONDS_MAX, LOOK_AGAIN_SECONDS, ROOT, free_base_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SERVICES = compose.services()
WAIT_SECONDS_MAX = 100.0
STARTED = ("registry", "bridge")
"""The bridge serves also while there is no Redis."""
SHOWN = "/run/venuemesh"
PORTS = {
    "VENUEMESH_GATEWAY_PORT": 0,
    "VENUEMESH_GATEWAY_PUBLIC_PORT": 1,
    "VENUEMESH_GATEWAY_WEB_PORT": 2,
    "VENUEMESH_BRIDGE_PORT": 3,
}
OWN_PORT = {"registry": 0, "bridge": 3}


class Containers:
    """The processes, each with its folder of the volume "tokens"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens, self.data = folder / "tokens", folder / "data"
        self.base_port = free_base_port()
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.base_port + PORTS['VENUEMESH_GATEWAY_PUBLIC_PORT']}"

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.base_port + OWN_PORT[name]}"

    def start(self, name: str, words: Sequence[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, env=environment, cwd=self.folder, stdout=log, stderr=log
            )
        self._running.append(process)

    def environment(self, name: str) -> dict[str, str]:
        """The variables of a service, with the paths and addresses of this machine."""
        named = {
            key: str(value).replace(SHOWN, str(self.tokens / name))
            for key, value in SERVICES[name].get("environment", {}).items()
        }
        own = {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
            # The registry alone sees the private keys.
            "VENUEMESH_DATA_DIR": str(self.data if name in ("tokens", "registry") else self.folder),
            **{key: str(self.base_port + place) for key, place in PORTS.items()},
        }
        if "VENUEMESH_REGISTRY" in named:
            own |= {
                "VENUEMESH_REGISTRY": self.address("registry"),
                "VENUEMESH_ADVERTISE_HOST": "127.0.0.1",
                "VENUEMESH_HEALTH_ADDRESS": self.address(name) if name in OWN_PORT else "",
                "VENUEMESH_GATEWAY_ADMIN_SOCKET": str(self.folder / "admin.sock"),
                "VENUEMESH_REDIS_URL": "redis://127.0.0.1:1/0",
                "VENUEMESH_REDIS_PASSWORD_FILE": "",
            }
        return {**os.environ, **named, **own}

    def is_healthy(self, name: str) -> bool:
        """The health check of the container."""
        test = SERVICES[name]["healthcheck"]["test"]
        words = [str(word).replace("/tokens/", f"{self.tokens}/") for word in test[1:]]
        if words[0] == "python":
            words[0] = sys.executable
        done = subprocess.run(
            words, env=self.environment(name), cwd=self.folder, capture_output=True, check=False
        )
        return done.returncode == 0

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not condition():
            ended = [process.args for process in self._running if process.poll() is not None]
            logs = [file.read_text()[-2_000:] for file in self.folder.glob("*.log")]
            assert not ended, (ended, logs)
            assert time.monotonic() < deadline, (what, logs)
            time.sleep(LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()

    def page(self, path: str) -> str:
        """A page of the gateway; "" while there is none."""
        token = command_token(self.data, "local", CALLER_ROLES)
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(self.gateway + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=CALL_SECONDS_MAX) as response:
                return str(response.read().decode())
        except OSError:
            return ""


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    found = Containers(tmp_path_factory.mktemp("containers"))
    try:
        words = [*SERVICES["tokens"]["entrypoint"][1:-1], str(found.tokens)]
        found.start("tokens", (sys.executable, *words), found.environment("tokens"))
        found.wait_until(lambda: found.is_healthy("tokens"), "the tokens are there")
        for name in STARTED:
            words = [sys.executable, "-m", "ops.cli", *SERVICES[name]["command"]]
            found.start(name, words, found.environment(name))
            found.wait_until(lambda name=name: found.is_healthy(name), f"{name} is healthy")
        folder = found.data / envoy.FOLDER
        found.start("envoy", envoy.command(folder).arguments, dict(os.environ))
        yield found
    finally:
        found.close()


def test_the_gateway_serves_its_pages_and_its_processes(containers: Containers) -> None:
    containers.wait_until(lambda: containers.page("/healthz"), "the gateway answers")
    assert containers.page("/healthz") == "ok\n"
    containers.wait_until(
        lambda: '"bridge"' in containers.page("/v1/services"), "the bridge is known"
    )
    containers.wait_until(
        lambda: "bridge" in containers.page("/v1/services/bridge/status"), "it answers"
    )


@pytest.mark.parametrize("name", STARTED)
def test_a_health_check_without_tls_fails(containers: Containers, name: str) -> None:
    variables = containers.environment(name) | {"VENUEMESH_TLS_REQUIRED": "false"}
    words = [sys.executable, *SERVICES[name]["healthcheck"]["test"][2:]]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "UNAVAILABLE\n")


def test_prometheus_finds_the_processes(containers: Containers) -> None:
    file = containers.folder / "targets.json"
    words = [sys.executable, *SERVICES["targets"]["entrypoint"][1:-1], str(file)]
    containers.start("targets", words, containers.environment("targets"))
    containers.wait_until(lambda: file.exists() and "bridge" in file.read_text(), "it is written")
    assert '"registry"' in file.read_text()


def test_files_of_a_process_are_its_owners(containers: Containers) -> None:
    # Envoy runs as the user of the registry.
    envoys = [containers.data / envoy.FOLDER / name for name in (OWN_FILE,)]
    for file in (*envoys, *containers.tokens.glob("*/certificate.pem")):
        assert file.stat().st_mode & 0o777 == 0o600
    assert SERVICES["envoy"]["user"] == "10001:10001"
