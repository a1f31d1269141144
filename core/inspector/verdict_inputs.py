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
from kit.base.database import Connection, PendingRead
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey

FindInstrument = Callable[[str, str], Awaitable[types_pb2.Instrument | None]]
"""Returns the terms of an instrument of a venue, or None."""


@dataclass(slots=True)
class VerdictInputs:
    """The policy and the other inputs of verdicts. A changed policy file replaces the policy."""

    policy: Policy
    world: str
    approval_ns: int
    """How long an approval is valid."""
    instrument: FindInstrument
    clock: Clock
    price: FindPrice = no_price

    async def send_entry_reads(
        self,
        connection: Connection,
        position_key: PositionKey,
        instrument: types_pb2.Instrument | None,
        amended: OrderKey = NO_ORDER,
    ) -> PendingRead[RiskState]:
        """Read the state for the verdict on an entry. ``amended``: an order that it replaces."""
        state = await self.send_reduction_reads(connection, position_key)
        request = FactsRequest(
            position_key, instrument, self.clock.time_ns(), self.policy.needs, amended
        )
        facts = await risk_facts.send_reads(connection, request, self.price)

        async def answer() -> RiskState:
            found = await facts()
            return replace(
                await state(),
                instrument=instrument,
                recent_entries=sum(one.count for one in found.recent or ()),
                facts=found,
            )

        return answer

    async def reduction_state(self, connection: Connection, position_key: PositionKey) -> RiskState:
        """The current state for the verdict on a reduction, which no limit blocks."""
        return await (await self.send_reduction_reads(connection, position_key))()

    async def send_reduction_reads(
        self, connection: Connection, position_key: PositionKey
    ) -> PendingRead[RiskState]:
        """``reduction_state`` without waiting."""
        scopes = modes.scopes_of(position_key.venue, position_key.account, position_key.strategy)
        found = await modes.send_load(connection, scopes, self.world)

        async def answer() -> RiskState:
            read = await found()
            # The transaction may have waited for others until now.
            return RiskState(self.clock.time_ns(), read, None, 0, 0)

        return answer
