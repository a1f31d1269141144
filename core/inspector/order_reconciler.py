"""Queries final states of orders from the venues' processes and stores them.

Events usually report a final state sooner. But after a restart, a venue's process reports only open
orders.
"""

from collections.abc import Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import position_updates, positions, submissions
from core.inspector.positions import Position, StrategyOrder
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer, VenueOrders
from kit.accounting.amounts import plain, total
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events.leases import Lease

ASK_SECONDS = 5.0
"""Time between queries of the orders of open positions."""

_log = telemetry.logger("inspector.order_ends")


class NotSettled(Exception):
    """An order is still open, in flight, or misses fills. The text names the reason."""


class OrderReconciler:
    """Queries the orders of open positions while this process has the lease."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        venues: VenueOrders,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._lease = lease
        self._venues = venues
        self._degraded_reasons = degraded_reasons
        self._clock = clock

    async def run(self) -> None:
        """Query until cancelled. Raises LeaseLost."""
        while True:
            await self._clock.sleep(ASK_SECONDS)
            try:
                for position, order in await self._unknown():
                    await self._ask(position, order)
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)

    async def _unknown(self) -> list[tuple[Position, StrategyOrder]]:
        """The orders without a final state. PositionCloser queries orders of positions that it
        closes; SubmissionSender queries orders in flight."""
        async with self._database.transaction() as connection:
            return [
                (position, order)
                for position in await positions.all_open(connection)
                if not position.is_closing
                and not await submissions.has_pending(connection, position.position_id)
                for order in await positions.orders_of(connection, position)
                if not order.is_complete
            ]

    async def _ask(self, position: Position, order: StrategyOrder) -> None:
        try:
            found = await self._venues.find(order.venue, order.account, order.client_order_id)
            if found is None or found.state < positions.FILLED:
                return
            fills = await fills_of(self._venues, found)
        except (NotSettled, NoAnswer, CallRefused) as error:
            _log.info("not known", extra={"order": order.request_id, "detail": str(error)})
            return
        now_ns = self._clock.time_ns()
        async with exclusive_transaction(self._database, self._lease) as connection:
            await keep(connection, position.position_id, found, fills, now_ns)


async def fills_of(venues: VenueOrders, found: orders_pb2.Order) -> Sequence[orders_pb2.Fill]:
    """All fills of an order that has ended. Raises NotSettled while it is open or fills are
    missing, NoAnswer and CallRefused."""
    if found.state < positions.FILLED:
        state = orders_pb2.OrderState.Name(found.state).removeprefix("ORDER_STATE_")
        raise NotSettled(f"the order {found.request_id} has not ended: it is {state}")
    fills = await venues.fills(found)
    known = total(Decimal(fill.size) for fill in fills)
    if known != Decimal(found.filled_size or 0):
        text = f"of {found.filled_size} that {found.request_id} has filled, {plain(known)} is known"
        raise NotSettled(text)
    return fills


async def keep(
    connection: Connection,
    position_id: bytes,
    found: orders_pb2.Order,
    fills: Sequence[orders_pb2.Fill],
    now_ns: int,
) -> None:
    """Store the final state and the fills of a position's order."""
    await positions.change_order(connection, found)
    for fill in fills:
        await positions.add_fill(connection, fill)
    await position_updates.settle(connection, position_id, now_ns)
