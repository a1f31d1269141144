"""What a journal must at least have, in a file elsewhere: an older copy of the journal that was put
in its place is found out at the start.

A file has two slots, written in turns, so that one is whole after a kill. Each is a line of text
with a checksum.
"""

import os
import zlib
from pathlib import Path

import msgspec

SLOT_BYTES = 256
"""A slot is written at once: it is smaller than a block of the disk."""


class JournalAnchor(msgspec.Struct, frozen=True):
    """The state of a journal at one of its syncs."""

    journal_id: str
    epoch: int
    """Of the execution stream of the run that wrote it."""
    record_number: int
    """The journal has a record of this number or a higher one."""
    sequence: int = 0
    """Grows with every write of the anchor."""


class AnchorFile:
    """``<name>.anchor`` in a folder. Its methods raise OSError."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.anchor"
        self._sequence = 0

    def load(self) -> JournalAnchor | None:
        """Return the newest anchor; None if there is none that can be read."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        slots = [data[start : start + SLOT_BYTES] for start in (0, SLOT_BYTES)]
        found = [one for one in map(_read, slots) if one is not None]
        newest = max(found, key=lambda one: one.sequence, default=None)
        self._sequence = 0 if newest is None else newest.sequence
        return newest

    def store(self, anchor: JournalAnchor) -> None:
        """Write an anchor over the older of the two, synced to disk."""
        self._sequence += 1
        anchor = msgspec.structs.replace(anchor, sequence=self._sequence)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.pwrite(file, _slot(anchor), SLOT_BYTES * (self._sequence % 2))
            os.fsync(file)
        finally:
            os.close(file)


def _slot(anchor: JournalAnchor) -> bytes:
    text = msgspec.json.encode(anchor)
    return (b"%08x " % zlib.crc32(text) + text).ljust(SLOT_BYTES - 1) + b"\n"


def _read(slot: bytes) -> JournalAnchor | None:
    check, _, text = slot.strip(b"\0\n ").partition(b" ")
    if check != b"%08x" % zlib.crc32(text):
        return None
    try:
        return msgspec.json.decode(text, type=JournalAnchor)
    except msgspec.DecodeError:
        return None
