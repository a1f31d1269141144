"""The memory use of processes, from /proc."""

from collections.abc import Iterable
from pathlib import Path


def proportional_bytes(pids: Iterable[int]) -> dict[int, int]:
    """Memory of each process together with its children; memory shared with others counts in part.

    A process that has ended, or systems without /proc, give 0.
    """
    children = _children()
    return {pid: sum(map(_proportional_bytes, _family(pid, children))) for pid in pids}


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold spaces, so that what follows it is counted.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _family(pid: int, children: dict[int, list[int]]) -> Iterable[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _family(child, children)


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
