"""The file of a journal, which only one process may hold."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kit.base.errors import StoreUnavailable

PREALLOCATED_BYTES = 4 << 20
"""The file grows by this many zeros at a time: syncing bytes into allocated space needs no write of
file-system metadata."""


class JournalFile:
    """``<name>.journal`` in a folder, with ``<name>.lock`` beside it."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises StoreUnavailable when another process holds the file or the folder is unusable."""
        self._path = folder / f"{name}.journal"
        self._new_path = folder / f"{name}.journal.new"
        self._folder = folder
        self._length = 0
        self._file = -1
        try:
            _make_folder(folder)
            self._lock = os.open(folder / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"no journal in {folder}: {error}", store="journal") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            text = f"another process holds the journal {self._path}"
            raise StoreUnavailable(text, store="journal") from error

    def load(self) -> bytes:
        return self._path.read_bytes() if self._path.exists() else b""

    def write(self, position: int, data: bytes, *, sync: bool) -> None:
        end = position + len(data)
        if end > self._length:
            _write_at(self._file, bytes(PREALLOCATED_BYTES + end - self._length), self._length)
            self._length = end + PREALLOCATED_BYTES
            os.fsync(self._file)
        _write_at(self._file, data, position)
        if sync:
            os.fdatasync(self._file)

    def replace(self, data: bytes) -> None:
        file = os.open(self._new_path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        try:
            _write_at(file, data, 0)
            _write_at(file, bytes(PREALLOCATED_BYTES), len(data))
            os.fsync(file)
            self._new_path.replace(self._path)
        except OSError:
            os.close(file)
            raise
        self._close_file()
        self._file, self._length = file, len(data) + PREALLOCATED_BYTES
        # The rename has to be on disk too.
        _sync_folder(self._folder)

    def close(self) -> None:
        self._close_file()
        os.close(self._lock)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class SingleThreadExecutor:
    """Runs blocking functions one after the other, off the event loop."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def __call__(self, work: Callable[[], None]) -> None:
        # A cancelled caller leaves its function running; the next one waits for it in the thread.
        await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Stop the thread once it is idle."""
        self._executor.shutdown(wait=False)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each on disk before there is anything in it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write_at(file: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, position)
        view = view[written:]
        position += written
