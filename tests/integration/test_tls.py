"""A mesh whose processes call each other by TLS."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc

from kit.base.access.authority import FOLDER
from kit.base.access.certificates import AUTHORITY_FILE, CertificateAuthority
from kit.base.access.transport import target_options
from kit.base.clock import SystemClock
from kit.base.secret_files import write_secret
from ops.supervisor.mesh_certificates import CERTIFICATES
from tests.integration import recorded
from tests.integration.followers import LiveTrades, following
from tests.integration.mesh import (
    CALL_SECONDS_MAX,
    ROOT,
    SYMBOL,
    VENUE,
    Mesh,
    new_folder,
    running,
    shown_channel,
)
from tests.integration.orders import OrderCaller

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

COMMAND_SECONDS_MAX = 120.0
REPLICA = f"{VENUE}-b"
PROCESSES = (
    "registry",
    VENUE,
    REPLICA,
    "ingest",
    "recorder",
    "bars",
    "bridge",
    "history",
    "ledger",
    "advisor",
    "detector",
    "notifier",
    "mcp",
    "push",
    "repair",
)
OPTIONS = ("--world", "simulate", "--seed", "7", "--venues", VENUE, "--replicas", VENUE)


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Mesh]:
    with new_folder() as data, running(data, *OPTIONS, tls=True) as mesh:
        mesh.wait_until_running()
        mesh.wait_until_registered()
        yield mesh


@pytest.fixture
def venuemesh(encrypted):
    """Runs a command on this machine. Returns what it prints as JSON."""
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "ops.cli", *arguments, "--data", str(encrypted.data), "--json"],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            cwd=encrypted.data,
            env=os.environ | variables,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def code_of(call: Callable[[], object]) -> grpc.StatusCode:
    """The status of a unary call."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def asks(address: str, token: str, tls: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    """The status of a call to a process."""
    request = admin_pb2.GetStatusRequest()
    with shown_channel(address, token, tls) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)
        return code_of(lambda: stub.GetStatus(request, timeout=CALL_SECONDS_MAX))


def test_trades_reach_the_record_and_a_subscriber(encrypted):
    live = LiveTrades()
    with following(encrypted, live):
        encrypted.wait_until(lambda: live.counts, "a live trade")
        encrypted.wait_until(
            lambda: live.counts.keys() & {trade.trade_id for trade in recorded.trades(encrypted)},
            "it is recorded",
        )
    assert live.gaps == []


def test_the_status_is_that_of_the_registry(encrypted, venuemesh):
    status = venuemesh("status")
    assert {row["service"] for row in status["services"] if row["address"]} >= set(PROCESSES)


def test_an_order_is_placed_and_cancelled(encrypted, venuemesh):
    encrypted.wait_until(OrderCaller(encrypted).takes_requests, "the account accepts orders")
    words = (VENUE, SYMBOL, "buy", "0.01", "--price", "20000")
    (placed,) = venuemesh("order", "place", *words)["submitted"]["orders"]
    assert placed["state"] == "ORDER_STATE_OPEN"
    cancelled = venuemesh("order", "cancel", VENUE, placed["client_order_id"])["order"]
    assert cancelled["state"] == "ORDER_STATE_CANCELLED"


@pytest.mark.parametrize("name", [VENUE, REPLICA])
def test_two_processes_of_a_venue_read_each_other(encrypted, name):
    def covers() -> bool:
        return "venuemesh_peer_covers 1.0" in encrypted.metrics(name)

    encrypted.wait_until(covers, "the other process covers this one")
    assert covers()


def test_a_venue_is_started_by_the_supervisor(encrypted):
    status, answer = encrypted.post("/v1/catalog/kraken:activate", {})
    assert (status, "running" in answer["venue"]) == (200, True)


@pytest.mark.parametrize("name", [*PROCESSES, "supervisor"])
def test_a_plain_connection_to_a_process_is_refused(encrypted, name):
    address = f"127.0.0.1:{encrypted.port(name)}"
    assert asks(address, encrypted.token, None) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_shows_its_own_certificate(encrypted, name):
    authority = CertificateAuthority(encrypted.data / FOLDER, "local", SystemClock())
    issued = authority.issue("tests", days=1)
    tls = grpc.ssl_channel_credentials(authority.certificate, issued.key, issued.chain)
    request = health_pb2.HealthCheckRequest()

    def checked(service_id: str) -> grpc.StatusCode:
        address = f"127.0.0.1:{encrypted.port(name)}"
        with grpc.secure_channel(address, tls, target_options(service_id)) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            return code_of(lambda: health.Check(request, timeout=CALL_SECONDS_MAX))

    assert checked(name) is grpc.StatusCode.OK
    assert checked("other") is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_of_another_mesh_is_refused(encrypted, tmp_path):
    stranger = CertificateAuthority(tmp_path, "local", SystemClock()).issue("bridge")
    trusted = (encrypted.data / FOLDER / AUTHORITY_FILE).read_bytes()
    tls = grpc.ssl_channel_credentials(trusted, stranger.key, stranger.chain)
    for name in PROCESSES:
        address = f"127.0.0.1:{encrypted.port(name)}"
        assert asks(address, encrypted.token, tls) is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_without_a_restart(encrypted):
    authority = CertificateAuthority(encrypted.data / FOLDER, "local", SystemClock())
    issued = authority.issue("bridge", days=200)
    file = encrypted.data / CERTIFICATES / "bridge.pem"
    live = LiveTrades()

    def is_used() -> bool:
        tls = grpc.ssl_channel_credentials(authority.certificate, issued.key, issued.chain)
        address = f"127.0.0.1:{encrypted.port('bridge')}"
        assert asks(address, encrypted.token, tls) is grpc.StatusCode.OK
        return shown_by("127.0.0.1", encrypted.port("bridge")) == issued.chain.decode()

    with following(encrypted, live) as follower:
        encrypted.wait_until(lambda: live.counts, "a live trade")
        follower.ends.clear()
        write_secret(file, issued.key + issued.chain)
        encrypted.wait_until(is_used, "the new certificate is shown")
        before = max(live.counts)
        encrypted.wait_until(lambda: max(live.counts) > before, "trades go on")
        assert follower.ends == []
    assert live.gaps == []


def shown_by(host: str, port: int) -> str:
    """The certificate that a server shows, as PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), CALL_SECONDS_MAX) as connection,
        context.wrap_socket(connection) as encrypted,
    ):
        return ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(binary_form=True))


def test_a_process_tells_when_its_certificate_expires(encrypted):
    assert "venuemesh_certificate_expires_time_seconds " in encrypted.metrics("bridge")
