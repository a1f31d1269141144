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


def test_every_venue_has_a_container(ports: dict[str, int]) -> None:
    assert dict(containers((ROOT / "docker-compose.yml").read_text())) == ports


def test_every_venue_has_a_row_in_the_readme(ports: dict[str, int]) -> None:
    rows = ROW.findall((ROOT / "README.md").read_text())
    assert {venue_id: int(port) for venue_id, _, port in rows} == ports
    assert all((ROOT / path).is_file() for _, path, _ in rows)


def test_no_two_venues_share_a_port(ports: dict[str, int]) -> None:
    assert len(set(ports.values())) == len(ports)
