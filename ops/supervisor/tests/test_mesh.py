"""The processes of a mesh and their settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from kit.base.settings import MeshSettings
from ops import ports
from ops.errors import OperationsError
from ops.supervisor.mesh import Mesh
from ops.supervisor.options import MeshOptions, check

OPTIONS = MeshOptions(
    world="replay",
    venues=("binance",),
    data=Path("/data"),
    replays=(("binance", Path("/a/frames.jsonl")), ("binance", Path("/b/frames.jsonl"))),
    speed="max",
    seed=7,
)
PORTS = ports.assign({"binance": 5060}, base_port=9400)


def names(mesh: Mesh) -> list[str]:
    return sorted(service.name for service in mesh.services())


def test_a_replayed_mesh_is_whole():
    mesh = Mesh(OPTIONS, PORTS, MeshSettings())
    assert names(mesh) == [
        *("advisor", "audit", "bars", "binance", "bridge", "detector"),
        *("envoy", "history", "ingest", "inspector"),
        *("ledger", "mcp", "notifier", "postgres", "push", "recorder", "registry", "repair"),
        *("simulator", "valkey"),
    ]
    variables = mesh.environment()
    assert (
        variables["VENUEMESH_SIMULATOR_REPLAY"] == "binance=/a/frames.jsonl,binance=/b/frames.jsonl"
    )
    assert (variables["VENUEMESH_SIMULATOR_SPEED"], variables["VENUEMESH_SIMULATOR_SEED"]) == (
        "max",
        "7",
    )
    assert variables["VENUEMESH_SIMULATOR_URL"] == f"http://127.0.0.1:{PORTS['simulator']}"
    assert variables["VENUEMESH_VENUES_BINANCE_PORT"] == str(PORTS["binance"])
    assert variables["VENUEMESH_REGISTRY"] == "127.0.0.1:9401"


def test_the_real_exchanges_need_no_simulator():
    live = replace(OPTIONS, world="live", replays=(), speed=None, seed=None)
    mesh = Mesh(live, PORTS, MeshSettings())
    assert "simulator" not in names(mesh)
    assert "simulator" not in mesh.own_ports()
    assert not [name for name in mesh.environment() if "SIMULATOR" in name]


@pytest.mark.parametrize(
    ("settings", "absent", "variable", "value"),
    [
        (
            MeshSettings(redis_url="redis://elsewhere/0"),
            "valkey",
            "VENUEMESH_REDIS_URL",
            "redis://elsewhere/0",
        ),
        (
            MeshSettings(database_url="postgresql://elsewhere/x"),
            "postgres",
            "VENUEMESH_DATABASE_URL",
            "postgresql://elsewhere/x",
        ),
    ],
)
def test_a_store_that_was_named_is_not_started(
    settings: MeshSettings, absent: str, variable: str, value: str
):
    mesh = Mesh(OPTIONS, PORTS, settings)
    assert absent not in names(mesh)
    assert absent not in mesh.own_ports()
    assert mesh.stores.environment("recorder")[variable] == value


def test_services_can_be_left_out():
    mesh = Mesh(replace(OPTIONS, without=("ledger", "advisor")), PORTS, MeshSettings())
    whole = Mesh(OPTIONS, PORTS, MeshSettings())
    assert set(names(whole)) - set(names(mesh)) == {"ledger", "advisor"}
    assert set(whole.own_ports()) - set(mesh.own_ports()) == {"ledger", "advisor"}


@pytest.mark.parametrize("name", ["ledgr", "registry", "binance"])
def test_only_services_that_nothing_else_needs_can_be_left_out(name: str):
    options = replace(OPTIONS, world="live", replays=(), speed=None, seed=None, without=(name,))
    with pytest.raises(OperationsError, match=rf"--without {name}: allowed are recorder, .*inspec"):
        check(options, ["binance"])


def test_a_venue_may_have_two_processes():
    options = replace(OPTIONS, world="simulate", replays=(), replicas=("binance",))
    venue_ports = {"binance": 5060}
    assigned = ports.assign(venue_ports | ports.of_replicas(options.replicas, venue_ports))
    mesh = Mesh(options, assigned, MeshSettings())
    assert mesh.known_venues == {"binance"}
    assert mesh.processes_of("binance") == ["binance", "binance-b"]
    found = {service.name: service.command for service in mesh.services()}
    one, other = found["binance"], found["binance-b"]
    assert one.arguments == other.arguments
    assert "VENUEMESH_VENUES_BINANCE_INSTANCE" not in one.environment
    assert other.environment["VENUEMESH_VENUES_BINANCE_INSTANCE"] == "b"
    assert one.environment["VENUEMESH_VENUES_BINANCE_PORT"] == "5060"
    assert other.environment["VENUEMESH_VENUES_BINANCE_PORT"] == "5560"
