"""The values of the chart have the processes, ports, stores and limits of the compose file."""

import json
import re

import pytest
from jsonschema.validators import validator_for

from kit.base.version import VERSION
from ops.docker.tests import compose
from ops.kubernetes.tests import chart
from ops.process_files import kinds
from ops.project import ROOT
from ops.service_modules import services

VALUES = chart.values()
PROCESSES = chart.processes()
COMPOSE = compose.services()
ELSEWHERE = {"migrate", "registry", "tokens", "simulator", "targets", "binance-b"}
"""Containers that are no entry of the lists: they have templates of their own; a second process of
a venue is its second replica, and targets are found by the ServiceMonitor."""
GENERATED = {
    *("VENUEMESH_ADVERTISE_HOST", "VENUEMESH_HEALTH_ADDRESS", "VENUEMESH_REGISTRY"),
    *("VENUEMESH_SIMULATOR_URL", "VENUEMESH_TELEMETRY_METRICS_HOST", "VENUEMESH_MCP_GATEWAY"),
    *("VENUEMESH_ACCESS_TOKEN_FILE", "VENUEMESH_ACCESS_TRUST_FILE"),
    *("VENUEMESH_TLS_CERTIFICATE_FILE", "VENUEMESH_TLS_AUTHORITY_FILE"),
    *("VENUEMESH_REDIS_URL", "VENUEMESH_REDIS_PASSWORD_FILE"),
    *("VENUEMESH_DATABASE_URL", "VENUEMESH_DATABASE_PASSWORD_FILE"),
}
"""Variables that the templates make; test_render.py compares them."""
SETTING = re.compile(r"`(VENUEMESH_[A-Z_]+)`")


def validator() -> chart.Json:
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def container_of(service_id: str) -> chart.Json:
    return COMPOSE[service_id.replace("_", "-")]


def test_every_process_of_compose_is_in_the_values() -> None:
    ours = {name for name, found in COMPOSE.items() if compose.image(found)}
    assert {name.replace("_", "-") for name in PROCESSES} == ours - ELSEWHERE
    assert PROCESSES.keys() <= kinds().keys()
    assert VALUES["services"].keys() <= set(services())


@pytest.mark.parametrize("service_id", PROCESSES)
def test_a_process_is_that_of_compose(service_id: str) -> None:
    own, container = PROCESSES[service_id], container_of(service_id)
    environment = container["environment"]
    assert environment["VENUEMESH_HEALTH_ADDRESS"].endswith(f":{own['port']}")
    is_venue = service_id in VALUES["venues"]
    assert container["command"] == ["venue" if is_venue else "run", service_id]
    assert own.get("image", "venue") == compose.image(container)
    networks = ["exchanges"] if is_venue else own["networks"]
    assert {"mesh", *networks} == set(container["networks"])
    has_volume = any(str(volume).endswith(":/data") for volume in container["volumes"])
    assert bool(own["storage"]) == has_volume
    shared = VALUES["settings"] | own["environment"]
    assert {name: environment[name] for name in environment.keys() - GENERATED} == shared


@pytest.mark.parametrize("service_id", PROCESSES)
def test_a_process_has_the_limits_of_compose(service_id: str) -> None:
    # How many processes a container may have is a setting of the machine there.
    limits = container_of(service_id)["deploy"]["resources"]["limits"]
    ours = VALUES["resources"][PROCESSES[service_id]["resources"]]["limits"]
    assert ours == {"cpu": limits["cpus"], "memory": f"{limits['memory']}i"}


@pytest.mark.parametrize(
    ("part", "key", "container"),
    [
        ("gateway", "envoyImage", "envoy"),
        ("redis", "image", "redis"),
        ("database", "image", "timescaledb"),
    ],
)
def test_images_of_others_are_those_of_compose(part: str, key: str, container: str) -> None:
    assert VALUES[part][key] == COMPOSE[container]["image"]


def test_every_setting_is_one() -> None:
    known = set(SETTING.findall((ROOT / "docs" / "SETTINGS.md").read_text()))
    named = {name for own in PROCESSES.values() for name in own["environment"]}
    assert named | VALUES["settings"].keys() | GENERATED - {"VENUEMESH_HEALTH_ADDRESS"} <= known


def test_the_chart_has_the_version_of_the_product() -> None:
    assert chart.read(chart.CHART / "Chart.yaml")["version"] == VERSION


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("replicaz", {}),
        ("gateway", {"ports": 8081}),
        ("venues", {"binance": {"port": 5060, "replica": 2}}),
        ("venues", {"binance": {"port": 5060, "replicas": 3}}),
        ("services", {"recoder": {"port": 8111}}),
        ("settings", {"VENUMESH_WORLD": "live"}),
        ("redis", {"enabled": False, "host": ""}),
    ],
)
def test_a_misspelt_or_impossible_value_is_refused(part: str, wrong: chart.Json) -> None:
    own = VALUES.get(part, {})
    assert [*validator().iter_errors(VALUES)] == []
    assert [*validator().iter_errors(VALUES | {part: own | wrong})] != []
