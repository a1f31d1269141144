"""The keys of the mesh. The newest one signs; the older ones verify until they are removed.

One file per key, readable by its owner only. Whoever can read them can be anyone in the mesh.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import SettingError
from kit.base.private_keys import PrivateKeyError, pem_of, read_ed25519_key
from kit.base.secret_files import write_secret

FOLDER = Path("keys") / "authority"
PUBLIC_FILE = "jwks.json"
"""The public keys as a JSON Web Key Set, for the processes that verify."""
KEY_SUFFIX = ".pem"
PUBLISH_S = 10
"""Between the making of a key and its first signature. Heartbeats bring keys to the processes each
second, and Envoy reads them as soon as they change."""
OWNER_ONLY_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class AuthorityKey:
    """One key, and since when it signs."""

    key_id: str
    private: Ed25519PrivateKey
    created_time_ns: int


class Authority:
    """The keys in one folder. Makes the first one when there is none."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Raises SettingError if the folder cannot be used."""
        self._folder = folder
        self._clock = clock
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
            self._keys = read_keys(self._folder)
            if not self._keys:
                self.rotate()
            self._write_public()
        except OSError as error:
            raise SettingError("access.authority", str(folder), f"{error.strerror}") from None

    @property
    def signing(self) -> AuthorityKey:
        return signing_key(self._keys, self._clock)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set."""
        return {"keys": [public_jwk(key.key_id, key.private.public_key()) for key in self._keys]}

    def rotate(self) -> AuthorityKey:
        """Make a new key, which signs as soon as all processes have had time to learn of it."""
        private = Ed25519PrivateKey.generate()
        key = AuthorityKey(key_id_of(private.public_key()), private, self._clock.time_ns())
        write_secret(self._file_of(key), pem_of(private))
        # Two processes that make the first key at once agree on the older one.
        self._keys = read_keys(self._folder)
        self._write_public()
        return key

    def remove_unused(self, longest_token_s: int) -> None:
        """Remove the keys whose tokens have all expired."""
        oldest_ns = self._clock.time_ns() - longest_token_s * NANOSECONDS_PER_SECOND
        for key, successor in zip(self._keys[:-1], self._keys[1:], strict=True):
            if successor.created_time_ns < oldest_ns:
                self._file_of(key).unlink(missing_ok=True)
        self._keys = read_keys(self._folder)
        self._write_public()

    def _file_of(self, key: AuthorityKey) -> Path:
        return self._folder / f"{key.created_time_ns}-{key.key_id}{KEY_SUFFIX}"

    def _write_public(self) -> None:
        write_secret(self._folder / PUBLIC_FILE, json.dumps(self.jwks(), indent=1).encode())


def read_keys(folder: Path) -> list[AuthorityKey]:
    """The keys in a folder, the newest last. Raises OSError, and SettingError for other files."""
    keys = []
    for file in sorted(folder.glob(f"*{KEY_SUFFIX}")):
        try:
            private = read_ed25519_key(file)
        except PrivateKeyError as error:
            raise SettingError("access.authority", str(file), str(error)) from None
        created, _, key_id = file.stem.partition("-")
        if not created.isdecimal():
            raise SettingError("access.authority", str(file), "not a key of a mesh")
        keys.append(AuthorityKey(key_id, private, int(created)))
    return keys


def signing_key(keys: Sequence[AuthorityKey], clock: Clock) -> AuthorityKey:
    """The newest key that is published long enough. A mesh that has just made its first key signs
    with that one."""
    latest_ns = clock.time_ns() - PUBLISH_S * NANOSECONDS_PER_SECOND
    published = [key for key in keys if key.created_time_ns <= latest_ns]
    return published[-1] if published else keys[0]


def public_jwk(key_id: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """One public key as a JSON Web Key."""
    jwk: dict[str, Any] = OKPAlgorithm.to_jwk(key, as_dict=True)
    return jwk | {"kid": key_id, "alg": "EdDSA", "use": "sig"}


def key_id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]
