"""Makes the first events of chains."""

from venuemesh.events.v1 import event_pb2

from kit.events.event_ids import event_id

SOURCE = "inspector"


def first_event(instance: str, cause: str, time_ns: int) -> event_pb2.Event:
    """An event that nothing in the mesh has caused. ``cause``: names it, and no other event."""
    found_id = event_id(SOURCE, instance, [cause.encode()])
    return event_pb2.Event(
        event_id=found_id,
        source=SOURCE,
        instance=instance,
        time_ns=time_ns,
        lifecycle_id=found_id,
    )
