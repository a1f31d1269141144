"""Resource usage of the processes of a mesh."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL

from benchmarks.options import ROOT
from conftest import free_port
from tests.integration.mesh import Mesh

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
KIBIBYTES_PER_MEBIBYTE = 1024
PORT_MAX = 50_000


def cpu_seconds(mesh: Mesh) -> dict[str, float]:
    """Processor time since the start, by service; servers with their own children."""
    return {name: sum(map(_cpu, _family(pid))) for name, pid in _pids(mesh).items()}


def family_cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants, including ended ones."""
    used = 0.0
    for member in _family(pid):
        with suppress(OSError):
            used += _cpu(member)
    return used


def family_megabytes(pid: int) -> float:
    """Proportional memory (PSS) of a process and its descendants, MiB."""
    return sum(map(_proportional_kib, _family(pid))) / KIBIBYTES_PER_MEBIBYTE


def resident_mb(mesh: Mesh) -> float:
    """Memory of all together, MiB; what processes share is counted once."""
    pids = [pid for root in _pids(mesh).values() for pid in _family(root)]
    return sum(map(_proportional_kib, [mesh.process.pid, *pids])) / KIBIBYTES_PER_MEBIBYTE


def measured_port() -> int:
    """A free port whose metrics port is valid."""
    return next(port for port in iter(free_port, None) if port < PORT_MAX)


@asynccontextmanager
async def spawned(words: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """Run a module of the project in a separate process, killed at the end. It asks for no tokens
    unless the environment says otherwise."""
    variables = {"VENUEMESH_ACCESS_REQUIRED": "false", **environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words), env=variables, stdout=DEVNULL, stderr=DEVNULL, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _pids(mesh: Mesh) -> dict[str, int]:
    return {name: child["pid"] for name, child in mesh.children().items() if child["pid"]}


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def _cpu(pid: int) -> float:
    """User and system time of the process and its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def _proportional_kib(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
