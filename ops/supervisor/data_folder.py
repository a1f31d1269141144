"""The data folder: one mesh at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.errors import OperationsError

LOCK_FILE = "lock"
LOG_FOLDER = "logs"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder and hold it alone.

    The lock ends with the process that has it, however that ends. Raises OperationsError when
    another mesh has it, or when nothing can be written there.
    """
    try:
        (folder / LOG_FOLDER).mkdir(parents=True, exist_ok=True)
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
