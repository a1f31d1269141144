"""The registry process as a supervisor sees it: how it ends, and what it says."""

import signal
import socket

import pytest

from gateway.tests.conftest import LOOPBACK, Door

END_SECONDS_MAX = 60


@pytest.fixture
def fresh_door(tmp_path):
    """A door that nobody has opened yet."""
    opened = Door(tmp_path)
    yield opened
    opened.close()


def test_it_ends_cleanly_when_told_to(fresh_door):
    fresh_door.start_registry()
    assert fresh_door.end_registry(signal.SIGTERM, END_SECONDS_MAX) == 0
    assert "Traceback" not in fresh_door.log("registry")


@pytest.mark.parametrize("port", ["port", "web_port"])
def test_a_port_in_use_is_one_line(fresh_door, port):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, fresh_door.ports[port]))
        taken.listen()
        assert fresh_door.run_registry(END_SECONDS_MAX) == 2
    log = fresh_door.log("registry")
    said = [line for line in log.splitlines() if line.startswith("venuemesh:")]
    assert len(said) == 1
    assert f"{fresh_door.ports[port]}" in said[0]
    assert "is in use" in said[0]
    assert "Traceback" not in log
