"""Reads and writes secrets in files, and reads them from pipes that the supervisor opens.

A file is written under another name first, so that nobody reads half of it, and nobody but its
owner can read it.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

PIPES = "/dev/fd/"
"""Folder of the pipes. A pipe can be read once."""
OWNER_ONLY = 0o600

_read: dict[str, str] = {}


def read_secret(path: str) -> str:
    """Return the text of a file without the white space around it.

    A file is read each time. What came through a pipe is kept, and the pipe is closed. Raises
    OSError, also when there is no text.
    """
    if path in _read:
        return _read[path]
    try:
        text = Path(path).read_text().strip()
    except UnicodeDecodeError:
        raise OSError("is not text") from None
    if not text:
        raise OSError("is empty")
    if path.startswith(PIPES):
        _read[path] = text
        os.close(int(path.removeprefix(PIPES)))
    return text


def write_secret(file: Path, content: bytes) -> None:
    """Write or replace a file. Raises OSError."""
    _fresh(file, content).rename(file)


def make_secret(file: Path, content: bytes) -> None:
    """Write a file unless somebody else has made it meanwhile. Raises OSError."""
    fresh = _fresh(file, content)
    try:
        with suppress(FileExistsError):
            file.hardlink_to(fresh)
    finally:
        fresh.unlink()


def _fresh(file: Path, content: bytes) -> Path:
    """The content on disk, beside the file."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    return fresh
