"""Whether a text was signed with a secret: HMAC, as the exchanges write it."""

import base64
import hmac
from typing import Literal

Digest = Literal["sha256", "sha512"]


def is_hex_signature(signature: str, secret: bytes, said: bytes) -> bool:
    """Whether this is the HMAC-SHA256, in hexadecimal digits of either case."""
    right = hmac.new(secret, said, "sha256").hexdigest()
    return is_same(signature.lower(), right)


def is_base64_signature(
    signature: str, secret: bytes, said: bytes, digest: Digest = "sha256"
) -> bool:
    """Whether this is the HMAC, in base64."""
    right = base64.b64encode(hmac.new(secret, said, digest).digest()).decode()
    return is_same(signature, right)


def is_same(given: str, right: str) -> bool:
    """Whether a client knows a secret text. What it sends may hold anything."""
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())
