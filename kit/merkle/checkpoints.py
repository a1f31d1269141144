"""Checkpoints (C2SP tlog-checkpoint): origin, size and root of a log, as a text to sign."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from kit.merkle import signed_notes
from kit.merkle.signed_notes import NoteError, SigningKey, VerifierKey
from kit.merkle.tree import HASH_BYTES

LINES_MIN = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits itself to."""

    origin: str
    """Name of the log, unique among all logs."""
    size: int
    """Number of leaves."""
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Lines after the first three are extensions and mean nothing here. Raises NoteError."""
        lines = text.split("\n")
        try:
            origin, size, encoded = lines[:LINES_MIN]
            root = signed_notes.decoded(encoded)
            if not origin or not size.isascii() or str(int(size)) != size:
                raise ValueError
        except ValueError:
            raise NoteError(f"not a checkpoint: {text[:200]!r}") from None
        if len(root) != HASH_BYTES or int(size) < 0:
            raise NoteError(f"not a checkpoint: {text[:200]!r}")
        return cls(origin, int(size), root)

    def signed(self, keys: Sequence[SigningKey]) -> str:
        """The note of the checkpoint."""
        return signed_notes.signed(self.text, keys)


def opened(note: str, origin: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of a note that one of the keys has signed. Raises NoteError, also for a
    checkpoint of another log."""
    text, _ = signed_notes.opened(note, keys)
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin != origin:
        raise NoteError(f"a checkpoint of {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint
