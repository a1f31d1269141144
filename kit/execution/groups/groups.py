"""The groups of one account, and what is done for them as their orders move.

Whenever an order of a group has changed, and now and then, a plan is made from how all of them
stand, and carried out. One piece of work at a time is under way for a group.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.execution.amounts import ZERO
from kit.execution.approval import plain
from kit.execution.calls import until
from kit.execution.contract import ExecutionClient
from kit.execution.groups import exit_retry, plan
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.submitter import Commit, OrderSubmitter

PAUSE_S = 1.0
"""How often each group is looked at without a cause, and what failed is tried exit_retry."""
LEFT_OPEN_MAX = 100

_log = telemetry.logger("orders.groups")


@dataclass(frozen=True, slots=True)
class Means:
    """What groups are worked with."""

    desk: ExecutionClient
    ledger: AccountState
    pilot: OrderSubmitter
    commit: Commit
    clock: Clock
    instrument: Callable[[str], types_pb2.Instrument | None]
    is_ready: Callable[[], bool]
    """Whether journal and venue agree: only then anything is done."""
    tell: Callable[[differences_pb2.Difference], None]


class Groups:
    """Those of one account."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._open: set[str] = set()
        """Ids of those with an order that waits, or is at the venue."""
        self._due: set[str] = set()
        self._working: set[str] = set()
        self._woken = asyncio.Event()
        self._attempts = exit_retry.ExitRetries(
            means.ledger, means.pilot, means.commit, means.clock
        )
        self._told: set[str] = set()
        """Keys of exits of which it was said that they are missing."""
        self.left_open: deque[differences_pb2.Difference] = deque(maxlen=LEFT_OPEN_MAX)
        """What was left open without an exit, in this run, oldest first."""

    def order(self, entry: Order) -> None:
        """An order is new, or has changed."""
        if entry.group_id:
            # At once: who cancels all from here on cancels the next attempt too.
            self._attempts.make(entry, self._members(entry.group_id))
            self._due.add(entry.group_id)
            self._woken.set()

    def resume(self) -> None:
        """After a start, when the orders of the journal stand where they can go on."""
        now_ns = self._means.clock.time_ns()
        for group_id, members in self._means.ledger.index.groups.items():
            self._attempts.resume(members)
            if any(now_ns - one.updated_time_ns < exit_retry.RECENT_NS for one in members):
                self._open.add(group_id)
                self._due.add(group_id)

    def is_armed(self, entry: Order) -> bool:
        """Whether a price may wake an order that waits: an exit only when there is something to
        close."""
        if entry.content.group.role != orders_pb2.GROUP_ROLE_EXIT:
            return True
        opening = plan.entry_of(self._members(entry.group_id))
        return opening is not None and bool(opening.filled)

    async def run(self) -> None:
        """Work, for ever."""
        while True:
            self._woken.clear()
            if self._means.is_ready():
                due, self._due = self._due, set()
                for group_id in due:
                    self.look(group_id)
            if not await until(self._woken, self._means.clock, PAUSE_S):
                self._due |= self._open

    def look(self, group_id: str) -> None:
        """Do what is to be done for a group now, or begin it."""
        members = self._members(group_id)
        for one in members:
            if one.state == states.INTENDED and exit_retry.number_of(one) > 1:
                self._attempts.keep(one)
        if group_id in self._open:
            self._tell(group_id, members)
        if all(one.is_final for one in plan.exits_of(members)):
            self._end(group_id, members)
            return
        self._open.add(group_id)
        found = self._plan(members)
        if found is None or group_id in self._working or not self._means.is_ready():
            return
        ledger = self._means.ledger
        for one in members:
            detail = found.ends.get(one.key)
            if detail is not None:
                ledger.move(one, states.CANCELLED, detail=detail)
            elif found.size is not None and one.takes_turns and one.held and not one.is_leaving:
                ledger.resize(one, found.size)
        if found.cancels or found.sends is not None:
            self._working.add(group_id)
            self._means.pilot.works.start(self._work(group_id))

    def _end(self, group_id: str, members: list[Order]) -> None:
        if group_id not in self._open:
            return
        self._open.discard(group_id)
        self._told.difference_update(one.key for one in members)
        left = self._left(members)
        if left:
            _log.warning("group ended with a rest", extra={"group": group_id, "left": plain(left)})

    def _tell(self, group_id: str, members: list[Order]) -> None:
        """Say of each exit that is missing what is open without it, once."""
        for one in exit_retry.given_up(members, self._means.clock.time_ns()):
            left = self._left(members)
            if not left or one.key in self._told:
                continue
            self._told.add(one.key)
            waiting = sum(not other.is_final for other in plan.exits_of(members))
            state = orders_pb2.OrderState.Name(one.state).removeprefix("ORDER_STATE_")
            words = f"{state} after {exit_retry.number_of(one)} attempts: {one.detail}"
            rest = f"{waiting} other exits go on" if waiting else "no exit is left: close it"
            said = differences_pb2.Difference(
                kind=differences_pb2.DIFFERENCE_KIND_LEFT_OPEN,
                symbol=one.symbol,
                client_order_id=one.key,
                expected="0",
                found=plain(left),
                detail=f"an exit of the group {group_id} is {words}; {rest}",
            )
            self.left_open.append(said)
            self._means.tell(said)
            _log.error("exit is missing", extra={"group": group_id, "left": plain(left)})

    def _left(self, members: list[Order]) -> Decimal:
        instrument = self._means.instrument(members[0].symbol)
        return plan.left_of(members, instrument) if instrument is not None else ZERO

    async def _work(self, group_id: str) -> None:
        try:
            # Why something is taken back is on the disk before: who comes after a crash goes on.
            await self._means.commit()
            found = self._plan(self._members(group_id))
            if found is None or not self._means.is_ready():
                return
            pilot = self._means.pilot
            if found.cancels:
                await asyncio.gather(*map(pilot.cancel, found.cancels))
            elif found.sends is not None and found.sends.size == found.size:
                await pilot.release(found.sends)
            self._due.add(group_id)
        except VenuemeshError as error:
            # It is tried again after the pause.
            _log.error("group not worked", extra={"group": group_id, "detail": error.message})
        finally:
            self._working.discard(group_id)
            self._woken.set()

    def _plan(self, members: list[Order]) -> plan.Plan | None:
        means = self._means
        instrument = means.instrument(members[0].symbol) if members else None
        if instrument is None:
            return None
        scene = plan.Scene(
            instrument=instrument,
            rules=means.desk.capabilities,
            now_ns=means.clock.time_ns(),
            is_placing=means.pilot.is_placing,
        )
        return plan.make(members, scene)

    def _members(self, group_id: str) -> list[Order]:
        return self._means.ledger.index.groups.get(group_id, [])
