"""The services with a head start, and its length."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from kit.base.settings import MeshSettings
from ops import ports
from ops.embedded.server_command import LOOPBACK
from ops.supervisor import startup_priority
from ops.supervisor.mesh import Mesh
from ops.supervisor.options import MeshOptions
from ops.supervisor.startup_priority import StartupPriority

OPTIONS = MeshOptions(world="simulate", venues=("one", "other"), data=Path("/data"))


@pytest.fixture
def first():
    """A socket that has a port, and does not listen yet."""
    with socket.socket() as opened:
        opened.bind((LOOPBACK, 0))
        yield opened


def test_it_is_over_when_the_first_listens(first: socket.socket):
    started = StartupPriority(first.getsockname()[1])
    assert not started.is_over()
    first.listen()
    assert started.is_over()


def test_a_head_start_ends_after_its_time_limit(
    first: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(startup_priority, "SECONDS_MAX", 0.0)
    assert StartupPriority(first.getsockname()[1]).is_over()


@pytest.mark.parametrize(("world", "leader"), [("simulate", "simulator"), ("live", "one")])
def test_all_but_the_first_venue_wait(first: socket.socket, world: str, leader: str):
    assigned = {**ports.DEFAULTS, "one": 1, "other": 2, leader: first.getsockname()[1]}
    mesh = Mesh(replace(OPTIONS, world=world), assigned, MeshSettings())
    found = {service.name: service for service in mesh.services()}
    assert found["one"].may_start()
    assert not found["other"].may_start()
    first.listen()
    assert found["other"].may_start()
