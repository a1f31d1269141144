"""The policy and the other inputs of verdicts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from venuemesh.common.v1 import types_pb2

from core.inspector import modes, risk_facts
from core.inspector.equity_facts import FindPrice, no_price
from core.inspector.open_entries import NO_ORDER, OrderKey
from core.inspector.risk_facts import FactsRequest
from core.inspector.verdicts import RiskState
from kit.base.clock import Clock
from kit.base.database import Connection
from kit.risk.policy import Policy
from kit.risk.scopes import Place

FindInstrument = Callable[[str, str], Awaitable[types_pb2.Instrument | None]]
"""Returns the terms of an instrument of a venue, or None."""


@dataclass(slots=True)
class RiskRules:
    """The policy and the other inputs of verdicts. A changed policy file replaces the policy."""

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
        """The current state for the verdict on an entry. ``amended``: an order that it replaces."""
        state = await self.reduction_state(connection, place)
        request = FactsRequest(place, instrument, state.now_ns, self.policy.needs, amended)
        facts = await risk_facts.gather(connection, request, self.price)
        return replace(
            state,
            instrument=instrument,
            open_positions=open_positions,
            recent_entries=sum(one.count for one in facts.recent or ()),
            facts=facts,
        )

    async def reduction_state(self, connection: Connection, place: Place) -> RiskState:
        """The current state for the verdict on a reduction, which no limit blocks."""
        scopes = modes.scopes_of(place.venue, place.account, place.strategy)
        found = await modes.load(connection, scopes, self.world)
        return RiskState(self.clock.time_ns(), found, None, 0, 0)
