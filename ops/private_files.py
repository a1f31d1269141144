"""Files with secrets, which only their owner may read."""

from pathlib import Path

from kit.base import secret_files
from ops.errors import OperationsError

OTHERS = 0o077


def require_private(file: Path) -> None:
    """Raise OperationsError for a file that others can read or write, and OSError for none."""
    mode = file.stat().st_mode
    if mode & OTHERS:
        text = f"{file} can be read or written by others (mode {mode & 0o777:o})"
        raise OperationsError(f"{text}: chmod 600 {file}", reason="FILE_NOT_PRIVATE")


def read_secret(file: Path) -> str:
    """The text of a private file, without white space around it. Raises OperationsError."""
    try:
        require_private(file)
        return secret_files.read_secret(str(file))
    except OSError as error:
        raise OperationsError(f"{file} cannot be read: {error.strerror or error}") from None
