"""Ids of events in the arguments of commands."""

from kit.events.event_ids import EVENT_ID_BYTES
from kit.execution.request_ids import lifecycle_of


def event_id_of(text: str) -> bytes:
    """The id of an event in hexadecimal digits, or of the event that begins the chain of an order
    with the request id lc-…; empty for any other text."""
    try:
        found = lifecycle_of(text) or bytes.fromhex(text)
    except ValueError:
        return b""
    return found if len(found) == EVENT_ID_BYTES else b""
