"""Keeps the positions of strategies, from the fills of their own orders."""

from collections.abc import Sequence
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from core.detector import store
from core.detector.store import InstanceKey
from kit.events import event_log
from kit.events.event_log import Connection, LoggedEvent
from kit.strategy.instance import OPEN


async def book_fills(connection: Connection, logged: Sequence[LoggedEvent]) -> None:
    """Change the positions of the strategies whose signals these fills follow from."""
    events = [one.event() for one in logged]
    fills = [one for one in events if one.HasField("order_filled") and one.lifecycle_id]
    if not fills:
        return
    begun_by = await event_log.stored(connection, sorted({one.lifecycle_id for one in fills}))
    for event in fills:
        beginning = begun_by.get(event.lifecycle_id)
        if beginning is None or not beginning.HasField("signal_raised"):
            # A person's order.
            continue
        signal, fill = beginning.signal_raised, event.order_filled.fill
        key = InstanceKey(signal.strategy, signal.venue, signal.symbol)
        size = Decimal(fill.size)
        change = size if fill.side == types_pb2.SIDE_BUY else -size
        # The exits of an entry are of its chain, and of the other side.
        is_entry = signal.action == OPEN and fill.side == signal.side
        await store.change_position(connection, key, change, is_entry=is_entry)
