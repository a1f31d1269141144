"""The groups of one account: plans and carries out what their orders need.

Whenever an order of a group has changed, and once a second, a plan is made from the states of all
its orders and carried out. Each group has at most one piece of work under way.
"""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import ZERO, plain
from kit.base import telemetry
from kit.base.errors import VenuemeshError
from kit.execution.groups import group_plan
from kit.execution.order_types import CONDITIONAL, TAKE_PROFITS
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.readiness import Readiness
from kit.execution.sending.attempts import ended_unasked, number_of
from kit.execution.sending.outcome_resolver import NEVER_RECEIVED
from kit.execution.sending.retries import PUBLISHED_NS, OrderRetries
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.tasks import in_parts, wait_for_event

PAUSE_S = 1.0
"""How often each group is planned without a change, and failed work is tried again."""

_log = telemetry.logger("orders.groups")


class OrderGroups:
    """The groups of one account."""

    def __init__(
        self,
        submitter: OrderSubmitter,
        market: ReferenceMarketData,
        readiness: Readiness,
        retries: OrderRetries,
    ) -> None:
        self._submitter = submitter
        self._state = submitter.state
        self._clock = submitter.clock
        self._market = market
        self.readiness = readiness
        self._open: set[str] = set()
        """Ids of groups with an order that is held here or at the venue."""
        self._due: set[str] = set()
        self._working: set[str] = set()
        self._wake = asyncio.Event()
        self._retries = retries

    def order_changed(self, order: Order) -> None:
        """Plan the group of an order that is new or has changed."""
        if order.group_id:
            self._due.add(order.group_id)
            self._wake.set()

    async def recover(self) -> None:
        """After a start, once all orders are recovered: resume the groups that are open or ended
        lately."""
        now_ns = self._clock.time_ns()
        async for group_id, members in in_parts(self._state.index.groups.items()):
            if any(now_ns - one.updated_time_ns < PUBLISHED_NS for one in members):
                self._open.add(group_id)
                self._due.add(group_id)

    def is_armed(self, order: Order) -> bool:
        """Whether a price may trigger an order that is held here: an exit only when its entry has a
        fill."""
        if order.content.group.role != orders_pb2.GROUP_ROLE_EXIT:
            return True
        entry = group_plan.entry_of(self._members(order.group_id))
        return entry is not None and bool(entry.filled_size)

    async def run(self) -> None:
        """Advance the groups, for ever."""
        while True:
            self._wake.clear()
            if self.readiness.is_reconciled:
                due, self._due = self._due, set()
                async for group_id in in_parts(due):
                    self.advance(group_id)
            if not await wait_for_event(self._wake, self._clock, PAUSE_S):
                self._due |= self._open

    def advance(self, group_id: str) -> None:
        """Plan a group, and carry out the plan or start to."""
        members = self._members(group_id)
        self._publish_missing_exits(group_id, members)
        if all(one.is_final for one in group_plan.exits_of(members)):
            self._end(group_id, members)
            return
        self._open.add(group_id)
        found = self._plan(members)
        if found is None or group_id in self._working or not self.readiness.is_reconciled:
            return
        for one in members:
            detail = found.ends.get(one.key)
            if detail is not None:
                self._state.transition(one, order_states.CANCELLED, detail=detail)
            elif (
                found.size is not None and one.takes_turns and one.held_here and not one.is_sending
            ):
                self._state.resize(one, found.size)
        if found.cancels or found.sends is not None:
            self._working.add(group_id)
            self._submitter.tasks.start(self._work(group_id))

    def _end(self, group_id: str, members: list[Order]) -> None:
        if group_id not in self._open:
            return
        self._open.discard(group_id)
        left = self._left(members)
        if left:
            _log.warning("group ended incomplete", extra={"group": group_id, "left": plain(left)})

    def _publish_missing_exits(self, group_id: str, members: list[Order]) -> None:
        """Publish what is open without an exit, once for each exit that is missing."""
        for one in self._missing_exits(members):
            left = self._left(members)
            if not left:
                continue
            open_exits = [other for other in group_plan.exits_of(members) if not other.is_final]
            rest = f"{len(open_exits)} other exits are open"
            if not open_exits:
                rest = "no exit is left: close it"
            elif not any(map(_limits_loss, open_exits)):
                rest += ", but no stop is left: place one or close it"
            detail = (
                f"an exit of the group {group_id} is {order_states.name_of(one.state)} after "
                f"{number_of(one)} attempts: {one.detail}; {rest}"
            )
            self._retries.publish_left_open(one, left, detail)

    def _missing_exits(self, members: list[Order]) -> Iterator[Order]:
        """Yield the exits that ended lately against the will of their caller and are not tried
        again. While other exits are open, these are only those that the venue rejected, and stops
        if no other stop is open."""
        exits = group_plan.exits_of(members)
        now_ns = self._clock.time_ns()
        open_exits = [one for one in exits if not one.is_final]
        has_stop = any(map(_limits_loss, open_exits))
        for one in exits:
            is_last_stop = _limits_loss(one) and not has_stop
            is_lost = one.state == order_states.REJECTED or not open_exits or is_last_stop
            is_recent = now_ns - one.updated_time_ns < PUBLISHED_NS
            is_retried = self._retries.next_of(one) is not None
            if is_lost and is_recent and _ended_by_itself(one) and not is_retried:
                yield one

    def _left(self, members: list[Order]) -> Decimal:
        # A group that could not be written has no orders any more.
        instrument = self._market.instrument(members[0].symbol) if members else None
        return group_plan.left_of(members, instrument) if instrument is not None else ZERO

    async def _work(self, group_id: str) -> None:
        try:
            # The reason for a cancellation is on disk before it: after a crash it is made again.
            await self._submitter.journal.commit()
            found = self._plan(self._members(group_id))
            if found is None or not self.readiness.is_reconciled:
                return
            if found.cancels:
                await asyncio.gather(*map(self._submitter.cancel, found.cancels))
            elif found.sends is not None and not self.readiness.allows(found.sends):
                return
            elif found.sends is not None and found.sends.size == found.size:
                await self._submitter.release(found.sends)
            self._due.add(group_id)
        except VenuemeshError as error:
            # It is tried again after the pause.
            _log.error("group failed", extra={"group": group_id, "detail": error.message})
        finally:
            self._working.discard(group_id)
            self._wake.set()

    def _plan(self, members: list[Order]) -> group_plan.GroupPlan | None:
        instrument = self._market.instrument(members[0].symbol) if members else None
        if instrument is None:
            return None
        inputs = group_plan.GroupPlanInputs(
            instrument=instrument,
            capabilities=self._submitter.client.capabilities,
            now_ns=self._clock.time_ns(),
            is_placing=self._submitter.is_placing,
        )
        return group_plan.make(members, inputs)

    def _members(self, group_id: str) -> list[Order]:
        return self._state.index.groups.get(group_id, [])


def _limits_loss(order: Order) -> bool:
    """Whether an exit is a stop; the others close with a gain."""
    return order.type in CONDITIONAL - TAKE_PROFITS


def _ended_by_itself(order: Order) -> bool:
    """Whether neither a fill, its caller nor its group ended an exit, and whether the answer to the
    caller did not say so. The end of an entry without a fill is a reason until it has one."""
    if not order.is_final or order.cancel_requested or order.state == order_states.FILLED:
        return False
    if order.state == order_states.REJECTED:
        # One that was sent with its group is rejected in the answer, or was open or in doubt there.
        return ended_unasked(order) or order.was_at_venue or order.detail == NEVER_RECEIVED
    is_ended_here = order.held_here and order.state == order_states.CANCELLED
    return not is_ended_here or order.detail == group_plan.NO_FILL
