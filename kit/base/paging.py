"""Page tokens: opaque to the caller, bound to the request that they continue.

A token holds a position and a fingerprint of the request's other fields. A token of another list,
or an invented one, is rejected.
"""

import base64
import binascii
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from kit.base.errors import BadPageToken, BadRequest

FINGERPRINT_LENGTH = 12
PAGE_FIELDS = ("page_token", "page_size")

Position = list[int | str]


def page_size(asked: int, default: int, most: int) -> int:
    """The number of rows of a page. Raises BadRequest above ``most``."""
    if asked > most:
        raise BadRequest(
            f"page_size {asked} is above {most}",
            field="page_size",
            value=asked,
            allowed=f"0 to {most}",
        )
    return asked or default


def make_token(request: Message, position: Position) -> str:
    """A token that continues the same request after ``position``."""
    payload = json.dumps([_fingerprint(request), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")


def read_token(request: Any) -> Position | None:
    """The position in a request's page_token, or None without a token. Raises BadPageToken."""
    token = request.page_token
    if not token:
        return None
    try:
        payload = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        fingerprint, position = json.loads(payload)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise BadPageToken("page_token is not a page token", page_token=token) from None
    if fingerprint != _fingerprint(request) or not isinstance(position, list):
        raise BadPageToken("the page token belongs to another request", page_token=token)
    return position


def _fingerprint(request: Message) -> str:
    plain = type(request)()
    plain.CopyFrom(request)
    for name in PAGE_FIELDS:
        plain.ClearField(name)
    digest = hashlib.sha256(plain.DESCRIPTOR.full_name.encode())
    digest.update(plain.SerializeToString(deterministic=True))
    return digest.hexdigest()[:FINGERPRINT_LENGTH]
