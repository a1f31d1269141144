"""What a cluster does with a manifest, as far as the tests need it: Secrets and their API, volumes,
addresses of Services, pods."""

import json
import random
import sys
import threading
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from kit.base.access.local_tokens import command_token
from kit.base.access.roles import CALLER_ROLES
from kit.base.store_urls import with_password
from ops.commands.secrets import make
from ops.embedded import envoy, postgres, valkey
from ops.kubernetes.tests import chart
from tests.integration.kubernetes.pods import Place, Pod
from tests.integration.mesh import CALL_SECONDS_MAX, LOOK_AGAIN_SECONDS_MAX, shown_channel
from tests.support.workers import WORKER

Json = dict[str, Any]

FIRST = ("redis", "database", "gateway")
"""The others only wait for them."""
ONE_SHOT = ("migrate", "backfill")
NAMESPACE = "trading"
PASSWORDS = "venuemesh"
API = "https://kubernetes.default.svc"
WAIT_SECONDS_MAX = 100.0
LOG_CHARACTERS = 1_500
REDIS_CLI = """#!{python}
import os, sys, redis
server = redis.Redis("{host}", username=sys.argv[sys.argv.index("--user") + 1],
    password=os.environ["REDISCLI_AUTH"])
print("PONG" if sys.argv[-1] == "ping" and server.ping() else "")
"""
"""In place of the program of the image, which the embedded server does not come with."""


