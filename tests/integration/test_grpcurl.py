"""The grpcurl commands of the documentation, with a token and no other header."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import recorded
from tests.integration.mesh import ROOT, SYMBOL, VENUE, Mesh, new_folder, running
from tests.integration.simulation import SIMULATE, TRADES_MIN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_200)]

GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"
PAGES = (ROOT / "README.md", *sorted((ROOT / "ops" / "runbooks").glob("*.md")))
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOOP = re.compile(r"^for .*?^done$", re.MULTILINE | re.DOTALL)
CONTINUED = re.compile(r"(?:\\|(?P<pipe>\|))\n")
ENDLESS = re.compile(r"timeout \d+ (?P<command>.*)", re.DOTALL)
FIRST_MESSAGE = "awk '{print} /^}/ {exit}'"
ENDING = ("/Drain", "/DeactivateVenue")
"""Methods that end a process: their commands are run last."""
PORTS = {"127.0.0.1:8081": "gateway", "127.0.0.1:8114": "history"}
INSTALL_SECONDS_MAX = 900
COMMAND_SECONDS_MAX = 120
STREAM_SECONDS = 15
BROKEN_PIPE = 128 + 13
TIMED_OUT = 124
"""A stream without a second message does not notice that nobody reads it."""
WRAPPER = """#!/bin/sh
timeout ${{SECONDS_MAX}} {program} -H "authorization: Bearer $TOKEN" "$@"
echo "$?" >> "$EXIT_CODES"
"""


def commands() -> Iterator[str]:
    """Every command of the pages that uses grpcurl."""
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            loops = LOOP.findall(block)
            yield from (loop for loop in loops if "grpcurl" in loop)
            lines = CONTINUED.sub(r"\g<pipe> ", LOOP.sub("", block)).splitlines()
            yield from (line for line in lines if "grpcurl" in line)


COMMANDS = sorted(commands(), key=lambda command: any(name in command for name in ENDING))


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """A mesh whose processes the commands may end."""
    with new_folder() as data, running(data, *SIMULATE) as mesh:
        mesh.wait_until_running()
        mesh.wait_until(lambda: recorded.trades_after(mesh, 0) >= TRADES_MIN, "trades are recorded")
        yield mesh


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a grpcurl that shows the token."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    folder = tmp_path_factory.mktemp("grpcurl")
    installed = subprocess.run(
        ["go", "install", GRPCURL],
        cwd=folder,
        env=os.environ | {"GOBIN": str(folder / "real")},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS_MAX,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip(f"grpcurl cannot be downloaded: {installed.stderr[-500:]}")
    wrapper = folder / "grpcurl"
    wrapper.write_text(WRAPPER.format(program=folder / "real" / "grpcurl"))
    wrapper.chmod(0o755)
    return folder


def test_the_pages_have_commands_without_headers():
    assert len(COMMANDS) > 40
    assert not [command for command in COMMANDS if " -H " in command]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_documentation_works(
    command: str, mesh: Mesh, programs: Path, tmp_path: Path
):
    exit_codes = tmp_path / "exit_codes"
    endless = ENDLESS.fullmatch(command)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TOKEN": mesh.token,
        "EXIT_CODES": str(exit_codes),
        "SECONDS_MAX": str(STREAM_SECONDS if endless else COMMAND_SECONDS_MAX),
        "MESH": mesh.gateway,
        "VENUE": VENUE,
        "SYMBOL": SYMBOL,
    }
    for written, port in PORTS.items():
        command = command.replace(written, f"127.0.0.1:{mesh.port(port)}")
    if endless:
        command = f"{endless['command']} | {FIRST_MESSAGE}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    codes = {int(line) for line in exit_codes.read_text().splitlines()}
    assert codes <= {0, BROKEN_PIPE} | ({TIMED_OUT} if endless else set()), done.stderr
    assert done.stdout or "grep" in command
