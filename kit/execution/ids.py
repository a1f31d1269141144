"""The id by which a venue knows an order, made of the caller's own."""

import hashlib
import re

REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
CLIENT_ORDER_ID = re.compile(r"[0-9a-f]{32}")


def client_order_id(venue: str, account: str, request_id: str) -> str:
    """32 lower-case hexadecimal digits, which every venue takes in one form or another. The same
    three texts give the same id, so that a request that is repeated is the same order."""
    text = "\n".join((venue, account, request_id))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def as_uuid(client_id: str) -> str:
    """With hyphens, for venues that want a UUID."""
    parts = (client_id[:8], client_id[8:12], client_id[12:16], client_id[16:20], client_id[20:])
    return "-".join(parts)


def of_uuid(text: str) -> str:
    """Back again; "" for a text that is no id of ours."""
    found = text.replace("-", "").lower()
    return found if CLIENT_ORDER_ID.fullmatch(found) else ""
