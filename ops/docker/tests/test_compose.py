"""The compose file: valid, and every service has what all must have."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema.validators import validator_for
from ruamel.yaml import YAML

from kit.base.store_urls import password_of
from ops.docker.tests import compose
from ops.process_files import kinds
from ops.project import ROOT
from ops.supervisor.mesh import paper_environment

SERVICES = compose.services()
OURS = {name: service for name, service in SERVICES.items() if compose.image(service)}
VENUES = {name: found for name, found in OURS.items() if found.get("command", [""])[0] == "venue"}
ONE_SHOT = {"migrate"}
LIVE = ROOT / "ops" / "docker" / "live.yml"
SETTING = re.compile(r"`(VENUEMESH_[A-Z_<>]+)`")
SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "API_KEY")


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_closed_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert {"cpus", "memory", "pids"} == service["deploy"]["resources"]["limits"].keys()
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert ("networks" in service) != (service.get("network_mode") == "none")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT - {"targets"}))
def test_every_container_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert check.keys() >= {"interval", "timeout", "retries", "start_period", "start_interval"}


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_somebody_waits_for_a_service_that_ends(name: str) -> None:
    # Otherwise `up --wait` takes its end for a failure.
    waits = [other.get("depends_on", {}).get(name) for other in SERVICES.values()]
    assert {"condition": "service_completed_successfully"} in waits


@pytest.mark.parametrize("name", sorted(OURS.keys() - ONE_SHOT - {"tokens"}))
def test_a_process_waits_for_what_it_uses(name: str) -> None:
    service = SERVICES[name]
    networks, waits = service["networks"], service["depends_on"]
    assert ("redis" in networks) == ("redis" in waits)
    assert ("database" in networks) == ("migrate" in waits)
    assert {"registry", "tokens"} & waits.keys()


@pytest.mark.parametrize("name", sorted(OURS.keys() - ONE_SHOT - {"tokens"}))
def test_a_process_is_shown_its_own_token_only(name: str) -> None:
    shown = [
        volume["volume"]["subpath"]
        for volume in SERVICES[name]["volumes"]
        if isinstance(volume, dict) and volume["source"] == "tokens" and volume["read_only"]
    ]
    command = SERVICES[name].get("command", [name])
    own = command[1] if command[0] == "venue" and not name.endswith("-b") else name
    assert shown == [own]
    assert own in kinds()


def test_each_network_has_those_that_need_it() -> None:
    members = {
        network: {
            name for name, service in SERVICES.items() if network in service.get("networks", ())
        }
        for network in compose.load()["networks"]
    }
    assert members["front"] == {"envoy"}
    consumers = {"recorder", "bars", "repair", "ledger", "audit", "detector", "advisor"}
    consumers |= {"inspector", "notifier"}
    assert members["redis"] == consumers | {"redis", "ingest", "bridge"}
    assert members["database"] == consumers | {"timescaledb", "migrate", "history"}
    assert members["exchanges"] == VENUES.keys()
    assert members["channels"] == {"notifier"}
    processes = OURS.keys() - ONE_SHOT - {"tokens"}
    assert members["mesh"] == processes | {"envoy", "prometheus"}
    inner = {name for name, found in compose.load()["networks"].items() if found}
    assert inner == {"mesh", "redis", "database"}


def test_each_volume_has_one_owner() -> None:
    owners: dict[str, list[str]] = {name: [] for name in compose.load()["volumes"]}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            if isinstance(volume, dict):
                assert volume["read_only"]
                continue
            source, *rest = volume.split(":")
            if not source.startswith("."):
                owners[source] += [name] if rest[-1] != "ro" else []
    # Both work with the private keys.
    assert owners.pop("authority") == ["tokens", "registry"]
    assert {name: found for name, found in owners.items() if len(found) != 1} == {}


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_the_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if any(word in variable for word in SECRET_WORDS):
            folder, _, file = value.rpartition("/")
            assert variable.endswith("_FILE")
            assert folder in ("/run/secrets", "/run/venuemesh")
            assert folder == "/run/venuemesh" or file in SERVICES[name]["secrets"]
        elif "://" in value:
            assert not password_of(value)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    known = set(SETTING.findall((ROOT / "docs" / "SETTINGS.md").read_text()))
    for variable in SERVICES[name].get("environment", {}):
        general = re.sub(r"(?<=_VENUES_)[A-Z]+(?=_INSTANCE)", "<ID>", variable)
        assert general in known, variable


def test_venues_differ_by_their_name_only() -> None:
    def without_its_name(name: str) -> str:
        text = json.dumps(VENUES[name], sort_keys=True)
        venue_id = VENUES[name]["command"][1]
        text = re.sub(r":50\d\d", ":PORT", text)
        return re.sub(rf'"({name}|{venue_id})\b(?!/)', '"NAME', text)

    assert len({without_its_name(name) for name in VENUES if name != "binance-b"}) == 1


def test_the_example_strategy_has_its_account() -> None:
    variable, account = next(iter(paper_environment(["binance"]).items()))
    assert SERVICES["detector"]["environment"]["VENUEMESH_WORLD"] == "simulate"
    assert {found["environment"].get(variable) for found in VENUES.values()} == {account}


@pytest.mark.parametrize("file", [compose.FILE, LIVE], ids=lambda file: file.name)
def test_it_is_valid_by_the_compose_specification(file: Path) -> None:
    schema = json.loads(
        files("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json").read_text()
    )
    validator = validator_for(schema)(schema)
    document = YAML(typ="safe").load(file.read_text())
    assert [error.message for error in validator.iter_errors(document)] == []


def test_the_example_for_live_trading_names_services_and_secrets_that_are_there() -> None:
    live = YAML(typ="safe").load(LIVE.read_text())
    assert live["services"].keys() <= VENUES.keys()
    for service in live["services"].values():
        assert set(service["secrets"]) == live["secrets"].keys()
        named = {value.rpartition("/")[2] for value in service["environment"].values()}
        assert live["secrets"].keys() <= named


def test_images_of_others_have_an_exact_version() -> None:
    images = [service["image"] for service in SERVICES.values() if not compose.image(service)]
    images += re.findall(r"^ARG \w+_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 7
    assert [found for found in images if not re.search(r":v?\d+\.\d+", found)] == []
