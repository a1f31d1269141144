"""One log file per service, bounded in size."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

LOG_BYTES_MAX = 16 * 1024 * 1024
TAIL_BYTES = 8 * 1024


class ServiceLog:
    """The log file of one service, for its standard output and error.

    When it has grown over the bound, its content goes to ``<name>.log.1``.
    """

    def __init__(self, folder: Path, service: str) -> None:
        self.path = folder / f"{service}.log"

    def open(self) -> BinaryIO:
        """Open the file for appending. Raises OSError."""
        if self._is_full():
            self.path.replace(self._former)
        return self.path.open("ab")

    def bound(self) -> None:
        """Empty it if it is full, while the service writes to it. What is written between the
        last step of the copy and the next line here is lost. Raises OSError."""
        if self._is_full():
            # The service has it open: it cannot be given another file, but it writes at the end,
            # wherever that is.
            shutil.copyfile(self.path, self._former)
            os.truncate(self.path, 0)

    def _is_full(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > LOG_BYTES_MAX

    @property
    def _former(self) -> Path:
        return self.path.with_suffix(".log.1")

    def last_line(self, start: str = "") -> str:
        """The last line that starts like this, or "" when the end of the file has none."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next(
            (line for line in reversed(lines) if line.strip() and line.startswith(start)), ""
        )
