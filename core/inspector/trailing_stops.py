"""Moves the stops of positions that trail, without ever taking one away.

A second stop of such a position follows the best price in the venue's process, at the distance that
the strategy has asked for. What works without that process is the first stop: it is amended to the
price at which the second one triggers, where the venue amends stops. Elsewhere it stays where it
is. The price is stored, with an event, so that later exits of the position begin there.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import exit_prices, protection
from core.inspector.approvals import Approver
from core.inspector.first_events import SOURCE
from core.inspector.positions import OrderRole, Position, StrategyOrder
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer, VenueOrders
from core.inspector.verdict_inputs import VerdictInputs
from kit.accounting.amounts import product, subtract
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.database import Connection, Database
from kit.base.errors import NotSupported, StoreUnavailable
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.execution.request_ids import lifecycle_request_id

STEP = Decimal("0.1")
"""The part of the distance by which a stop moves at least: each move is a request to the venue."""

_log = telemetry.logger("inspector.trailing")


@dataclass(frozen=True, slots=True)
class StopMove:
    """What is to change of a position's stop."""

    position: Position
    before: str
    """Where it has come to before."""
    price: str
    stop: orders_pb2.Order | None
    """The stop to amend; None: the price is stored only."""


class TrailingStops:
    """Moves stops while its process has the lease."""

    def __init__(
        self,
        database: Database,
        rules: VerdictInputs,
        approver: Approver,
        venues: VenueOrders,
        wake_relay: Callable[[], None],
    ) -> None:
        self._database = database
        self._rules = rules
        self._approver = approver
        self._venues = venues
        self._wanted: dict[bytes, StopMove] = {}
        self._moving: set[bytes] = set()
        self._refused: dict[str, str] = {}
        """By client order id, the price to which a stop could not be amended; "": to none."""
        self._amended_ns: dict[str, int] = {}
        """By client order id, when a stop had its last amendment."""
        self._wake = asyncio.Event()
        self._wake_relay = wake_relay

    def look(
        self,
        position: Position,
        orders: Sequence[StrategyOrder],
        reported: Iterable[orders_pb2.Order],
    ) -> None:
        """Take what the venue's process says of the orders of a position that is not moving."""
        if position.position_id in self._moving:
            return
        move = self._move(position, orders, reported)
        if move is not None:
            self._wanted[position.position_id] = move
            self._wake.set()

    async def run(self) -> None:
        """Move until cancelled. Raises LeaseLost."""
        for one in (self._wanted, self._moving, self._refused, self._amended_ns):
            one.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for position_id in self._wanted.keys() - self._moving:
                    self._moving.add(position_id)
                    group.create_task(self._act(self._wanted.pop(position_id)))

    def _move(
        self,
        position: Position,
        orders: Sequence[StrategyOrder],
        reported: Iterable[orders_pb2.Order],
    ) -> StopMove | None:
        """None: nothing is to change."""
        found: dict[OrderRole, orders_pb2.Order] = {}
        for first, _, one in protection.own_orders(orders, reported):
            if first.is_exit and one.state in protection.WORKING:
                found[first.role] = one
        trailing, stop = found.get(OrderRole.TRAILING_STOP), found.get(OrderRole.STOP)
        if trailing is None or not trailing.trigger_price:
            return None
        if stop is not None and stop.updated_time_ns < self._amended_ns.get(
            stop.client_order_id, 0
        ):
            # It was reported before its last amendment.
            return None
        if stop is not None and not self._may_amend(stop, trailing):
            stop = None
        sells = trailing.content.side == types_pb2.SIDE_SELL
        before = exit_prices.next_stop(position, sells=sells)
        if stop is None and not _has_passed(trailing, before):
            return None
        return StopMove(position, before, trailing.trigger_price, stop)

    def _may_amend(self, stop: orders_pb2.Order, trailing: orders_pb2.Order) -> bool:
        refused = self._refused.get(stop.client_order_id)
        if refused is not None and (not refused or not _has_passed(trailing, refused)):
            return False
        return _has_passed(trailing, stop.content.stop_price)

    async def _act(self, move: StopMove) -> None:
        try:
            approved = self._approve(move, move.stop) if move.stop is not None else None
            async with exclusive_transaction(self._database, self._approver.lease) as connection:
                if not await self._keep(connection, move, approved):
                    return
            self._wake_relay()
            if approved is not None:
                await self._amend(approved)
        except StoreUnavailable as error:
            # The next look finds the same.
            _log.info("price not stored", extra={"detail": error.message})
        finally:
            self._moving.discard(move.position.position_id)

    def _approve(self, move: StopMove, stop: orders_pb2.Order) -> signed_pb2.ApprovedOrder:
        content = orders_pb2.OrderContent()
        content.CopyFrom(stop.content)
        content.stop_price = move.price
        now_ns = self._rules.clock.time_ns()
        # Numbers of orders are small: no other request of the lifecycle has this one.
        number = now_ns // NANOSECONDS_PER_MILLISECOND
        (approved,) = self._approver.approve(
            [content],
            [lifecycle_request_id(move.position.position_id, number)],
            now_ns + self._rules.approval_ns,
            signed_pb2.OPERATION_AMEND,
            stop.client_order_id,
        )
        return approved

    async def _keep(
        self, connection: Connection, move: StopMove, approved: signed_pb2.ApprovedOrder | None
    ) -> bool:
        """Store the price, with the event, before anything is sent. Returns whether it did: a look
        that began before the last move changes nothing."""
        position, now_ns = move.position, self._rules.clock.time_ns()
        if not await exit_prices.trail(connection, position, move.price):
            return False
        trailed = risk_pb2.StopTrailed(
            strategy=position.strategy,
            venue=position.venue,
            account=position.account,
            symbol=position.symbol,
            before=move.before,
            after=move.price,
            amendment=approved,
        )
        event = event_pb2.Event(
            # Of two moves at one time the price differs: it never moves back.
            event_id=event_id(SOURCE, f"trailing/{move.price}", [position.position_id], now_ns),
            source=SOURCE,
            instance=position.strategy,
            time_ns=now_ns,
            lifecycle_id=position.position_id,
            cause_ids=[position.position_id],
            stop_trailed=trailed,
        )
        await event_log.append(connection, RISK, [event], now_ns)
        return True

    async def _amend(self, approved: signed_pb2.ApprovedOrder) -> None:
        """Amend once. If the answer is lost, the next look shows whether it was done."""
        stop_id, price = approved.target_client_order_id, approved.content.stop_price
        extra = {"request": approved.request_id, "stop_price": price}
        try:
            amended = await self._venues.amend(approved)
            self._amended_ns[stop_id] = amended.updated_time_ns
        except CallRefused as refused:
            is_never = refused.reason == NotSupported.reason
            self._refused[stop_id] = "" if is_never else price
            _log.info("stop not moved", extra={**extra, "detail": str(refused)})
        except NoAnswer as error:
            _log.info("stop perhaps moved", extra={**extra, "detail": str(error)})


def _has_passed(trailing: orders_pb2.Order, price: str) -> bool:
    """Whether a trailing stop triggers by a step nearer to the market than at a price."""
    step = product(Decimal(trailing.content.trailing_offset), STEP)
    change = subtract(Decimal(trailing.trigger_price), Decimal(price))
    return (change if trailing.content.side == types_pb2.SIDE_SELL else -change) >= step
