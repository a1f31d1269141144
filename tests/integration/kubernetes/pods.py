"""Pods of a manifest as processes of this machine.

Commands, arguments, variables, probes and preStop are those of the manifest. What a cluster does is
done here: each pod has an address of its own on the loopback, each container a folder in place of
its file system, in which links stand for mounts. Paths, addresses of Services and the loopback are
replaced by those. The servers are the embedded ones.
"""

import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_connection
from typing import Any

from ops.embedded import postgres
from ops.embedded.server_command import ServerCommand
from ops.embedded.store_passwords import StorePasswords
from ops.kubernetes.tests.chart import containers
from ops.project import ROOT

Json = dict[str, Any]

ENTRYPOINT = ("python", "-m", "ops.cli")
IMAGE_VARIABLES = {
    "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
    "VENUEMESH_HOST": "0.0.0.0",
    "VENUEMESH_DATA_DIR": "/data",
}
"""The entry point and the variables of the images, from the Dockerfile."""
APP = "/app"
APP_FOLDERS = ("docs", "proto", "schema", "strategies", "studio")
LOOPBACK = re.compile(r"\b(?:127\.0\.0\.1|0\.0\.0\.0)\b")
REFERENCE = re.compile(r"\$\((\w+)\)")
INITIAL_STATEMENTS = "docker-entrypoint-initdb.d"
PROBE_SECONDS_MAX = 30.0
OK = 200


@dataclass(frozen=True, slots=True)
class Place:
    """What a pod has from the cluster."""

    name: str
    workload: str
    address: str
    index: int
    folder: Path
    volumes: Mapping[str, Path]
    """The folder of each volume, by its name in the pod."""
    services: Mapping[str, str]
    """The addresses of Services and of the API of the cluster, by their names."""
    secrets: Mapping[str, Mapping[str, bytes]]
    programs: Path
    """A folder with the programs of the images."""


