"""Stores the positions of strategies from the inspector's events."""

from collections.abc import Sequence
from decimal import Decimal

from core.detector import store
from core.detector.store import FLAT, InstanceKey
from kit.events.event_log import Connection, LoggedEvent


async def keep_positions(connection: Connection, logged: Sequence[LoggedEvent]) -> None:
    """Store the positions after these events."""
    for one in logged:
        event = one.event()
        if event.HasField("position_changed"):
            changed = event.position_changed
            key = InstanceKey(changed.strategy, changed.venue, changed.symbol)
            size = FLAT if changed.is_flat else Decimal(changed.size)
            await store.keep_position(connection, key, size)
