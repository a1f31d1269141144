"""The keys that approve orders: those that the settings name, and one for development.

The development key lies in the mesh's own data folder, readable by its owner alone, and is made by
whoever needs it first. It signs in the worlds simulate and replay, and for accounts on paper; a
real account of the live world does not know it.
"""

import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import SettingError
from kit.execution.approval import DEVELOPMENT_KEY_ID, Signer

DEVELOPMENT_FILE = Path("keys") / "development.key"
DEVELOPMENT_EPOCH = 1
APPROVED_NS = 30 * NANOSECONDS_PER_SECOND
"""So long an approval of the development key holds."""
OWNER_ONLY = 0o600
KEY_BYTES = 32


def development_signer(data_dir: Path) -> Signer:
    """Approves whatever it is given, in worlds where nothing real hangs on it."""
    key = Ed25519PrivateKey.from_private_bytes(_development_key(data_dir))
    return Signer(DEVELOPMENT_KEY_ID, key, DEVELOPMENT_EPOCH)


def known_keys(
    texts: Sequence[str], data_dir: Path, *, live: bool
) -> Mapping[str, Ed25519PublicKey]:
    """Those of the setting, ``key_id:BASE64`` each, and the development key where it is allowed.
    Raises SettingError."""
    found = dict(map(_parse, texts))
    if not live:
        key = Ed25519PrivateKey.from_private_bytes(_development_key(data_dir))
        found[DEVELOPMENT_KEY_ID] = key.public_key()
    return found


def public_text(key_id: str, key: Ed25519PublicKey) -> str:
    """A public key as the setting has it."""
    return f"{key_id}:{b64encode(key.public_bytes_raw()).decode()}"


def _parse(text: str) -> tuple[str, Ed25519PublicKey]:
    key_id, _, encoded = text.partition(":")
    try:
        raw = b64decode(encoded, validate=True)
    except NotBase64:
        raw = b""
    if not key_id or key_id == DEVELOPMENT_KEY_ID or len(raw) != KEY_BYTES:
        allowed = "must be NAME:KEY, the key as base64 of its 32 bytes"
        raise SettingError("orders.public_keys", text, allowed)
    return key_id, Ed25519PublicKey.from_public_bytes(raw)


def _development_key(data_dir: Path) -> bytes:
    """Read it, or make it: under another name first, so that nobody reads a half of it."""
    file = data_dir / DEVELOPMENT_FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as made:
            made.write(Ed25519PrivateKey.generate().private_bytes_raw())
            made.flush()
            os.fsync(made.fileno())
        # When another process was faster, its key is the one.
        with suppress(FileExistsError):
            file.hardlink_to(fresh)
        fresh.unlink()
    return file.read_bytes()
