"""Orders from stored events: their states, fills and causes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from venuemesh.events.v1 import event_pb2, executions_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.database import Connection, Database
from kit.events.subjects import order_subject, order_subject_of

SCANNED_AT_ONCE = 20_000
"""Events of one statement that looks for orders."""
DECODED_AT_ONCE = 100
"""Messages, before others have their turn."""
FILLS_MAX = 5_000
"""Of one chain, and of one order of none. An order with more has fills missing."""
AROUND = 5_000
"""How many events before the first state of an order and after its newest one its fills may be."""

_NEWEST = "SELECT sequence FROM event_streams WHERE stream = 'executions'"
_STORED_TIME = "SELECT stored_time_ns FROM events WHERE stream = 'executions' AND sequence = %s"
_FIRST_STATES = """
    SELECT sequence, stored_time_ns, subject FROM events AS first
    WHERE stream = 'executions' AND sequence >= %(start)s AND sequence < %(end)s
        AND starts_with(subject, %(prefix)s)
        AND NOT EXISTS (
            SELECT FROM events AS earlier
            WHERE earlier.subject = first.subject AND earlier.subject <> ''
                AND earlier.stream = 'executions' AND earlier.sequence < first.sequence
        )
    ORDER BY sequence DESC LIMIT %(limit)s
"""
_NEWEST_STATES = """
    SELECT found.sequence, found.body FROM unnest(%s::text[]) AS wanted (subject)
    CROSS JOIN LATERAL (
        SELECT sequence, body FROM events
        WHERE events.subject = wanted.subject AND events.subject <> '' AND stream = 'executions'
        ORDER BY sequence DESC LIMIT 1
    ) AS found
"""
# A chain has one decision; the request of a person is the first of its events in its stream.
_CAUSES = """
    SELECT DISTINCT ON (lifecycle_id, stream) body FROM events
    WHERE lifecycle_id = ANY (%s) AND lifecycle_id <> '' AND stream IN ('decisions', 'risk')
    ORDER BY lifecycle_id, stream, sequence
"""
_FILLS_OF_CHAINS = """
    SELECT found.body FROM unnest(%(ids)s::bytea[]) AS wanted (lifecycle_id)
    CROSS JOIN LATERAL (
        SELECT body FROM events
        WHERE events.lifecycle_id = wanted.lifecycle_id AND events.lifecycle_id <> ''
            AND subject LIKE 'fill:%%' ORDER BY sequence LIMIT %(limit)s
    ) AS found
"""
# A fill has the ids of its order as bytes of its message.
_FILLS_OF_INSTRUMENT = """
    SELECT body FROM events
    WHERE regexp_replace(subject, '/[^/]*$', '') = %(instrument)s AND subject LIKE 'fill:%%'
        AND sequence >= %(start)s AND sequence <= %(end)s AND position(%(name)s IN body) > 0
    ORDER BY sequence LIMIT %(limit)s
