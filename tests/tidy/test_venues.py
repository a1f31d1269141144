"""Every venue folder has its container and its row in the README, on the port of its catalog."""

import re
from collections.abc import Iterator

import pytest

from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from tests.tidy.project import ROOT

BLOCK = re.compile(r"^  ([\w-]+):\n((?:    .*\n)+)", re.MULTILINE)
COMMAND = re.compile(r"command: \[venue, (\w+)\]")
SETTING = re.compile(r"VENUEMESH_(\w+): (\S+)$", re.MULTILINE)
HOST_NAME = re.compile(r"[a-z0-9-]+")
ROW = re.compile(r"^\| \[`(\w+)`\]\((\S+)\) \|.*\| (\d+) \|$", re.MULTILINE)


def test_a_missing_block_is_named() -> None:
    with pytest.raises(AssertionError, match=r"compose.yml has nothing for \['bitstamp'\]: add"):
        check_ports({}, {"bitstamp": 5066}, "docker-compose.yml")


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """The ports of the venues in this repository, by venue id."""
    return {
        venue_id: make(Environment("live", "")).port
        for venue_id, make in discovery.venues().items()
        if make.__module__.startswith("venues.")
    }


def containers(compose: str) -> Iterator[tuple[str, int]]:
    """Venue id and port of each venue service."""
    for name, block in BLOCK.findall(compose):
        command = COMMAND.search(block)
        if command is None:
            continue
        settings = dict(SETTING.findall(block))
        assert HOST_NAME.fullmatch(name), f"{name} is no host name"
        assert settings["ADVERTISE_HOST"] == name
        host, _, port = settings["HEALTH_ADDRESS"].rpartition(":")
        assert host == name
        yield command[1], int(port)


def check_ports(found: dict[str, int], ports: dict[str, int], place: str) -> None:
    """Each venue is at a place, with the port of its catalog, and no other is."""
    missing, unknown = sorted(ports.keys() - found.keys()), sorted(found.keys() - ports.keys())
    assert not missing, f"{place} has nothing for {missing}: add what new-venue has printed"
    assert not unknown, f"{place} has {unknown}, but venues/ has no such venue"
    assert found == ports, f"{place}: the ports are not the ports of the catalogs"


def test_every_venue_has_a_container(ports: dict[str, int]) -> None:
    found = dict(containers((ROOT / "docker-compose.yml").read_text()))
    check_ports(found, ports, "docker-compose.yml")


def test_every_venue_has_a_row_in_the_readme(ports: dict[str, int]) -> None:
    rows = ROW.findall((ROOT / "README.md").read_text())
    check_ports({venue_id: int(port) for venue_id, _, port in rows}, ports, "README.md")
    assert all((ROOT / path).is_file() for _, path, _ in rows)


def test_no_two_venues_share_a_port(ports: dict[str, int]) -> None:
    assert len(set(ports.values())) == len(ports)
