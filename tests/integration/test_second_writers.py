"""Two ingest processes and two recorders divide their work."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from venuemesh.registry.v1 import registry_pb2

from kit.base.access.local_tokens import process_token
from ops.embedded.store_passwords import user_of_service
from tests.integration import recorded
from tests.integration.mesh import (
    NO_TRADING,
    ROOT,
    SYMBOL,
    VENUE,
    Mesh,
    free_base_port,
    new_folder,
    running,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

VENUES = (VENUE, "bybit")
OPTIONS = ("--world", "simulate", "--seed", "7", "--venues", ",".join(VENUES), *NO_TRADING)
INGEST, RECORDER = WRITERS = ("ingest", "recorder")
SECOND = "second"
LOST = registry_pb2.SERVICE_STATE_LOST
STATES = registry_pb2.ServiceState.Name
TRADES_MIN = 50
KILLS = 2
HOLDERS = (
    "SELECT count(DISTINCT holder)::int FROM leases"
    " WHERE starts_with(name, 'recorder/share/') AND expires_time > now()"
)
TRADES = "SELECT trade_id, count(*) FROM trades WHERE venue = %s AND symbol = %s GROUP BY 1"


class SecondMesh:
    """The first processes with their supervisor, and a second process of each writer."""

    def __init__(self, mesh: Mesh, ports: dict[str, int]) -> None:
        self.mesh = mesh
        self.ports = ports
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str) -> None:
        """Start the second process."""
        self._processes[service] = second(self.mesh, service, self.ports[service])

    def kill(self, service: str) -> None:
        """Kill the second process."""
        self._processes[service].kill()
        self._processes[service].wait()

    def kill_first(self, service: str) -> None:
        """Kill the first process, which its supervisor starts again."""
        os.kill(self.mesh.children()[service]["pid"], signal.SIGKILL)

    def state(self, service: str) -> str:
        """What the registry says of the process of the supervisor."""
        services = self.mesh.get("/v1/services")[1]["services"]
        found = {
            one["instance"]["instance_id"]: one["status"]["state"]
            for one in services
            if one["instance"]["service_id"] == service
        }
        return found[self.first(service)]

    def events(self, service: str, instance: str = SECOND) -> int:
        """Events that an instance has handled since its start; 0 while it does not answer."""
        answer = self.mesh.get(f"/v1/services/{service}@{instance}/status")[1]
        return int(answer.get("status", {}).get("events_total", 0))

    def first(self, service: str) -> str:
        """The instance id of the process of the supervisor."""
        services = self.mesh.get("/v1/services")[1]["services"]
        instances = [one["instance"] for one in services]
        found = {one["instance_id"] for one in instances if one["service_id"] == service}
        (first,) = found - {SECOND}
        return first

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """The first process is stopped."""
        pid = self.mesh.children()[service]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def check_trades(self) -> None:
        """Each trade is recorded once, also those that come now."""
        self.wait_for_trades("they are recorded")
        counts = self.trades()
        assert set(counts.values()) == {1}
        assert len(counts) == max(counts) - min(counts) + 1
        assert recorded.gaps(self.mesh) == []

    def trades(self) -> dict[int, int]:
        """How often each trade is recorded."""
        return dict(self.mesh.sql(TRADES, VENUE, SYMBOL))

    def wait_for_trades(self, what: str) -> None:
        """Wait for trades that are recorded after now."""
        last = max(self.trades(), default=0)
        self.mesh.wait_until(lambda: recorded.trades_after(self.mesh, last) >= TRADES_MIN, what)


def second(mesh: Mesh, service: str, port: int) -> subprocess.Popen[bytes]:
    """Another process of a service, with an instance id of its own."""
    token = mesh.data / f"{service}.token"
    token.write_text(process_token(mesh.data, mesh.state()["mesh_id"], service, service))
    user = user_of_service(service)
    pid = mesh.children()[service]["pid"]
    content = Path(f"/proc/{pid}/environ").read_text()
    own = dict(line.split("=", 1) for line in content.split("\0") if "=" in line)
    changed = {
        "VENUEMESH_INSTANCE_ID": SECOND,
        "VENUEMESH_ACCESS_TOKEN_FILE": str(token),
        "VENUEMESH_REDIS_URL": mesh.redis_url(user),
        "VENUEMESH_REDIS_PASSWORD_FILE": "",
        "VENUEMESH_DATABASE_URL": mesh.database_url(user),
        "VENUEMESH_DATABASE_PASSWORD_FILE": "",
        f"VENUEMESH_{service.upper()}_PORT": str(port),
        "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
    }
    with (mesh.data / "logs" / f"{service}-{SECOND}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ops.cli", "run", service],
            env=own | changed, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip


@pytest.fixture(scope="module")
def doubled() -> Iterator[SecondMesh]:
    base = free_base_port()
    ports = {service: base + place for place, service in enumerate(WRITERS)}
    with new_folder() as data, running(data, *OPTIONS) as mesh, ExitStack() as ended:
        mesh.wait_until_running()
        made = SecondMesh(mesh, ports)
        made.wait_for_trades("the first writers write")
        for service in WRITERS:
            made.start(service)
            ended.callback(made.kill, service)
        yield made


@pytest.mark.parametrize("service", WRITERS)
def test_both_write(service, doubled):
    mesh = doubled.mesh
    for instance in (SECOND, doubled.first(service)):
        before = doubled.events(service, instance)
        mesh.wait_until(
            lambda instance=instance, before=before: doubled.events(service, instance) > before,
            f"{service} {instance} writes",
        )
    # Otherwise the database would have told a recorder.
    for name in (service, f"{service}-{SECOND}"):
        assert "begin again" not in {line["event"] for line in mesh.log(name)}


def test_the_second_ingest_writes_all_when_the_first_one_hangs(doubled):
    mesh = doubled.mesh
    with doubled.frozen(INGEST):
        mesh.wait_until(lambda: doubled.state(INGEST) == STATES(LOST), "the first one is lost")
        doubled.wait_for_trades("the second ingest writes")
    mesh.wait_until(lambda: doubled.state(INGEST) != STATES(LOST), "it is back")
    before = doubled.events(INGEST, doubled.first(INGEST))
    mesh.wait_until(
        lambda: doubled.events(INGEST, doubled.first(INGEST)) > before,
        "the first one has its part again",
    )
    doubled.check_trades()


def test_the_second_recorder_records_all_when_the_first_one_hangs(doubled):
    mesh = doubled.mesh
    with doubled.frozen(RECORDER):
        mesh.wait_until(lambda: mesh.sql(HOLDERS) == [(1,)], "a take-over")
        doubled.wait_for_trades("the second recorder writes")
    mesh.wait_until(lambda: mesh.sql(HOLDERS) == [(2,)], "the first one has its part again")
    doubled.check_trades()


@pytest.mark.parametrize("service", WRITERS)
def test_kills_of_either_lose_and_repeat_nothing(service, doubled):
    for _ in range(KILLS):
        doubled.kill(service)
        doubled.wait_for_trades("the first one writes")
        doubled.start(service)
        doubled.kill_first(service)
        doubled.wait_for_trades("one of them writes")
    doubled.check_trades()


def test_the_streams_themselves_refuse_a_second_writer(doubled):
    with redis.Redis.from_url(doubled.mesh.redis_url()) as client:
        key = f"md:{{{VENUE}}}:trades"
        entry, fields = client.xrevrange(key, count=1)[0]
        with pytest.raises(redis.ResponseError, match="equal or smaller"):
            client.xadd(key, fields, id=entry)
