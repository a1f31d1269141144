"""Handles decisions of the advisor and executions of the venues."""

from collections.abc import Callable, Sequence

from venuemesh.events.v1 import event_pb2

from core.inspector import external_fills, open_entries, position_updates, positions
from core.inspector.decision_handler import DecisionHandler
from core.inspector.position_opener import OpeningReads
from core.inspector.submissions import RISK
from core.inspector.transactions import send_hold
from kit.base.clock import Clock
from kit.base.database import Connection, PendingRead
from kit.events import event_log
from kit.events.consumer import Consumption
from kit.events.leases import Lease
from kit.events.logged_events import LoggedEvent

STREAMS = (event_pb2.EVENT_STREAM_DECISIONS, event_pb2.EVENT_STREAM_EXECUTIONS)


class EventHandler:
    """Handles events in the transaction that stores their position in the stream."""

    def __init__(self, lease: Lease, decisions: DecisionHandler, clock: Clock) -> None:
        self._lease = lease
        self._decisions = decisions
        self._clock = clock
        self._held: PendingRead[None]
        self._reads: OpeningReads | None = None
        """For the first event of the transaction."""
        self.when_changed: Callable[[set[bytes]], None] = lambda position_ids: None
        """Called with the ids of changed positions before the commit."""
        self._approved: Sequence[bytes] = ()
        """Ids of the submissions of the transaction."""

    def consumption(
        self,
        consumer: str,
        send_approved: Callable[[Sequence[bytes]], None],
        after_commit: Callable[[], None],
    ) -> Consumption:
        """What a consumer of the decisions and executions does. ``send_approved`` is called with
        the ids of the submissions of a transaction after its commit."""

        def committed() -> None:
            send_approved(self._approved)
            after_commit()

        return Consumption(
            consumer, STREAMS, self.handle, committed, prepare=self.prepare, send=self.send
        )

    async def prepare(self, events: Sequence[LoggedEvent]) -> None:
        await self._decisions.prepare([logged.event() for logged in events])

    async def send(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Send the first statements of ``handle``: the lock, and what the first event needs."""
        self._held = await send_hold(connection, self._lease)
        self._reads = await self._decisions.send_reads(connection, events[0].event())

    async def handle(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Raises LeaseLost."""
        await self._held()
        reads = self._reads
        made: list[event_pb2.Event] = []
        changed: set[bytes] = set()
        for logged in events:
            event = logged.event()
            match event.WhichOneof("payload"):
                case "decision_made":
                    reads = reads or await self._decisions.send_reads(connection, event)
                    made += await self._decisions.handle(connection, event, reads)
                    reads = None
                case "order_changed":
                    order = event.order_changed.order
                    await open_entries.change(connection, order)
                    changed.add(await positions.change_order(connection, order))
                case "order_filled":
                    filled = event.order_filled
                    await open_entries.add_fill(connection, filled.fill, event.event_id)
                    position_id = await positions.add_fill(
                        connection, filled.fill, filled.request_id
                    )
                    changed.add(position_id)
                    changed |= await external_fills.apply(connection, event)
        now_ns = self._clock.time_ns()
        for position_id in sorted(changed):
            await position_updates.settle(connection, position_id, now_ns)
        self.when_changed(changed)
        # A submission has the id of its verdict.
        self._approved = [one.event_id for one in made if one.verdict_given.orders]
        if made:
            await event_log.append(connection, RISK, made, now_ns)
