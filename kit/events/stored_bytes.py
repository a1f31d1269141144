"""The bytes of a StoredEvent, made from the stored bytes of its event.

A reader that encoded the event again might write other bytes: it need not know every field.
"""

from venuemesh.events.v1 import event_pb2

from kit.events.logged_events import LoggedEvent

_EVENT_TAG = b"\x12"
_TIME_TAG = b"\x19"
_TIME_BYTES = 8
_VARINT_BITS = 7


def stored_bytes(logged: LoggedEvent) -> bytes:
    """The encoded StoredEvent, its fields in the order of their numbers."""
    place = event_pb2.EventPosition(stream=logged.stream, sequence=logged.sequence)
    head = event_pb2.StoredEvent(position=place).SerializeToString()
    time = logged.stored_time_ns.to_bytes(_TIME_BYTES, "little", signed=True)
    tail = _TIME_TAG + time if logged.stored_time_ns else b""
    return b"".join((head, _EVENT_TAG, _varint(len(logged.body)), logged.body, tail))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 1 << _VARINT_BITS:
        found.append(number & 0x7F | 0x80)
        number >>= _VARINT_BITS
    found.append(number)
    return bytes(found)