"""


class FirstState(NamedTuple):
    """The first event of an order."""

    sequence: int
    stored_time_ns: int
    subject: str


@dataclass(slots=True)
class StoredOrder:
    """An order, and the events that concern it."""

    first: FirstState
    sequence: int
    """Of the newest state."""
    order: orders_pb2.Order
    """As it is now."""
    lifecycle_id: bytes
    """Empty: none."""
    causes: list[event_pb2.Event] = field(default_factory=list)
    """The decision, or the request of a person."""
    filled: list[executions_pb2.OrderFilled] = field(default_factory=list)
    """Oldest first."""


class StoredOrders:
    """Reads orders. Its methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def span(self, start_time_ns: int, end_time_ns: int) -> tuple[int, int]:
        """The first event stored at a time or later, and the one after the last before another. 0
        is no bound."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_NEWEST)).fetchone()
            end = (row[0] if row else 0) + 1
            start = await _stored_at(connection, start_time_ns, end) if start_time_ns else 1
            if end_time_ns:
                end = await _stored_at(connection, end_time_ns, end)
        return start, end

    async def first_states(
        self, prefix: str, start: int, end: int, limit: int
    ) -> tuple[Sequence[FirstState], int]:
        """The newest orders among these events whose subject begins with ``prefix``, and where the
        search has stopped: before ``limit`` were found, after SCANNED_AT_ONCE events."""
        begin = max(start, end - SCANNED_AT_ONCE)
        values = {"prefix": prefix, "start": begin, "end": end, "limit": limit}
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_FIRST_STATES, values)).fetchall()
        found = [FirstState(*row) for row in rows]
        return found, found[-1].sequence if len(found) == limit else begin

    async def load(self, firsts: Sequence[FirstState]) -> list[StoredOrder]:
        """These orders, but for those that were placed by other means than the mesh."""
        by_subject = {one.subject: one for one in firsts}
        found: dict[str, StoredOrder] = {}
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_NEWEST_STATES, [list(by_subject)])).fetchall()
            async for sequence, event in _decoded(rows):
                order = event.order_changed.order
                subject = order_subject(order)
                if not order.external and subject in by_subject:
                    first = by_subject[subject]
                    found[subject] = StoredOrder(first, sequence, order, event.lifecycle_id)
            await _add_causes(connection, found.values())
            await _add_fills(connection, found)
        for one in found.values():
            one.filled.sort(key=lambda filled: filled.fill.venue_time_ns)
        return [found[one.subject] for one in firsts if one.subject in found]


async def _stored_at(connection: Connection, time_ns: int, end: int) -> int:
    """The first event before ``end`` that was stored at a time or later, or ``end``. Times rise
    with the sequence but for steps of clocks."""
    low, high = 1, end
    while low < high:
        middle = (low + high) // 2
        row = await (await connection.execute(_STORED_TIME, [middle])).fetchone()
        if row is not None and row[0] < time_ns:
            low = middle + 1
        else:
            high = middle
    return low


async def _add_causes(connection: Connection, orders: Iterable[StoredOrder]) -> None:
    by_lifecycle: dict[bytes, list[StoredOrder]] = defaultdict(list)
    for one in orders:
        if one.lifecycle_id:
            by_lifecycle[one.lifecycle_id].append(one)
    rows = await (await connection.execute(_CAUSES, [list(by_lifecycle)])).fetchall()
    async for _, event in _decoded((0, *row) for row in rows):
        if event.WhichOneof("payload") in ("decision_made", "order_requested"):
            for one in by_lifecycle[event.lifecycle_id]:
                one.causes.append(event)


async def _add_fills(connection: Connection, orders: dict[str, StoredOrder]) -> None:
    ids = {one.lifecycle_id for one in orders.values() if one.lifecycle_id}
    values = {"ids": list(ids), "limit": FILLS_MAX}
    rows = await (await connection.execute(_FILLS_OF_CHAINS, values)).fetchall()
    async for _, event in _decoded((0, *row) for row in rows):
        found = orders.get(order_subject_of(event.order_filled.fill))
        if found is not None:
            found.filled.append(event.order_filled)
    for subject, one in orders.items():
        # A fill that came before its order was known belongs to no chain.
        if sum(Decimal(part.fill.size) for part in one.filled) != filled_size(one.order):
            one.filled = await _search_fills(connection, subject, one)


def filled_size(order: orders_pb2.Order) -> Decimal:
    """What is filled of an order, as it states it."""
    return Decimal(order.filled_size or "0")


async def _search_fills(
    connection: Connection, subject: str, found: StoredOrder
) -> list[executions_pb2.OrderFilled]:
    """The fills of an order among those of its instrument."""
    content = found.order.content
    values = {
        "instrument": f"fill:{content.venue}/{content.account}/{content.symbol}",
        "start": found.first.sequence - AROUND,
        "end": found.sequence + AROUND,
        "name": found.order.client_order_id.encode(),
        "limit": FILLS_MAX,
    }
    rows = await (await connection.execute(_FILLS_OF_INSTRUMENT, values)).fetchall()
    events = [event async for _, event in _decoded((0, *row) for row in rows)]
    fills = [event.order_filled for event in events]
    return [filled for filled in fills if order_subject_of(filled.fill) == subject]


async def _decoded(
    rows: Iterable[tuple[int, bytes]],
) -> AsyncIterator[tuple[int, event_pb2.Event]]:
    """The events of rows with a number and a body."""
    for count, (number, body) in enumerate(rows, 1):
        yield number, event_pb2.Event.FromString(bytes(body))
        if count % DECODED_AT_ONCE == 0:
            await asyncio.sleep(0)
