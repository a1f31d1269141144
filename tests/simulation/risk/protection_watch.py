"""Looks at the venue all the time, whether each position of the inspector has its stop there."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from core.inspector import positions, protection_store
from core.inspector.protection import WORKING
from kit.accounting.amounts import ZERO
from kit.execution.request_ids import ATTEMPT_MARK
from tests.simulation.chain.venue import BUY, STOP
from tests.simulation.risk.promises import Promise

LOOK_S = 0.1
PROTECTED_S = 2.0
CLOSING_S = 6.0
"""The same while the inspector closes or reduces the position."""
ANSWER_S = 0.5
"""An answer of the venue that takes longer is a fault."""
FAULTS = {"crash": 0, "commit failed": 1, "commit unanswered": 1, "commit hangs": 12}
"""What may keep the inspector from looking, and for how long, in seconds."""


@dataclass
class Unprotected:
    """A position without its stop."""

    since_s: float
    is_reported: bool = False


class ProtectionWatch:
    """Measures the time of positions without a stop, while an inspector can do something."""

    def __init__(self, run):
        self._run = run
        self._times = {}
        self._fault_s = 0
        """When the inspector could not look last."""
        self._acting = None
        self._noted = {}

    async def run(self):
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _look(self):
        now_s = asyncio.get_running_loop().time()
        self._look_for_faults(now_s)
        async with self._run.database.transaction() as connection:
            found = await positions.all_open(connection)
            for one in found:
                orders = await positions.orders_of(connection, one)
                if self._is_protected(one, orders):
                    self._times.pop(one.position_id, None)
                else:
                    await self._judge(connection, one, now_s)
        for position_id in self._times.keys() - {one.position_id for one in found}:
            del self._times[position_id]

    def _look_for_faults(self, now_s):
        run, counts = self._run, self._run.history.counts
        process = run.acting()
        for kind, lasts_s in FAULTS.items():
            if counts[kind] != self._noted.get(kind, 0):
                self._noted[kind] = counts[kind]
                self._fault_s = max(self._fault_s, now_s + lasts_s)
        is_away = process is None or process.name in run.faults.away
        if is_away or process is not self._acting or run.venue.is_late(now_s, ANSWER_S):
            self._fault_s = max(self._fault_s, now_s)
        self._acting = process

    def _is_protected(self, position, orders):
        venue, names = self._run.venue, {one.request_id for one in orders}
        own = [
            one
            for one in venue.orders.values()
            if one.request_id.partition(ATTEMPT_MARK)[0] in names
        ]
        keys = {one.client_order_id for one in own}
        held = positions.held(one for one in orders if not one.request_id)
        for fill in venue.all_fills:
            if fill.client_order_id in keys:
                size = Decimal(fill.size)
                held += size if fill.side == BUY else -size
                held -= Decimal(fill.fee.amount) if fill.fee.asset == position.base_asset else ZERO
        stops = (one for one in own if one.content.type == STOP and one.state in WORKING)
        return sum(map(venue.left, stops)) >= position.tradable(abs(held))

    async def _judge(self, connection, position, now_s):
        time = self._times.setdefault(position.position_id, Unprotected(now_s))
        limit_s = CLOSING_S if position.is_closing else PROTECTED_S
        if time.is_reported or now_s - max(time.since_s, self._fault_s) <= limit_s:
            return
        time.is_reported = True
        self._run.history.note("unprotected")
        if position.position_id not in await protection_store.alarms(connection):
            text = f"{position.position_id.hex()} has had none since {time.since_s:.1f} s"
            self._run.history.broke(Promise.PROTECTED, text)
