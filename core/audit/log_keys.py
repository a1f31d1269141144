"""The keys of the log, and the verification of its checkpoints."""

from pathlib import Path

from kit.merkle import checkpoints
from kit.merkle.checkpoints import Checkpoint
from kit.merkle.key_folder import KeyFolder
from kit.merkle.signed_notes import SigningKey, VerifierKey


class LogKeys:
    """The keys of one log. The folder is read each time, so that a rotation needs no restart."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.origin = origin
        self._folder = KeyFolder(folder)

    def signing(self, time_ns: int) -> list[SigningKey]:
        """Raises KeyFolderError."""
        return self._folder.signing_keys(self.origin, time_ns)

    def verifiers(self) -> list[VerifierKey]:
        """All public keys, the newest last. Raises KeyFolderError."""
        return self._folder.verifier_keys()

    def opened(self, note: str) -> Checkpoint:
        """The checkpoint of a note. Raises NoteError when no key of the log has signed it, and
        KeyFolderError."""
        return checkpoints.opened(note, self.origin, self.verifiers())
