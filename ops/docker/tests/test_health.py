"""The health check, against a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ops.docker.health import ADDRESS_VARIABLE, EXIT_NOT_SERVING, EXIT_SERVING, EXIT_USAGE, main


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


def test_without_an_address_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    assert main([]) == EXIT_USAGE
    assert ADDRESS_VARIABLE in capsys.readouterr().err
