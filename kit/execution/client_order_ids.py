"""The id that the venue is given for an order, derived from the caller's request id."""

import hashlib
import re

from kit.base.errors import BadRequest

REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
CLIENT_ORDER_ID = re.compile(r"[0-9a-f]{32}")


def check_request_id(request_id: str) -> None:
    """Raises BadRequest for a text that is not a caller's id of a request."""
    if not REQUEST_ID.fullmatch(request_id):
        allowed = "1 to 64 of A-Z a-z 0-9 . _ : -"
        text = f"request_id is {request_id[:80]!r}; allowed is {allowed}"
        raise BadRequest(text, field="request_id", value=request_id[:80], allowed=allowed)


def client_order_id(venue: str, account: str, request_id: str) -> str:
    """Return 32 lower-case hexadecimal digits, a form that every venue takes. The same three texts
    give the same id, so a repeated request is the same order."""
    text = "\n".join((venue, account, request_id))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def as_uuid(client_id: str) -> str:
    """Return the id with hyphens, for venues that require a UUID."""
    parts = (client_id[:8], client_id[8:12], client_id[12:16], client_id[16:20], client_id[20:])
    return "-".join(parts)


def of_uuid(text: str) -> str:
    """Return the id of a UUID; "" for a text that is no id of ours."""
    found = text.replace("-", "").lower()
    return found if CLIENT_ORDER_ID.fullmatch(found) else ""
