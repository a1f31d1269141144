"""Calls to the process of a venue: answers are lost, late, unclear or slow."""

import asyncio
import contextvars

from core.inspector.tests.lying_venue import LyingVenue
from core.inspector.venue_processes import CallRefused, NoAnswer
from tests.simulation.chain.venue_faults import FAULTS, NOT_CLEAR, NOTHING_TAKEN


class UnreliableCalls(LyingVenue):
    """VenueOrders whose faults are drawn."""

    def __init__(self, chance, clock, shares, history):
        super().__init__(clock)
        self._chance, self._shares, self._history = chance, shares, history
        self.loses_next_place = False
        """Whether the next call to place orders does not arrive."""

    async def _call(self, name, act, late=None):
        chance, shares = self._chance, self._shares
        await self.clock.sleep(chance.choice((0.001, 0.02, 0.2)))
        fault = chance.choice(FAULTS) if chance.random() < shares.calls else ""
        if name == "place" and self.loses_next_place:
            self.loses_next_place, fault = False, "lost"
        self._history.note(f"call {name}", fault)
        if fault == "late":
            self._later(chance.choice((0.3, 3, 12, 30)), lambda: self._try(act))
        if fault == "unanswered" or (fault == "not clear" and chance.random() < 0.5):
            self._try(act)
        if fault == "not clear":
            raise CallRefused(chance.choice(NOT_CLEAR), "simulated")
        if fault in ("lost", "late", "unanswered"):
            await self.clock.sleep(chance.choice((0.05, 1, 15)))
            raise NoAnswer(fault)
        if name == "place" and chance.random() < shares.refused:
            raise CallRefused(chance.choice(NOTHING_TAKEN), "simulated")
        answer = act()
        await self.clock.sleep(chance.choice((1, 6, 14)) if fault == "slow" else 0.001)
        return answer

    async def _point(self, name):
        await self.clock.sleep(self._chance.choice((0.001, 0.02)))
        if self._chance.random() < self._shares.calls / 2:
            await self.clock.sleep(self._chance.choice((0.05, 3)))
            raise NoAnswer(name)

    def _try(self, act):
        try:
            act()
        except CallRefused as refused:
            self._history.note("refused late", str(refused))

    def _later(self, seconds, act):
        """Do something later, whatever happens to the process that has asked for it."""
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, act, context=contextvars.Context())
