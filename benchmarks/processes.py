"""What the processes of a mesh use."""

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
    """Of a process and those below it, also of those that have ended."""
    used = 0.0
    for member in _family(pid):
        with suppress(OSError):
            used += _cpu(member)
    return used


def family_megabytes(pid: int) -> float:
    """Memory of a process and those below it, MiB; what they share with others in proportion."""
    return sum(map(_proportional_kib, _family(pid))) / KIBIBYTES_PER_MEBIBYTE


def resident_mb(mesh: Mesh) -> float:
    """Memory of all together, MiB; what processes share is counted once."""
    pids = [pid for root in _pids(mesh).values() for pid in _family(root)]
    return sum(map(_proportional_kib, [mesh.process.pid, *pids])) / KIBIBYTES_PER_MEBIBYTE


def measured_port() -> int:
    """A free port, with room for that of its metrics above it."""
    return next(port for port in iter(free_port, None) if port < PORT_MAX)


@asynccontextmanager
async def spawned(words: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """A module of the project in a process of its own, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words), env=environment, stdout=DEVNULL, stderr=DEVNULL, cwd=ROOT
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
    """Own time, and that of ended children, each in user and in system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def _proportional_kib(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
