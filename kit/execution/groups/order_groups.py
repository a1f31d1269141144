"""The groups of one account: plans and carries out what their orders need.

Whenever an order of a group has changed, and once a second, a plan is made from the states of all
its orders and carried out. Each group has at most one piece of work under way.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.accounting.amounts import ZERO
from kit.base import telemetry
from kit.base.errors import VenuemeshError
from kit.execution.approval import plain
from kit.execution.groups import exit_retry, group_plan
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.readiness import Readiness
from kit.execution.reference_prices import ReferenceMarketData
from kit.execution.submitter import OrderSubmitter
from kit.execution.tasks import wait_for_event

PAUSE_S = 1.0
"""How often each group is planned without a change, and failed work is tried again."""
LEFT_OPEN_MAX = 100

_log = telemetry.logger("orders.groups")


class OrderGroups:
    """The groups of one account."""

    def __init__(
        self,
        submitter: OrderSubmitter,
        market: ReferenceMarketData,
        readiness: Readiness,
        publish: Callable[[differences_pb2.Difference], None],
    ) -> None:
        """``publish`` is given each position that is left open without an exit."""
        self._submitter = submitter
        self._state = submitter.state
        self._clock = submitter.clock
        self._market = market
        self._readiness = readiness
        self._publish = publish
        self._open: set[str] = set()
        """Ids of groups with an order that is held here or at the venue."""
        self._due: set[str] = set()
        self._working: set[str] = set()
        self._wake = asyncio.Event()
        self._retries = exit_retry.ExitOrderRetries(submitter)
        self._published: set[str] = set()
        """Keys of exits that were published as missing."""
        self.left_open: deque[differences_pb2.Difference] = deque(maxlen=LEFT_OPEN_MAX)
        """What was left open without an exit in this run, oldest first."""

    def order_changed(self, order: Order) -> None:
        """Plan the group of an order that is new or has changed."""
        if order.group_id:
            # At once, so a cancellation of all orders from here on includes the next attempt.
            self._retries.make(order, self._members(order.group_id))
            self._due.add(order.group_id)
            self._wake.set()

    def recover(self) -> None:
        """After a start, once all orders are recovered: resume the groups that are open or ended
        lately."""
        now_ns = self._clock.time_ns()
        for group_id, members in self._state.index.groups.items():
            self._retries.recover(members)
            if any(now_ns - one.updated_time_ns < exit_retry.RECENT_NS for one in members):
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
            if self._readiness.is_ready:
                due, self._due = self._due, set()
                for group_id in due:
                    self.advance(group_id)
            if not await wait_for_event(self._wake, self._clock, PAUSE_S):
                self._due |= self._open

    def advance(self, group_id: str) -> None:
        """Plan a group, and carry out the plan or start to."""
        members = self._members(group_id)
        for one in members:
            if one.state == order_states.INTENDED and exit_retry.number_of(one) > 1:
                self._retries.write(one)
        if group_id in self._open:
            self._publish_missing_exits(group_id, members)
        if all(one.is_final for one in group_plan.exits_of(members)):
            self._end(group_id, members)
            return
        self._open.add(group_id)
        found = self._plan(members)
        if found is None or group_id in self._working or not self._readiness.is_ready:
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
        self._published.difference_update(one.key for one in members)
        left = self._left(members)
        if left:
            _log.warning("group ended incomplete", extra={"group": group_id, "left": plain(left)})

    def _publish_missing_exits(self, group_id: str, members: list[Order]) -> None:
        """Publish what is open without an exit, once for each exit that is missing."""
        for one in exit_retry.missing_exits(members, self._clock.time_ns()):
            left = self._left(members)
            if not left or one.key in self._published:
                continue
            self._published.add(one.key)
            open_count = sum(not other.is_final for other in group_plan.exits_of(members))
            attempts = exit_retry.number_of(one)
            rest = (
                f"{open_count} other exits are open" if open_count else "no exit is left: close it"
            )
            difference = differences_pb2.Difference(
                kind=differences_pb2.DIFFERENCE_KIND_LEFT_OPEN,
                symbol=one.symbol,
                client_order_id=one.key,
                expected="0",
                found=plain(left),
                detail=f"an exit of the group {group_id} is {order_states.name_of(one.state)}"
                f" after {attempts} attempts: {one.detail}; {rest}",
            )
            self.left_open.append(difference)
            self._publish(difference)
            _log.error("exit is missing", extra={"group": group_id, "left": plain(left)})

    def _left(self, members: list[Order]) -> Decimal:
        instrument = self._market.instrument(members[0].symbol)
        return group_plan.left_of(members, instrument) if instrument is not None else ZERO

    async def _work(self, group_id: str) -> None:
        try:
            # The reason for a cancellation is on disk before it: after a crash it is made again.
            await self._submitter.journal.commit()
            found = self._plan(self._members(group_id))
            if found is None or not self._readiness.is_ready:
                return
            if found.cancels:
                await asyncio.gather(*map(self._submitter.cancel, found.cancels))
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
