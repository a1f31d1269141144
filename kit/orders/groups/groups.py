"""The groups of one account, and what is done for them as their orders move.

Whenever an order of a group has changed, and now and then, a plan is made from how all of them
stand, and carried out. One piece of work at a time is under way for a group.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit import telemetry
from kit.clock import Clock
from kit.errors import VenuemeshError
from kit.orders.amounts import ZERO
from kit.orders.approval import plain
from kit.orders.calls import until
from kit.orders.contract import Desk
from kit.orders.groups import plan
from kit.orders.ledger import states
from kit.orders.ledger.entry import Entry
from kit.orders.ledger.ledger import Ledger
from kit.orders.pilot import Commit, Pilot

PAUSE_S = 1.0
"""How often each group is looked at without a cause, and what failed is tried again."""

_log = telemetry.logger("orders.groups")


@dataclass(frozen=True, slots=True)
class Means:
    """What groups are worked with."""

    desk: Desk
    ledger: Ledger
    pilot: Pilot
    commit: Commit
    clock: Clock
    instrument: Callable[[str], types_pb2.Instrument | None]
    is_ready: Callable[[], bool]
    """Whether journal and venue agree: only then anything is done."""


class Groups:
    """Those of one account."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._open: set[str] = set()
        """Ids of those with an order that waits, or is at the venue."""
        self._due: set[str] = set()
        self._working: set[str] = set()
        self._woken = asyncio.Event()

    def order(self, entry: Entry) -> None:
        """An order is new, or has changed."""
        if entry.group_id:
            self._due.add(entry.group_id)
            self._woken.set()

    def is_armed(self, entry: Entry) -> bool:
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

    def _end(self, group_id: str, members: list[Entry]) -> None:
        if group_id not in self._open:
            return
        self._open.discard(group_id)
        instrument = self._means.instrument(members[0].symbol)
        left = plan.left_of(members, instrument) if instrument is not None else ZERO
        if left:
            _log.warning("group ended with a rest", extra={"group": group_id, "left": plain(left)})

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

    def _plan(self, members: list[Entry]) -> plan.Plan | None:
        means = self._means
        instrument = means.instrument(members[0].symbol) if members else None
        if instrument is None:
            return None
        scene = plan.Scene(
            instrument=instrument,
            rules=means.desk.rules,
            now_ns=means.clock.time_ns(),
            is_placing=means.pilot.is_placing,
        )
        return plan.make(members, scene)

    def _members(self, group_id: str) -> list[Entry]:
        return self._means.ledger.index.groups.get(group_id, [])
