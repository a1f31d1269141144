"""Stores checkpoints outside the database, where its writers cannot change them."""

import asyncio
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.audit.store import StoredCheckpoint
from kit.base.errors import SettingError

ANCHOR_FILE = "checkpoints.jsonl"
TAIL_BYTES = 64 * 1024
"""More than two lines have."""
FOLDER_MODE = 0o750


class Anchor(Protocol):
    """A place for checkpoints outside the database."""

    @property
    def name(self) -> str: ...

    async def newest(self) -> str | None:
        """The note of the newest checkpoint that it has. Raises OSError."""

    async def add(self, checkpoint: StoredCheckpoint) -> None:
        """Keep a checkpoint. Raises OSError."""


class AnchorDamaged(Exception):
    """A line of the file is no checkpoint. The text has the line."""


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """A file that is only appended to, one JSON object a line: ``signed_time_ns`` and ``note``."""

    path: Path

    @classmethod
    def in_folder(cls, folder: Path) -> "AnchorFile":
        """Make the folder if it is not there. Raises SettingError."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            others_write = folder.stat().st_mode & 0o022
        except OSError as error:
            reason = error.strerror or str(error)
            raise SettingError("audit.anchors_folder", str(folder), reason) from None
        if others_write:
            allowed = "others can write it: chmod go-w"
            raise SettingError("audit.anchors_folder", str(folder), allowed)
        return cls(folder / ANCHOR_FILE)

    @property
    def name(self) -> str:
        return "file"

    async def newest(self) -> str | None:
        return await asyncio.to_thread(self._newest)

    async def add(self, checkpoint: StoredCheckpoint) -> None:
        await asyncio.to_thread(self._add, checkpoint)

    def notes(self) -> Iterator[str]:
        """The notes of all checkpoints, oldest first. Raises OSError and AnchorDamaged."""
        try:
            with self.path.open("rb") as file:
                yield from self._notes(file)
        except FileNotFoundError:
            return

    def _notes(self, lines: Iterable[bytes]) -> Iterator[str]:
        torn = b""
        for number, line in enumerate((line.rstrip(b"\n") for line in lines), 1):
            if not line.startswith(torn):
                raise AnchorDamaged(f"{self.path}, line {number - 1} is no checkpoint")
            note = _note(line)
            # A process that was killed while it wrote leaves the beginning of a line. The next one
            # begins another line with the same.
            torn = line if note is None else b""
            if note is not None:
                yield note

    def _newest(self) -> str | None:
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return None
        return next((note for line in reversed(lines) if (note := _note(line)) is not None), None)

    def _add(self, checkpoint: StoredCheckpoint) -> None:
        content = {"signed_time_ns": checkpoint.signed_time_ns, "note": checkpoint.note}
        line = json.dumps(content).encode() + b"\n"
        # O_APPEND alone: it also works for a file that may only be appended to (chattr +a).
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o640)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            if _has_torn_line(file.fileno()):
                line = b"\n" + line
            file.write(line)
            os.fsync(file.fileno())


def _has_torn_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _note(line: bytes) -> str | None:
    try:
        note = json.loads(line)["note"]
    except (ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, str) else None
