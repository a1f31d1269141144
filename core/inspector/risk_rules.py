"""What verdicts rest on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from venuemesh.common.v1 import types_pb2

from core.inspector import modes, risk_facts
from core.inspector.risk_facts import NO_ORDER, FindPrice, OrderKey, no_price
from core.inspector.verdicts import RiskState
from kit.base.clock import Clock
from kit.base.database import Connection
from kit.risk.policy import Policy
from kit.risk.scopes import Place

FindInstrument = Callable[[str, str], Awaitable[types_pb2.Instrument | None]]
"""Returns the terms of an instrument of a venue, or None."""


@dataclass(slots=True)
class RiskRules:
    """What verdicts rest on. The policy is replaced when its file changes."""

    policy: Policy
    world: str
    approval_ns: int
    """How long an approval is valid."""
    instrument: FindInstrument
    clock: Clock
    price: FindPrice = no_price

    async def entry_state(
        self,
        connection: Connection,
        place: Place,
        instrument: types_pb2.Instrument | None,
        open_positions: int = 0,
        amended: OrderKey = NO_ORDER,
    ) -> RiskState:
        """What an entry is compared with now. ``amended``: an order whose place it takes."""
        state = await self.reduction_state(connection, place)
        # All closings of a day are read for the newest losses, which takes milliseconds.
        strategy = place.strategy if self.policy.needs_losses else ""
        facts = await risk_facts.gather(
            connection, strategy, instrument, self.price, state.now_ns, amended
        )
        return replace(
            state,
            instrument=instrument,
            open_positions=open_positions,
            recent_entries=sum(one.count for one in facts.recent or ()),
            facts=facts,
        )

    async def reduction_state(self, connection: Connection, place: Place) -> RiskState:
        """What is noted with a reduction. It depends on nothing that a limit needs."""
        scopes = modes.scopes_of(place.venue, place.account, place.strategy)
        found = await modes.load(connection, scopes, self.world)
        return RiskState(self.clock.time_ns(), found, None, 0, 0)
