"""The file in the data folder that lists what the supervisor has started."""

from pathlib import Path

import msgspec

from ops.supervisor.child import ChildProcess

STATE_FILE = "state.json"


class ChildState(msgspec.Struct, frozen=True, kw_only=True):
    """One process."""

    service: str
    state: str
    detail: str
    since: float
    """s since the Unix epoch."""
    restarts: int
    pid: int | None


class MeshState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole mesh."""

    supervisor_pid: int
    started: float
    """s since the Unix epoch."""
    world: str
    mesh_id: str = "local"
    gateway: str
    """URL."""
    registry: str
    """host:port."""
    tls: bool = False
    """Whether its processes are called by TLS."""
    ports: dict[str, int]
    children: list[ChildState]


def describe(child: ChildProcess) -> ChildState:
    """Return the current state of a process."""
    return ChildState(
        service=child.service.name,
        state=child.state,
        detail=child.detail,
        since=child.since,
        restarts=child.restarts,
        pid=child.pid,
    )


def write(folder: Path, state: MeshState) -> None:
    fresh = folder / f"{STATE_FILE}.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    fresh.replace(folder / STATE_FILE)


def read(folder: Path) -> MeshState | None:
    """Return what was written last, or None if it cannot be read."""
    try:
        return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=MeshState)
    except (OSError, msgspec.MsgspecError):
        return None


def remove(folder: Path) -> None:
    """Remove the file: nothing runs."""
    (folder / STATE_FILE).unlink(missing_ok=True)
