"""Private keys in PEM files that only their owner can read."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OTHERS = 0o077
"""Rights of everyone but the owner of a file."""


class PrivateKeyError(Exception):
    """A file that is not used as a key. The text has the reason, without the name of the file."""


def pem_of(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    """The key in PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_ed25519_key(file: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in a file. Raises OSError and PrivateKeyError."""
    if file.stat().st_mode & OTHERS:
        raise PrivateKeyError("others can read it: chmod 600")
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError):
        # TypeError: it has a password.
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise PrivateKeyError("not an Ed25519 key")
    return key
