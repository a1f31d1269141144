"""What the compose file says of Envoy, with the real Envoy and the registry process."""

import signal
import subprocess
from collections.abc import Iterator

import aiohttp
import pytest

from gateway.tests.conftest import START_SECONDS_MAX, Door
from ops.docker.tests import compose

SERVICES = compose.services()
PUBLIC_PORT = "/8081"
OK, FORBIDDEN = 200, 403


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway with the hosts of the compose file."""
    opened = Door(tmp_path_factory.mktemp("composed"))
    hosts = SERVICES["registry"]["environment"]["VENUEMESH_GATEWAY_HOSTS"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENUEMESH_GATEWAY_HOSTS", hosts)
        try:
            opened.start_registry()
            opened.start_envoy()
            yield opened
        finally:
            opened.close()


def exit_code_of_check(door: Door) -> int:
    """The health check of the container, on the port of this gateway."""
    kind, *words = compose.words(SERVICES["envoy"]["healthcheck"]["test"])
    assert kind == "CMD"
    port = f"/{door.ports['public_port']}"
    command = [word.replace(PUBLIC_PORT, port) for word in words]
    assert command != words
    done = subprocess.run(command, capture_output=True, timeout=START_SECONDS_MAX, check=False)
    return done.returncode


@pytest.mark.parametrize(
    ("host", "status"), [("envoy:8081", OK), ("localhost:8081", OK), ("other:8081", FORBIDDEN)]
)
async def test_containers_may_call_by_the_name_of_the_service(
    composed: Door, host: str, status: int
) -> None:
    async with (
        aiohttp.ClientSession(composed.url) as client,
        client.get("/healthz", headers={"Host": host}) as answer,
    ):
        assert answer.status == status


def test_the_health_check_follows_the_gateway(composed: Door) -> None:
    assert exit_code_of_check(composed) == 0
    composed.end_registry(signal.SIGKILL, START_SECONDS_MAX)
    assert exit_code_of_check(composed) != 0
    composed.start_registry()
    assert exit_code_of_check(composed) == 0
    composed.kill_envoy()
    assert exit_code_of_check(composed) != 0
