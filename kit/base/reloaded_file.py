"""A file that is read again while the process runs, whenever it has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import SettingError

READ_INTERVAL_NS = NANOSECONDS_PER_SECOND // 2
UNKNOWN_VERSION = (0, 0, 0)
"""The time of a file whose time cannot be read."""

Content = TypeVar("Content")

_log = telemetry.logger("kit.base.reloaded_file")


class ReloadedFile(Generic[Content]):
    """The content of one file."""

    def __init__(
        self,
        file: Path,
        read: Callable[[Path], Content],
        clock: Clock,
        *,
        missing: Content | None,
        unreadable: Content | None,
    ) -> None:
        """``read`` raises SettingError. ``missing``: the content while there was no file yet; None:
        there must be one. ``unreadable``: the content after the file has become unreadable; None:
        the last one. Raises SettingError for a file that cannot be read at the start."""
        self._file = file
        self._read = read
        self._clock = clock
        self._unreadable = unreadable
        self._read_time_ns = clock.monotonic_ns()
        self._version = _version(file)
        if self._version is None and missing is not None:
            self._content = missing
        else:
            self._content = read(file)
        self._problem = ""

    @property
    def content(self) -> Content:
        """What the file has, read again if it has changed and half a second has passed."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._read_time_ns >= READ_INTERVAL_NS:
            self._read_time_ns = now_ns
            self._refresh()
        return self._content

    @property
    def problem(self) -> str:
        """Why the file cannot be read; "" while it can be."""
        _ = self.content
        return self._problem

    def _refresh(self) -> None:
        version = _version(self._file)
        # What keeps it from being read may be put right without a change of the file.
        if version == self._version and not self._problem:
            return
        self._version = version
        try:
            self._content = self._read(self._file)
        except SettingError as error:
            if self._unreadable is not None:
                self._content = self._unreadable
            if self._problem != str(error):
                _log.error("file not read", extra={"file": str(self._file), "detail": str(error)})
            self._problem = str(error)
        else:
            self._problem = ""
            _log.info("file read", extra={"file": str(self._file)})


def _version(file: Path) -> tuple[int, int, int] | None:
    """Changes whenever the file is written or replaced; None if it is not there."""
    try:
        found = file.stat()
    except FileNotFoundError:
        # A link to a file that is gone is not the same as no file.
        return UNKNOWN_VERSION if file.is_symlink() else None
    except OSError:
        return UNKNOWN_VERSION
    return found.st_mtime_ns, found.st_size, found.st_ino
