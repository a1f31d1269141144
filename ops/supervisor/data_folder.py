"""The data folder: one mesh at a time."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.errors import OperationsError

LOCK_FILE = "lock"
LOG_FOLDER = "logs"
OTHERS = 0o077
"""Rights of everyone but the owner."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, close it to others, and hold it alone.

    The lock ends with the process that has it, however that ends. Raises OperationsError when
    another mesh has it, or when nothing can be written there.
    """
    try:
        (folder / LOG_FOLDER).mkdir(parents=True, exist_ok=True)
        _close(folder)
        file = (folder / LOCK_FILE).open("a")
    except OSError as error:
        raise OperationsError(
            f"{folder} cannot be written to ({error.strerror}): name another with --data"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperationsError(
                f"a mesh runs on {folder} already: stop it, or name another folder with --data"
            ) from None
        yield


def in_use(folder: Path) -> bool:
    """Whether a mesh runs on the folder now."""
    try:
        with (folder / LOCK_FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _close(folder: Path) -> None:
    """Close it, and the folders in it of an earlier version, to all but their owner."""
    for own in (folder, *filter(Path.is_dir, folder.iterdir())):
        found = own.stat()
        if found.st_uid == os.geteuid() and found.st_mode & OTHERS:
            own.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
