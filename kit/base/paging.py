"""Page tokens: opaque to the caller, bound to the request that they continue.

A token holds a position and a fingerprint of the request's other fields. A token of another list,
or an invented one, is rejected.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from kit.base.errors import BadPageToken, BadRequest

FINGERPRINT_LENGTH = 12
PAGE_FIELDS = ("page_token", "page_size")

Position = list[int | str]
Row = TypeVar("Row")
Response = TypeVar("Response", bound=Message)

PAGE_SIZE, PAGE_SIZE_MAX = 1_000, 1_000
"""Of lists that are short as a rule, such as the venues."""


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


def page_of(
    request: Any, rows: Sequence[Row], key: Callable[[Row], Position]
) -> tuple[Sequence[Row], str]:
    """The requested page of rows that are sorted by key, and the token of the next page. Raises
    BadRequest and BadPageToken."""
    size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
    after = read_token(request)
    try:
        rest = rows if after is None else [row for row in rows if key(row) > after]
    except TypeError:
        token = request.page_token
        raise BadPageToken("page_token is not a page token", page_token=token) from None
    page = rest[:size]
    return page, make_token(request, key(page[-1])) if len(rest) > size else ""


async def whole_list(
    call: Callable[..., Awaitable[Response]], request: Any, **options: Any
) -> Response:
    """The response of a list call with the rows of all pages. ``options`` are those of the call."""
    whole: Any = await call(request, **options)
    while whole.next_page_token:
        request.page_token = whole.next_page_token
        page = await call(request, **options)
        whole.next_page_token = ""
        whole.MergeFrom(page)
    answer: Response = whole
    return answer


def _fingerprint(request: Message) -> str:
    plain = type(request)()
    plain.CopyFrom(request)
    for name in PAGE_FIELDS:
        plain.ClearField(name)
    digest = hashlib.sha256(plain.DESCRIPTOR.full_name.encode())
    digest.update(plain.SerializeToString(deterministic=True))
    return digest.hexdigest()[:FINGERPRINT_LENGTH]
