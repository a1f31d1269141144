"""The keys of a log, in a folder that only its owner can read.

The two newest keys sign: after a rotation, who has only the former public key can still verify.
"""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.base.private_keys import PrivateKeyError, pem_of, read_ed25519_key
from kit.base.secret_files import write_secret
from kit.merkle.signed_notes import SigningKey, VerifierKey

PUBLIC_FILE = "verifier_keys.txt"
"""All public keys of the log, also of keys that are gone, one verifier key a line, oldest first."""
KEY_SUFFIX = ".pem"
SIGNING_KEYS = 2
OWNER_ONLY_FOLDER = 0o700


class KeyFolderError(Exception):
    """An unusable folder. The text has the reason and a remedy."""


class KeyFolder:
    """The keys in one folder. The first one is made when there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def signing_keys(self, name: str, time_ns: int) -> list[SigningKey]:
        """The keys to sign with, the newest last. ``name``: of the keys, which is the origin of the
        log. Raises KeyFolderError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
            if not self._files():
                self.rotate(name, time_ns)
            keys = [self._read(file, name) for file in self._files()[-SIGNING_KEYS:]]
            self._publish(keys)
        except OSError as error:
            raise KeyFolderError(f"{self.folder}: {error.strerror or error}") from None
        return keys

    def verifier_keys(self) -> list[VerifierKey]:
        """All public keys, the newest last. Raises KeyFolderError, and NoteError for other text."""
        try:
            return read_verifier_keys(self.folder / PUBLIC_FILE)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KeyFolderError(f"{self.folder}: {error.strerror or error}") from None

    def rotate(self, name: str, time_ns: int) -> VerifierKey:
        """Make a new key and remove unused private keys. Raises OSError."""
        private = Ed25519PrivateKey.generate()
        key = SigningKey(name, private)
        self._publish([key])
        file = self.folder / f"{time_ns:020}-{key.verifier.key_id.hex()}{KEY_SUFFIX}"
        write_secret(file, pem_of(private))
        for unused in self._files()[:-SIGNING_KEYS]:
            unused.unlink(missing_ok=True)
        return key.verifier

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"[0-9]*{KEY_SUFFIX}"))

    def _read(self, file: Path, name: str) -> SigningKey:
        try:
            return SigningKey(name, read_ed25519_key(file))
        except PrivateKeyError as error:
            raise KeyFolderError(f"{file}: {error}") from None

    def _publish(self, keys: Iterable[SigningKey]) -> None:
        known = [str(key) for key in self.verifier_keys()]
        new = [str(key.verifier) for key in keys if str(key.verifier) not in known]
        if new:
            content = "".join(f"{line}\n" for line in (*known, *new))
            write_secret(self.folder / PUBLIC_FILE, content.encode())


def read_verifier_keys(file: Path) -> list[VerifierKey]:
    """The verifier keys in a file, one a line. Raises OSError and NoteError."""
    lines = file.read_text().splitlines()
    return [VerifierKey.parse(line) for line in lines if line.strip()]