class Cluster:
    """The objects of a manifest, and the pods that run."""

    def __init__(self, folder: Path, manifest: str) -> None:
        self.folder = folder
        self.objects = chart.objects(manifest)
        self.workloads = chart.of_kind(self.objects, "Deployment", "StatefulSet", "Job")
        self.pods: dict[str, list[Pod]] = {name: [] for name in self.workloads}
        """The pods that run, by the name of their workload."""
        make(folder / "secrets")
        self.secrets: dict[str, dict[str, bytes]] = {
            PASSWORDS: {file.name: file.read_bytes() for file in (folder / "secrets").iterdir()}
        }
        self._network = f"127.{64 + WORKER}.{random.randrange(256)}"
        self._addresses = iter(range(2, 255))
        self._services: dict[str, str] = {}
        by_selector: dict[str, str] = {}
        for name, service in chart.of_kind(self.objects, "Service").items():
            selector = json.dumps(service["spec"]["selector"], sort_keys=True)
            address = by_selector.setdefault(selector, self._new_address())
            self._services[f"{chart.RELEASE}-{name}"] = address
        self._api = _api_server(self)
        self._starts = 0

    def start(self, workload: str, index: int = 0) -> Pod:
        """Start a pod of a workload, once all that it mounts is there."""
        template = self.workloads[workload]["spec"]["template"]
        waits = f"the Secrets of {workload} are filled"
        self.wait_until(lambda: self._has_all(template), waits, *self.pods["gateway"])
        self._starts += 1
        folder = self.folder / f"{workload}-{self._starts}"
        services = self._services | {API: f"http://127.0.0.1:{self._api.server_port}"}
        place = Place(
            name=folder.name,
            workload=workload,
            address=self._address_of(template) or self._new_address(),
            index=index,
            folder=folder,
            volumes=self._volumes(workload, index, template, folder),
            services=services,
            secrets=self.secrets,
            programs=self._programs(),
        )
        settings = chart.of_kind(self.objects, "ConfigMap")["settings"]["data"]
        pod = Pod(place, template, settings)
        self.pods[workload].append(pod)
        for name in pod.containers():
            pod.start(name)
            is_before_others = name in {
                one["name"] for one in template["spec"].get("initContainers", ())
            }
            if is_before_others:
                self.wait_until(
                    lambda name=name: pod.passes(name, "startupProbe"), f"{name} has started", pod
                )
        return pod

    def start_all(self) -> None:
        """Start every pod, and wait until all are ready."""
        ours = [name for name in self.workloads if not name.startswith("backfill")]
        for name in (*FIRST, *(name for name in ours if name not in FIRST)):
            for index in range(self.workloads[name]["spec"].get("replicas", 1)):
                self.start(name, index)
        self.wait_until_ready(*self.lasting())

    def lasting(self) -> list[Pod]:
        """The pods that run on."""
        return [
            pod for name, pods in self.pods.items() for pod in pods if not name.startswith(ONE_SHOT)
        ]

    def services(self) -> Iterator[str]:
        """The workloads of the services."""
        for name, workload in self.workloads.items():
            kind = workload["spec"]["template"]["metadata"]["labels"].get("venuemesh/kind")
            if kind not in (None, "venue", "registry", "simulator"):
                yield name

    def roll(self, workload: str) -> Iterator[dict[str, int]]:
        """Replace each pod of a workload by its strategy. Yields the exit codes of the old one."""
        old = list(self.pods[workload])
        if self.workloads[workload]["kind"] == "Deployment":
            # With maxSurge 1 and maxUnavailable 0.
            for pod in old:
                self.wait_until_ready(self.start(workload))
                yield self.end(workload, pod)
            return
        for pod in reversed(old):
            yield self.end(workload, pod)
            self.wait_until_ready(self.start(workload, pod.place.index))

    def end(self, workload: str, pod: Pod) -> dict[str, int]:
        """End a pod. Returns the exit codes of its containers."""
        self.pods[workload].remove(pod)
        return pod.end()

    def wait_until(self, condition: Callable[[], object], what: str, *pods: Pod) -> None:
        """Wait until a condition is true, while the pods run."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not condition():
            for pod in pods:
                for name, process in pod.running.items():
                    code = process.poll()
                    assert code is None, (what, name, code, pod.log(name)[-LOG_CHARACTERS:])
            assert time.monotonic() < deadline, (what, self._logs(pods))
            time.sleep(LOOK_AGAIN_SECONDS_MAX)

    def wait_until_ready(self, *pods: Pod) -> None:
        """Wait until pods are ready."""
        for pod in pods:
            self.wait_until(pod.is_ready, f"{pod.place.name} is ready", pod)

    @property
    def gateway(self) -> str:
        """host:port of the gateway."""
        return f"{self._services['mesh-gateway']}:8081"

    @property
    def token(self) -> str:
        """A token with every role."""
        return command_token(self.data("gateway", 0), "local", CALLER_ROLES)

    @cached_property
    def channel(self) -> grpc.Channel:
        """A connection to the gateway."""
        return shown_channel(self.gateway, self.token)

    def registered(self) -> Counter[str]:
        """How many processes of each service the registry knows."""
        stub = registry_pb2_grpc.RegistryStub(self.channel)
        answer = stub.ListServices(registry_pb2.ListServicesRequest(), timeout=CALL_SECONDS_MAX)
        return Counter(one.instance.service_id for one in answer.services)

    def database_url(self) -> str:
        """The database for its owner."""
        password = self.secrets[PASSWORDS]["postgresql-owner"].decode().strip()
        host = self._services["mesh-database"]
        return with_password(f"postgresql://venuemesh_owner@{host}:5432/venuemesh", password)

    def data(self, workload: str, index: int) -> Path:
        """The folder of the volume that a pod keeps."""
        return self.folder / "volumes" / f"{workload}-{index}"

    def close(self) -> None:
        """Leave nothing behind."""
        self._api.shutdown()
        self._api.server_close()
        for pod in [pod for pods in self.pods.values() for pod in pods]:
            for process in pod.running.values():
                process.kill()
                process.wait()

    def _logs(self, pods: Sequence[Pod]) -> dict[str, str]:
        return {
            f"{pod.place.name}/{name}": pod.log(name)[-LOG_CHARACTERS:]
            for pod in pods
            for name in pod.running
        }

    def _new_address(self) -> str:
        return f"{self._network}.{next(self._addresses)}"

    def _address_of(self, template: Json) -> str:
        """The address of the Service of the only pod of a workload; "" without one."""
        labels = template["metadata"]["labels"].items()
        for name, service in chart.of_kind(self.objects, "Service").items():
            spec = service["spec"]
            if spec.get("clusterIP") != "None" and spec["selector"].items() <= labels:
                return self._services[f"{chart.RELEASE}-{name}"]
        return ""

    def _has_all(self, template: Json) -> bool:
        return all(
            item["key"] in self.secrets.get(volume["secret"]["secretName"], {})
            for volume in template["spec"]["volumes"]
            for item in volume.get("secret", {}).get("items", ())
        )

    def _volumes(self, workload: str, index: int, template: Json, folder: Path) -> dict[str, Path]:
        kept = self.data(workload, index)
        kept.mkdir(parents=True, exist_ok=True)
        found = {"data": kept}
        maps = {one["metadata"]["name"]: one for one in self.objects if one["kind"] == "ConfigMap"}
        for volume in template["spec"]["volumes"]:
            place = folder / "volumes" / volume["name"]
            place.mkdir(parents=True)
            found[volume["name"]] = place
            files: dict[str, bytes] = {}
            if "secret" in volume:
                content = self.secrets[volume["secret"]["secretName"]]
                items = volume["secret"].get("items") or [{"key": k, "path": k} for k in content]
                files = {item["path"]: content[item["key"]] for item in items}
            elif "configMap" in volume:
                content = maps[volume["configMap"]["name"]]["data"]
                files = {name: text.encode() for name, text in content.items()}
            elif "projected" in volume:
                files = {"token": b"account", "namespace": NAMESPACE.encode(), "ca.crt": b""}
            for name, data in files.items():
                (place / name).write_bytes(data)
                (place / name).chmod(0o440)
        return found

    def _programs(self) -> Path:
        folder = self.folder / "programs"
        if not folder.exists():
            folder.mkdir()
            programs = {
                "python": Path(sys.executable),
                "envoy": envoy.binary(),
                "redis-server": valkey.binary(),
                "pg_isready": postgres.binary("pg_isready"),
            }
            for name, program in programs.items():
                (folder / name).symlink_to(program)
            text = REDIS_CLI.format(python=sys.executable, host=self._services["mesh-redis"])
            (folder / "redis-cli").write_text(text)
            (folder / "redis-cli").chmod(0o755)
        return folder


@contextmanager
def running(folder: Path, manifest: str) -> Iterator[Cluster]:
    """A cluster whose pods are ended at the end."""
    cluster = Cluster(folder, manifest)
    try:
        yield cluster
    finally:
        cluster.close()


def _api_server(cluster: Cluster) -> ThreadingHTTPServer:
    """The part of the API of a cluster that takes Secrets."""

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            name = self.path.rpartition("/")[2]
            data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
            found = {key: b64decode(value) for key, value in data.items()}
            cluster.secrets[name] = cluster.secrets.get(name, {}) | found
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
