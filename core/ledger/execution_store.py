"""Stores executions as events, with the position up to which they were read."""

from collections.abc import Sequence
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2

from core.ledger.event_postings import Instruments
from core.ledger.posting_writer import PostingWriter
from core.ledger.reported_events import same_fact
from kit.base.cursor import START, Cursor
from kit.base.database import Connection, ConsumerPositionConflict, Database
from kit.events import event_log
from kit.events.subjects import opening_event_id

_LOAD = (
    "SELECT epoch, sequence, fills_time_ns, cash_flows_time_ns FROM execution_intakes"
    " WHERE venue = %s AND account = %s"
)
_BEGIN = "INSERT INTO execution_intakes VALUES (%s, %s, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
_MOVE = (
    "UPDATE execution_intakes SET (epoch, sequence, fills_time_ns, cash_flows_time_ns)"
    " = (%s, %s, %s, %s) WHERE (venue, account) = (%s, %s)"
    " AND (epoch, sequence, fills_time_ns, cash_flows_time_ns) = (%s, %s, %s, %s)"
)

_HELD = (
    "SELECT DISTINCT symbol FROM ledger_positions JOIN ledger_contracts USING (venue, symbol)"
    " WHERE venue = %s AND account = %s AND size <> 0 AND settle <> '' ORDER BY symbol"
)


@dataclass(frozen=True, slots=True)
class CollectorPosition:
    """The position up to which the executions of an account were read, in the venue's times."""

    cursor: Cursor = START
    fills_time_ns: int = 0
    """Of the newest fill that was listed."""
    cash_flows_time_ns: int = 0
    """Of the newest cash flow that was listed."""

    @property
    def row(self) -> tuple[int, int, int, int]:
        """The values in the database."""
        return *self.cursor, self.fills_time_ns, self.cash_flows_time_ns


class ExecutionStore:
    """The events of one account. Methods raise StoreUnavailable."""

    def __init__(self, database: Database, writer: PostingWriter, venue: str, account: str) -> None:
        self._database = database
        self._writer = writer
        self._key = venue, account

    async def position(self) -> CollectorPosition:
        """How far was read; the beginning for an account that is new."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_LOAD, self._key)).fetchone()
        return CollectorPosition() if row is None else CollectorPosition(Cursor(*row[:2]), *row[2:])

    async def is_opened(self) -> bool:
        """Whether it was booked what the account had before."""
        event_id = opening_event_id(*self._key)
        async with self._database.transaction() as connection:
            return event_id in await event_log.stored(connection, [event_id])

    async def held_symbols(self) -> list[str]:
        """The derivatives in which there is a position by the executions."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(_HELD, self._key)
            return [row[0] async for row in rows]

    async def save(
        self,
        before: CollectorPosition,
        after: CollectorPosition,
        events: Sequence[event_pb2.Event],
        instruments: Instruments,
    ) -> list[event_pb2.Event]:
        """Store and book events, and move the position, in one transaction. Returns those that the
        venue has reported before with other values; what is stored stands.

        Raises ConsumerPositionConflict when another process has moved the position, and
        ContractUnknown.
        """
        new, changed = await self._compared(events)

        async def move(connection: Connection) -> None:
            await connection.execute(_BEGIN, self._key)
            moved = await connection.execute(_MOVE, [*after.row, *self._key, *before.row])
            if moved.rowcount != 1:
                raise ConsumerPositionConflict("another process reads executions of this account")

        await self._writer.book(new, instruments, move)
        return changed

    async def _compared(
        self, events: Sequence[event_pb2.Event]
    ) -> tuple[list[event_pb2.Event], list[event_pb2.Event]]:
        """The events that are new, and those that are stored with other values."""
        async with self._database.transaction() as connection:
            known = await event_log.stored(connection, [event.event_id for event in events])
            await _name_strategies(connection, events)
        new: dict[bytes, event_pb2.Event] = {}
        changed = []
        for event in events:
            first = known.get(event.event_id) or new.setdefault(event.event_id, event)
            if not same_fact(first, event):
                changed.append(event)
        return list(new.values()), changed


async def _name_strategies(connection: Connection, events: Sequence[event_pb2.Event]) -> None:
    """Name in each fill the strategy whose signal began its chain."""
    fills = [event for event in events if event.HasField("order_filled")]
    chains = {event.lifecycle_id for event in fills if event.lifecycle_id}
    begun = await event_log.stored(connection, list(chains))
    for event in fills:
        first = begun.get(event.lifecycle_id, event_pb2.Event())
        event.order_filled.strategy = first.signal_raised.strategy
