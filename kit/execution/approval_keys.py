"""The keys that approve orders: those in the settings, and one for development.

The development key is a file in the mesh's data folder, readable by its owner only; the first
process that needs it makes it. It approves orders in the worlds simulate and replay, and of paper
accounts. Real accounts in the live world do not know it.
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
from kit.execution.approval import DEVELOPMENT_KEY_ID, ApprovalSigner

DEVELOPMENT_FILE = Path("keys") / "development.key"
DEVELOPMENT_EPOCH = 1
APPROVED_NS = 30 * NANOSECONDS_PER_SECOND
"""How long an approval by the development key is valid."""
OWNER_ONLY = 0o600
KEY_BYTES = 32


def development_signer(data_dir: Path) -> ApprovalSigner:
    """Return a signer with the development key, which approves any order."""
    key = Ed25519PrivateKey.from_private_bytes(_development_key(data_dir))
    return ApprovalSigner(DEVELOPMENT_KEY_ID, key, DEVELOPMENT_EPOCH)


def known_keys(
    texts: Sequence[str], data_dir: Path, *, live: bool
) -> Mapping[str, Ed25519PublicKey]:
    """Return the public keys by key id: those of the setting ``orders.public_keys``, and the
    development key unless ``live``. Raises SettingError."""
    found = dict(map(_parse, texts))
    if not live:
        key = Ed25519PrivateKey.from_private_bytes(_development_key(data_dir))
        found[DEVELOPMENT_KEY_ID] = key.public_key()
    return found


def public_text(key_id: str, key: Ed25519PublicKey) -> str:
    """Return a public key in the form of the setting: ``key_id:BASE64``."""
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
    """Read the key, or make it: under another name first, so no process reads half of it."""
    file = data_dir / DEVELOPMENT_FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as made:
            made.write(Ed25519PrivateKey.generate().private_bytes_raw())
            made.flush()
            os.fsync(made.fileno())
        # If another process was faster, its key is used.
        with suppress(FileExistsError):
            file.hardlink_to(fresh)
        fresh.unlink()
    return file.read_bytes()
