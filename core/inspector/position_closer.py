"""Closes or reduces positions of strategies, each once.

It cancels all orders of a position and queries each until the order has ended and all its fills are
known. It computes the remaining size from the fills and closes it with one market order, approved
in a transaction that finds no other order in flight. Each step starts from the state in the
database, until nothing remains.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, event_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import (
    exit_prices,
    order_reconciler,
    position_updates,
    positions,
    reduction_queue,
    submissions,
)
from core.inspector.approvals import (
    CANCEL_NUMBER,
    Approver,
    exit_contents,
    exit_roles,
    grouped,
)
from core.inspector.order_reconciler import NotSettled
from core.inspector.position_opener import Instrument, PositionOpener
from core.inspector.position_updates import WHOLE
from core.inspector.positions import OrderRole, Position, StrategyOrder
from core.inspector.submissions import RISK, Submission, verdict_event
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer, VenueOrders
from core.inspector.verdict_inputs import VerdictInputs
from core.inspector.verdicts import NOTED, verdict_on_reduction
from kit.accounting.amounts import ZERO, floor_to, plain, product, subtract
from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable, UnknownOrder
from kit.base.waiting import is_set_within
from kit.events import event_log
from kit.events.leases import Lease
from kit.execution.client_order_ids import client_order_id
from kit.execution.request_ids import (
    ATTEMPTS_MAX,
    attempt_request_id,
    lifecycle_prefix,
    lifecycle_request_id,
)
from kit.risk.scopes import PositionKey

LOOK_SECONDS = 1.0
RETRY_SECONDS_MAX = 15.0
ALARM_STEPS = 5
"""Steps without success after which the process is DEGRADED."""

_log = telemetry.logger("inspector.closer")


class PositionCloser:
    """Closes positions while its process has the lease."""

    def __init__(
        self,
        database: Database,
        rules: VerdictInputs,
        approver: Approver,
        venues: VenueOrders,
        degraded_reasons: DegradedReasons,
        opener: PositionOpener,
    ) -> None:
        """``opener`` opens the other side of a flipped position."""
        self._opener = opener
        self._database = database
        self._rules = rules
        self._approver = approver
        self._venues = venues
        self._degraded_reasons = degraded_reasons
        self._closing: set[bytes] = set()
        self._wake = asyncio.Event()
        self.when_approved: Callable[[Submission], None] = lambda submission: None
        """Called with a submission before its commit."""
        self.after_commit: Callable[[], None] = lambda: None
        self.problems: dict[bytes, str] = {}
        """By position id, the reason why its closing is delayed."""

    @property
    def _clock(self) -> Clock:
        return self._rules.clock

    @property
    def _lease(self) -> Lease:
        return self._approver.lease

    def wake(self) -> None:
        """Read the database now instead of after LOOK_SECONDS."""
        self._wake.set()

    async def run(self) -> None:
        """Close until cancelled. Raises LeaseLost."""
        self._closing.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    async with self._database.reading() as connection:
                        found = await positions.closing_ids(connection)
                except StoreUnavailable as error:
                    self._degraded_reasons.report(POSTGRESQL, error.message)
                    found = []
                for position_id in found:
                    if position_id not in self._closing:
                        self._closing.add(position_id)
                        group.create_task(self._close(position_id))
                await is_set_within(self._wake, LOOK_SECONDS)

    async def _close(self, position_id: bytes) -> None:
        about, steps = f"closing of {position_id.hex()}", 0
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        try:
            while True:
                try:
                    if await self.step(position_id):
                        return
                    waits, steps = backoff.delays(most_seconds=RETRY_SECONDS_MAX), 0
                except (NotSettled, NoAnswer, CallRefused, StoreUnavailable) as error:
                    steps += 1
                    self.problems[position_id] = str(error)
                    _log.info("closing waits", extra={"about": about, "detail": str(error)})
                    if steps >= ALARM_STEPS:
                        self._degraded_reasons.report(about, str(error))
                await self._clock.sleep(next(waits))
        finally:
            self.problems.pop(position_id, None)
            self._degraded_reasons.clear(about)
            self._closing.discard(position_id)

    async def step(self, position_id: bytes) -> bool:
        """Take the next step. Returns whether nothing is left to do. Raises NotSettled, NoAnswer,
        CallRefused, StoreUnavailable, LeaseLost."""
        async with self._database.transaction() as connection:
            position = await positions.lock(connection, position_id)
            if position is None or not position.is_closing:
                return True
            orders = await self._settled_orders(connection, position)
        for order in sorted(orders, key=_place_of_end):
            await self._bring_to_end(position, order)
        instrument = None
        if position.close_flips:
            instrument = await self._rules.instrument(position.venue, position.symbol)
        async with exclusive_transaction(self._database, self._lease) as connection:
            is_done = await self._decide(connection, position, instrument)
        self.after_commit()
        return is_done

    async def _settled_orders(
        self, connection: Connection, position: Position
    ) -> list[StrategyOrder]:
        """The orders of a position. Raises NotSettled if one of them is in flight."""
        if await submissions.has_pending(connection, position.position_id):
            raise NotSettled("an order of the position is on its way, and has no clear answer yet")
        return await positions.orders_of(connection, position)

    async def _bring_to_end(self, position: Position, order: StrategyOrder) -> None:
        """Cancel an order and store its final state and its fills. Raises NotSettled."""
        if order.is_exit and order.is_first_attempt:
            await self._end_exit(position, order)
        elif not order.is_complete:
            await self._keep_end(position, await self._ended(position, order))

    async def _end_exit(self, position: Position, order: StrategyOrder) -> None:
        """Cancel an exit with all its attempts. No further attempt follows."""
        try:
            await self._cancel(position, order)
        except CallRefused as refused:
            if refused.reason != UnknownOrder.reason or not order.is_complete:
                raise
            # It ended long ago, and the venue's process has dropped it.
            return
        await self._keep_end(position, await self._ended(position, order))
        for attempt in range(2, ATTEMPTS_MAX + 1):
            name = attempt_request_id(order.request_id, attempt)
            key = client_order_id(order.venue, order.account, name)
            found = await self._venues.find(order.venue, order.account, key)
            if found is None:
                return
            await self._keep_end(position, found)

    async def _ended(self, position: Position, order: StrategyOrder) -> orders_pb2.Order:
        found = await self._venues.find(order.venue, order.account, order.client_order_id)
        if found is not None and found.state < positions.FILLED and order.role == OrderRole.ENTRY:
            await self._cancel(position, order)
            found = await self._venues.find(order.venue, order.account, order.client_order_id)
        if found is None:
            raise NotSettled(f"the process of the venue does not know the order {order.request_id}")
        return found

    async def _cancel(self, position: Position, order: StrategyOrder) -> None:
        content = orders_pb2.OrderContent(
            venue=order.venue, account=order.account, symbol=position.symbol
        )
        expires_ns = self._clock.time_ns() + self._rules.approval_ns
        name = lifecycle_request_id(position.close_lifecycle_id, CANCEL_NUMBER)
        (approved,) = self._approver.approve(
            [content], [name], expires_ns, signed_pb2.OPERATION_CANCEL, order.client_order_id
        )
        await self._venues.cancel(approved)

    async def _keep_end(self, position: Position, found: orders_pb2.Order) -> None:
        """Store the final state of an order. Raises NotSettled while it is open, or while fills are
        missing."""
        fills = await order_reconciler.fills_of(self._venues, found)
        async with exclusive_transaction(self._database, self._lease) as connection:
            now_ns = self._clock.time_ns()
            await order_reconciler.keep(connection, position.position_id, found, fills, now_ns)

    async def _decide(
        self, connection: Connection, before: Position, instrument: Instrument
    ) -> bool:
        """Approve the order that closes the remaining size. Returns True once nothing is left to
        do. ``before``: the position when its instrument was requested."""
        position_id = before.position_id
        position = await positions.lock(connection, position_id)
        if position is None or not position.is_closing:
            return True
        if position.close_flips and not before.close_flips:
            # A flip arrived after the request for instruments: the next step requests its terms.
            return False
        orders = await self._settled_orders(connection, position)
        unknown = [order.request_id for order in orders if not order.is_complete]
        if unknown:
            raise NotSettled(f"the end of these orders is not known: {', '.join(unknown)}")
        held = positions.held(orders)
        rest = await _rest(connection, position, abs(held))
        size = position.tradable(subtract(abs(held), rest))
        if size > ZERO:
            side = types_pb2.SIDE_SELL if held > ZERO else types_pb2.SIDE_BUY
            content = orders_pb2.OrderContent(
                venue=position.venue,
                account=position.account,
                symbol=position.symbol,
                side=side,
                type=orders_pb2.ORDER_TYPE_MARKET,
                size=plain(size),
                reduce_only=not position.base_asset,
            )
            await self._approve(connection, position, [content], [OrderRole.CLOSE])
            return False
        left = position.tradable(abs(held))
        if not left or not rest:
            await position_updates.end(connection, position, held, self._clock.time_ns())
            if position.close_flips:
                await self._open_other_side(connection, position, instrument)
            return True
        wanted = await reduction_queue.take(connection, position_id)
        if wanted is not None:
            # A part of the remaining size: all earlier reductions are confirmed.
            await positions.request_close(connection, position, *wanted)
            return False
        await self._protect(connection, position, held, left)
        return True

    async def _open_other_side(
        self, connection: Connection, position: Position, instrument: Instrument
    ) -> None:
        """Open the other side of a flip, in the transaction that ends the position."""
        found = await event_log.stored(connection, [position.close_cause_id])
        decision = found[position.close_cause_id]
        reads = await self._opener.send_reads(connection, decision, instrument)
        given = await self._opener.open(connection, decision, instrument, reads, position)
        await event_log.append(connection, RISK, [given], self._clock.time_ns())

    async def _protect(
        self, connection: Connection, position: Position, held: Decimal, left: Decimal
    ) -> None:
        """PositionKey exits for the remaining size of a reduced position."""
        entry = orders_pb2.OrderContent(
            venue=position.venue,
            account=position.account,
            symbol=position.symbol,
            side=types_pb2.SIDE_BUY if held > ZERO else types_pb2.SIDE_SELL,
            size=plain(left),
        )
        stop_price = exit_prices.next_stop(position, sells=held > ZERO)
        exits = exit_contents(entry, stop_price, position.target_price, position.trailing_offset)
        for content in exits:
            content.reduce_only = not position.base_asset
        if exits:
            await self._approve(connection, position, exits, exit_roles(exits))
        await positions.request_close(connection, position, "", b"", b"")

    async def _approve(
        self,
        connection: Connection,
        position: Position,
        contents: list[orders_pb2.OrderContent],
        roles: list[OrderRole],
    ) -> None:
        """Approve orders that close or protect a position, with their verdict."""
        lifecycle_id, now_ns = position.close_lifecycle_id, self._clock.time_ns()
        prefix = lifecycle_prefix(lifecycle_id)
        number = await (await positions.send_next_number(connection, prefix))()
        ids = [lifecycle_request_id(lifecycle_id, number + place) for place in range(len(contents))]
        grouped(contents, f"{prefix}:{number}", orders_pb2.GROUP_ROLE_ALTERNATIVE)
        expires_ns = now_ns + self._rules.approval_ns
        approved = self._approver.approve(contents, ids, expires_ns)
        cause = event_pb2.Event(
            event_id=position.close_cause_id, lifecycle_id=lifecycle_id, time_ns=now_ns
        )
        place = PositionKey(position.venue, position.account, position.symbol, position.strategy)
        state = await self._rules.reduction_state(connection, place)
        check = checks_pb2.Check(
            name="position", observed=contents[0].size, unit="size_unit", result=NOTED
        )
        version, position_id = self._rules.policy.version, position.position_id
        verdict = verdict_on_reduction(state, [check])
        event = verdict_event(cause, position.strategy, verdict, version, number, position_id)
        event.verdict_given.orders.extend(approved)
        submission = Submission(
            event.event_id, lifecycle_id, position_id, approved, False, expires_ns
        )
        await positions.add_orders(connection, position_id, approved, roles)
        await submissions.insert(connection, submission, now_ns)
        self.when_approved(submission)
        await event_log.append(connection, RISK, [event], now_ns)


def _place_of_end(order: StrategyOrder) -> tuple[bool, bool]:
    """Sorts exits last, and the stop last of all: it protects the position while the other orders
    wait for an answer."""
    return order.is_exit, order.role == OrderRole.STOP


async def _rest(connection: Connection, position: Position, held: Decimal) -> Decimal:
    """The size to keep. It is computed once, when the exits are cancelled."""
    if position.close_rest:
        return Decimal(position.close_rest)
    keep = subtract(Decimal(WHOLE), Decimal(position.close_fraction))
    rest = product(held, keep)
    if position.size_step:
        rest = floor_to(rest, Decimal(position.size_step))
    await positions.request_close(
        connection,
        position,
        position.close_fraction,
        position.close_lifecycle_id,
        position.close_cause_id,
        plain(rest),
        flips=position.close_flips,
    )
    return rest
