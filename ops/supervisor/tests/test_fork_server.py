"""Processes that are forked instead of started."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from kit.base.version import VERSION
from ops.embedded.server_command import ServerCommand
from ops.supervisor.fork_request import CLI
from ops.supervisor.forked_process import ForkedProcess, ForkServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
LEDGER = ServerCommand(
    (*CLI, "run", "ledger"),
    environment={"VENUEMESH_MARK": "mark"},
    secrets={"VENUEMESH_SECRET_FILE": lambda: "a secret", "VENUEMESH_NO_FILE": lambda: ""},
)


@pytest.fixture
async def fork_server(tmp_path):
    server = ForkServer()
    with (tmp_path / "log").open("wb") as log:
        await server.start({}, log)
    yield server
    server.close()


def links_of(folder: Path) -> list[str]:
    """What the descriptors of a process lead to. It may open and close some meanwhile."""
    found = []
    for one in folder.iterdir():
        with suppress(FileNotFoundError):
            found.append(str(one.readlink()))
    return found


async def test_forked_process_is_a_child_with_a_name_and_its_pipes(fork_server, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        process = await fork_server.spawn(LEDGER, output)
    assert isinstance(process, ForkedProcess)
    proc = Path(f"/proc/{process.pid}")
    assert (proc / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    assert (proc / "cmdline").read_bytes().startswith(b"venuemesh run ledger")
    assert b"OPENBLAS_NUM_THREADS=1" in (proc / "environ").read_bytes().split(b"\0")
    assert os.getsid(process.pid) == process.pid
    links = links_of(proc / "fd")
    assert links.count(str(tmp_path / "output")) == 2
    assert sum(link.startswith("pipe:") for link in links) >= 1
    assert process.returncode is None
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == process.returncode == -signal.SIGKILL
    process.send_signal(signal.SIGKILL)


async def test_output_and_exit_codes_arrive(fork_server, tmp_path):
    said = []
    for name in ("--version", "nonsense"):
        path = tmp_path / name
        with path.open("wb") as output:
            process = await fork_server.spawn(ServerCommand((*CLI, name)), output)
        assert isinstance(process, ForkedProcess)
        said.append((await process.wait(), path.read_text()))
    (code, version), (wrong_code, text) = said
    assert (code, version) == (0, f"venuemesh {VERSION}\n")
    assert wrong_code == 2
    assert "no command 'nonsense'" in text


async def test_many_at_once_are_different_processes(fork_server, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        command = ServerCommand((*CLI, "--version"))
        found = await asyncio.gather(*(fork_server.spawn(command, output) for _ in range(8)))
        assert [await process.wait() for process in found] == [0] * 8
    assert len({process.pid for process in found}) == 8
    assert (tmp_path / "output").read_text().count(VERSION) == 8


async def test_without_a_fork_server_processes_are_started(fork_server, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        program = await fork_server.spawn(ServerCommand(("/bin/echo", "one")), output)
        assert await program.wait() == 0
        fork_server.process.kill()
        await fork_server.process.wait()
        started = await fork_server.spawn(ServerCommand((*CLI, "--version")), output)
        assert await started.wait() == 0
    assert not isinstance(program, ForkedProcess)
    assert not isinstance(started, ForkedProcess)
    assert (tmp_path / "output").read_text() == f"one\nvenuemesh {VERSION}\n"
