"""Ids of events, computed from their causes: an event that is made again has the same id."""

import hashlib
from collections.abc import Sequence

EVENT_ID_BYTES = 16


def event_id(source: str, instance: str, cause_ids: Sequence[bytes], ordinal: int = 0) -> bytes:
    """The id of an event, 16 bytes.

    ``ordinal`` numbers the events that one part of a service makes of the same causes. Where
    nothing in the mesh is the cause, pass what names it in the outside world, for example the
    venue's id of a fill, encoded, as the only cause.
    """
    digest = hashlib.sha256(b"venuemesh event 1")
    for part in (source.encode(), instance.encode(), *cause_ids, str(ordinal).encode()):
        # With its length: no two lists of parts give the same bytes.
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()[:EVENT_ID_BYTES]
