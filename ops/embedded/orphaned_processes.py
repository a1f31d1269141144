"""Processes that a killed server may leave running."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

END_SECONDS_MAX = 5.0
LOOK_AGAIN_SECONDS = 0.01


def kill_working_in(folder: Path, program: str) -> None:
    """Kill the processes of this program whose working directory is the folder, and wait for them.

    Raises RuntimeError when one does not end. Nothing on systems without /proc.
    """
    if sys.platform != "linux":
        return
    deadline = time.monotonic() + END_SECONDS_MAX
    while left := list(_working_in(folder.resolve(), program)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{program} processes {left} still use {folder}: end them first")
        for pid in left:
            _kill(pid)
        time.sleep(LOOK_AGAIN_SECONDS)


def _working_in(folder: Path, program: str) -> Iterator[int]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            name = (process / "comm").read_text().strip()
            if name == program and (process / "cwd").readlink() == folder:
                yield int(process.name)
        except OSError:
            # It ended meanwhile, or belongs to another user.
            continue


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
