"""Finds positions without a stop, and protects or closes them.

A stop ends without closing its position when the venue finally rejects it, when somebody cancels
it, or when a person's flattening is interrupted. Such a position gets new exits at the same prices,
once; if the new stop ends too, the position is closed.
"""

from collections.abc import Callable

from core.inspector import positions, submissions
from core.inspector.position_updates import WHOLE
from core.inspector.positions import FILLED, OrderRole, Position, StrategyOrder
from core.inspector.transactions import exclusive_transaction
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events.leases import Lease

LOOK_SECONDS = 5.0
"""A position without a stop gets new exits at the second look: in between, the events of a filled
exit or the fills of a person's closing order may arrive."""
NOTHING = "0"
"""The part of a position to close in order to give it new exits: none of it."""

_log = telemetry.logger("inspector.unprotected")


class StopMonitor:
    """Protects or closes positions without a stop while this process has the lease."""

    def __init__(
        self, database: Database, lease: Lease, degraded_reasons: DegradedReasons, clock: Clock
    ) -> None:
        self._database = database
        self._lease = lease
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self.found: set[bytes] = set()
        """Ids of the positions without a stop."""
        self._protected_again: set[bytes] = set()
        self.after_commit: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Look until cancelled. Raises LeaseLost."""
        self.found.clear()
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)

    async def look(self) -> None:
        """Protect or close positions that had no stop at the previous look either. Raises
        LeaseLost, StoreUnavailable."""
        async with self._database.transaction() as connection:
            found = {
                one.position_id
                for one in await positions.all_open(connection)
                if await _is_unprotected(connection, one)
            }
        lasting, self.found = found & self.found, found
        for position_id in sorted(lasting):
            async with exclusive_transaction(self._database, self._lease) as connection:
                position = await positions.lock(connection, position_id)
                if position is not None and await _is_unprotected(connection, position):
                    await self._act(connection, position)
            self.after_commit()

    async def _act(self, connection: Connection, position: Position) -> None:
        position_id = position.position_id
        fraction = WHOLE if position_id in self._protected_again else NOTHING
        self._protected_again.add(position_id)
        text = "closed" if fraction == WHOLE else "given new exits"
        extra = {"position": position_id.hex(), "strategy": position.strategy, "detail": text}
        _log.error("position without a stop", extra=extra)
        await positions.request_close(connection, position, fraction, position_id, position_id)


async def _is_unprotected(connection: Connection, position: Position) -> bool:
    if position.is_closing or position.ended_time_ns:
        return False
    orders = await positions.orders_of(connection, position)
    if not position.tradable(abs(positions.held(orders))):
        return False
    if not all(order.is_complete or _is_open_take_profit(order) for order in orders):
        return False
    return not await submissions.has_pending(connection, position.position_id)


def _is_open_take_profit(order: StrategyOrder) -> bool:
    """Whether an order is an open take-profit, which is no protection."""
    return order.role == OrderRole.TAKE_PROFIT and order.state < FILLED