@dataclass(slots=True)
class Pod:
    """One pod. Its containers are started in the order of the manifest."""

    place: Place
    template: Json
    settings: Mapping[str, str]
    """The variables of ``envFrom``."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stop_signals: dict[str, int] = field(default_factory=dict)

    def containers(self) -> dict[str, Json]:
        """The containers that run on, by name."""
        return containers(self.template)

    def start(self, name: str) -> None:
        """Start a container."""
        container = self.containers()[name]
        root = self.root(name)
        self._mount(container, root)
        environment = self.environment(name)
        words = [*container.get("command", ()), *container.get("args", ())]
        if "command" not in container and container["image"].startswith("venuemesh-"):
            words = [*ENTRYPOINT, *words]
        command = ServerCommand(tuple(self.on_machine(word, root) for word in words))
        working = root / APP.removeprefix("/")
        if words[0] == "redis-server":
            # Its image works in its volume.
            command = ServerCommand((*command.arguments, "--bind", self.place.address))
            working = root / "data"
        elif words[0] == "postgres":
            command = self._database(root, Path(environment["PGDATA"]), words[1:])
        self._stop_signals[name] = command.stop_signal
        options = command.spawn_options() | {"env": environment, "cwd": working}
        with (self.place.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._found(command.arguments), stdout=log, stderr=log, **options
            )

    def environment(self, name: str) -> dict[str, str]:
        """The variables of a container."""
        container, root = self.containers()[name], self.root(name)
        found = dict(IMAGE_VARIABLES)
        if "envFrom" in container:
            found |= self.settings
        for one in container.get("env", ()):
            if "valueFrom" in one:
                found[one["name"]] = self._value(one["valueFrom"])
            else:
                found[one["name"]] = REFERENCE.sub(lambda match: found[match[1]], one["value"])
        own = {key: self.on_machine(value, root) for key, value in found.items()}
        path = f"{self.place.programs}:{os.environ['PATH']}"
        return {**os.environ, **own, "PATH": path, "PYTHONPATH": IMAGE_VARIABLES["PYTHONPATH"]}

    def run(self, name: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a container."""
        root = self.root(name)
        return subprocess.run(
            self._found([self.on_machine(word, root) for word in words]),
            env=self.environment(name),
            cwd=root / APP.removeprefix("/"),
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS_MAX,
            check=False,
        )

    def passes(self, name: str, kind: str) -> bool:
        """Whether a probe of a container succeeds now; true where there is none."""
        container = self.containers()[name]
        probe = container.get(kind)
        if probe is None:
            return True
        if "exec" in probe:
            return self.run(name, probe["exec"]["command"]).returncode == 0
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        (action,) = (probe[key] for key in ("httpGet", "tcpSocket") if key in probe)
        address = (self.place.address, ports[action["port"]])
        try:
            if "httpGet" in probe:
                headers = {one["name"]: one["value"] for one in action.get("httpHeaders", ())}
                url = f"http://{address[0]}:{address[1]}{action['path']}"
                request = urllib.request.Request(url, headers=headers)
                with urllib.request.urlopen(request, timeout=PROBE_SECONDS_MAX) as answer:
                    return int(answer.status) == OK
            with create_connection(address, PROBE_SECONDS_MAX):
                return True
        except OSError:
            return False

    def is_ready(self) -> bool:
        """Whether every container passes its readiness probe."""
        return all(self.passes(name, "readinessProbe") for name in self.running)

    def exit_codes(self) -> dict[str, int]:
        """The exit codes of the containers that have ended."""
        codes = {name: process.poll() for name, process in self.running.items()}
        return {name: code for name, code in codes.items() if code is not None}

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """A container whose process hangs meanwhile."""
        self.running[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.running[name].send_signal(signal.SIGCONT)

    def end(self) -> dict[str, int]:
        """End the containers as a cluster does: preStop, the stop signal of the image, and after
        the grace period a kill. Returns the exit codes."""
        for name in self.running:
            hook = self.containers()[name].get("lifecycle", {}).get("preStop")
            if hook is not None:
                done = self.run(name, hook["exec"]["command"])
                assert done.returncode == 0, done.stderr
        for name, process in self.running.items():
            process.send_signal(self._stop_signals[name])
        codes = {}
        grace_seconds = self.template["spec"]["terminationGracePeriodSeconds"]
        for name, process in self.running.items():
            try:
                codes[name] = process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        return codes

    def log(self, name: str) -> str:
        """What a container has written."""
        return (self.place.folder / f"{name}.log").read_text()

    def on_machine(self, text: str, root: Path) -> str:
        """A text of the manifest with the paths and addresses of this machine."""
        mounted = [APP, "/data", *map(str, self._mounts(root.name))]
        paths = "|".join(re.escape(path) for path in sorted(mounted, key=len, reverse=True))
        text = re.sub(rf"(?<![\w./-])(?:{paths})(?![\w-])", lambda match: f"{root}{match[0]}", text)
        text = LOOPBACK.sub(self.place.address, text)
        for name, address in self.place.services.items():
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", address, text)
        return text

    def _value(self, source: Json) -> str:
        if "secretKeyRef" in source:
            named = source["secretKeyRef"]
            return self.place.secrets[named["name"]][named["key"]].decode()
        path = source["fieldRef"]["fieldPath"]
        return self.place.address if path == "status.podIP" else str(self.place.index)

    def _mounts(self, name: str) -> dict[str, Path]:
        """Where each mounted path of a container is on this machine."""
        found = {}
        for mount in self.containers()[name]["volumeMounts"]:
            part = mount.get("subPath", mount.get("subPathExpr", ""))
            part = part.replace("$(POD_INDEX)", str(self.place.index))
            found[mount["mountPath"]] = self.place.volumes[mount["name"]] / part
        return found

    def _mount(self, container: Json, root: Path) -> None:
        app = root / APP.removeprefix("/")
        app.mkdir(parents=True, exist_ok=True)
        links = {f"{APP}/{name}": ROOT / name for name in APP_FOLDERS}
        links |= self._mounts(container["name"])
        for path in sorted(links):
            link = root / path.removeprefix("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(links[path])

    def root(self, name: str) -> Path:
        """What a container sees as its file system."""
        return self.place.folder / name

    def _found(self, words: Sequence[str]) -> list[str]:
        program = self.place.programs / words[0]
        return [str(program.readlink() if program.is_symlink() else words[0]), *words[1:]]

    def _database(self, root: Path, folder: Path, options: Sequence[str]) -> ServerCommand:
        """What the image does in an empty volume, then the server."""
        if not folder.exists():
            postgres.prepare(folder, StorePasswords(self.place.folder / "first-passwords"))
            for file in (root / INITIAL_STATEMENTS).iterdir():
                cluster = folder / postgres.CLUSTER
                postgres.execute(cluster, postgres.DATABASE, f"{file.read_text()}\n\n")
        command = postgres.command(folder, 5432, listen_addresses=self.place.address)
        arguments = (*command.arguments, *options)
        return ServerCommand(arguments, user=command.user, stop_signal=command.stop_signal)
