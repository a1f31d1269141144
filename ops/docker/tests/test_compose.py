"""Every venue has its container, under the port of its catalog."""

import re
from pathlib import Path

from ops.venues import known_ports

COMPOSE = (Path(__file__).resolve().parents[3] / "docker-compose.yml").read_text()
BLOCK = re.compile(r"^  ([\w-]+):\n((?:    .*\n)+)", re.MULTILINE)
COMMAND = re.compile(r"command: \[venue, (\w+)\]")
TOLD = re.compile(r"VENUEMESH_(\w+): (\S+)$", re.MULTILINE)
HOST = re.compile(r"[a-z0-9-]+")


def test_every_venue_has_its_container():
    found = {}
    for name, block in BLOCK.findall(COMPOSE):
        command = COMMAND.search(block)
        if command is not None:
            told = dict(TOLD.findall(block))
            # Names of hosts may not have underscores.
            assert HOST.fullmatch(name)
            assert told["ADVERTISE_HOST"] == name
            host, _, port = told["HEALTH_ADDRESS"].rpartition(":")
            assert host == name
            found[command[1]] = int(port)
    assert found == known_ports()
