"""Checks of HMAC signatures as exchanges write them."""

import base64
import hmac
from typing import Literal

Digest = Literal["sha256", "sha512"]


def is_hex_signature(signature: str, secret: bytes, signed: bytes) -> bool:
    """Whether a signature is the HMAC-SHA256, in hexadecimal digits of either case."""
    right = hmac.new(secret, signed, "sha256").hexdigest()
    return is_same(signature.lower(), right)


def is_base64_signature(
    signature: str, secret: bytes, signed: bytes, digest: Digest = "sha256"
) -> bool:
    """Whether a signature is the HMAC, in base64."""
    right = base64.b64encode(hmac.new(secret, signed, digest).digest()).decode()
    return is_same(signature, right)


def is_same(given: str, right: str) -> bool:
    """Whether a client sent the right secret, compared in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())
