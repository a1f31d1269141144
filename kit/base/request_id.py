"""The id of the call that is being served, which its log lines, errors and further calls share.

Envoy gives each call an id, or takes the caller's. A call without one gets one here.
"""

import re
import uuid
from collections.abc import Iterable
from contextvars import ContextVar

REQUEST_ID = "x-request-id"
"""Metadata of each call, and the header in Envoy's answer."""
_VALID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the call that this task serves, or ""."""
    return _current.get()


def begin_request(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Make the id of a call, or a new one, that of the current task and of those that it starts."""
    shown = next((value for key, value in metadata if key == REQUEST_ID), "")
    request_id = str(shown)
    if not _VALID.fullmatch(request_id):
        request_id = str(uuid.uuid4())
    _current.set(request_id)
    return request_id
