"""The health check, against a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import start_http_server
from venuemesh.registry.v1 import registry_pb2

from conftest import free_port
from kit.base import settings
from kit.base.access.certificates import AUTHORITY_FILE, CertificateAuthority, keep_current
from kit.base.access.settings import TlsSettings
from kit.base.access.transport import MeshTls
from kit.base.clock import SystemClock
from kit.base.runtime import METRICS_PORT_OFFSET
from kit.base.telemetry import Meter
from ops.docker.health import (
    ADDRESS_VARIABLE,
    EXIT_NOT_SERVING,
    EXIT_SERVING,
    EXIT_USAGE,
    READY,
    main,
)
from ops.process_files import CERTIFICATE_FILE
from tests.support.service_process import PORTS_MAX


@pytest.fixture
def servicer() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.fixture
def address(servicer: health.HealthServicer) -> Iterator[str]:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.fixture
def measured(servicer: health.HealthServicer) -> Iterator[tuple[str, Meter]]:
    """A process with metrics, 10,000 ports above its own."""
    meter = Meter("bars")
    port = next(port for port in iter(free_port, None) if port < PORTS_MAX)
    metrics, thread = start_http_server(
        port + METRICS_PORT_OFFSET, "127.0.0.1", registry=meter.registry
    )
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        assert server.add_insecure_port(f"127.0.0.1:{port}") == port
        server.start()
        yield f"127.0.0.1:{port}", meter
        server.stop(None).wait()
    metrics.shutdown()
    thread.join()
    metrics.server_close()


def test_a_process_that_serves_is_healthy(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([address]) == EXIT_SERVING
    assert capsys.readouterr().out == "SERVING\n"


def test_a_process_that_drains_is_not(servicer: health.HealthServicer, address: str) -> None:
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert main([address]) == EXIT_NOT_SERVING


def test_a_process_that_is_away_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["127.0.0.1:1"]) == EXIT_NOT_SERVING
    assert capsys.readouterr().out == "UNAVAILABLE\n"


def test_the_address_comes_from_the_environment(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    assert main([]) == EXIT_SERVING


@pytest.mark.parametrize(
    ("state", "exit_code"),
    [
        ("STARTING", EXIT_NOT_SERVING),
        ("SERVING", EXIT_SERVING),
        ("DEGRADED", EXIT_NOT_SERVING),
        ("STANDBY", EXIT_SERVING),
    ],
)
def test_a_ready_process_has_what_it_needs_or_stands_by(
    state: str, exit_code: int, measured: tuple[str, Meter], capsys: pytest.CaptureFixture[str]
) -> None:
    address, meter = measured
    meter.state = registry_pb2.ServiceState.Value(f"SERVICE_STATE_{state}")
    assert main([READY, address]) == exit_code
    assert capsys.readouterr().out == f"{state}\n"
    assert main([address]) == EXIT_SERVING


def test_without_metrics_a_process_is_not_ready(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([READY, address]) == EXIT_NOT_SERVING
    assert "no metrics" in capsys.readouterr().out


def test_a_process_that_drains_is_not_ready(
    servicer: health.HealthServicer, measured: tuple[str, Meter]
) -> None:
    address, meter = measured
    meter.serving()
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert main([READY, address]) == EXIT_NOT_SERVING


def test_without_an_address_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    assert main([]) == EXIT_USAGE
    assert ADDRESS_VARIABLE in capsys.readouterr().err


@pytest.fixture
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A process "bars" with TLS; the environment has its certificate."""
    authority = CertificateAuthority(tmp_path, "local", SystemClock())
    file = tmp_path / CERTIFICATE_FILE
    keep_current(file, "bars", authority)
    monkeypatch.setenv("VENUEMESH_TLS_REQUIRED", "true")
    monkeypatch.setenv("VENUEMESH_TLS_CERTIFICATE_FILE", str(file))
    monkeypatch.setenv("VENUEMESH_TLS_AUTHORITY_FILE", str(tmp_path / AUTHORITY_FILE))
    tls = MeshTls(settings.load(TlsSettings, "tls"), SystemClock())
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        port = server.add_secure_port("127.0.0.1:0", tls.server_credentials())
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


def test_with_tls_it_shows_the_certificate_of_the_process(
    encrypted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([encrypted]) == EXIT_SERVING
    # Another service at the address is not the process.
    authority = CertificateAuthority(tmp_path, "local", SystemClock())
    keep_current(tmp_path / "other.pem", "bridge", authority)
    monkeypatch.setenv("VENUEMESH_TLS_CERTIFICATE_FILE", str(tmp_path / "other.pem"))
    assert main([encrypted]) == EXIT_NOT_SERVING
    monkeypatch.setenv("VENUEMESH_TLS_REQUIRED", "false")
    assert main([encrypted]) == EXIT_NOT_SERVING


def test_without_its_certificate_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VENUEMESH_TLS_REQUIRED", "true")
    assert main(["127.0.0.1:1"]) == EXIT_USAGE
    assert "tls.certificate_file" in capsys.readouterr().err
