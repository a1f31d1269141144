"""What verdicts rest on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from venuemesh.common.v1 import types_pb2

from core.inspector import modes, submissions
from core.inspector.policy import Policy
from core.inspector.verdicts import RiskState
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import Connection

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND

FindInstrument = Callable[[str, str], Awaitable[types_pb2.Instrument | None]]
"""Returns the terms of an instrument of a venue, or None."""


@dataclass(frozen=True, slots=True)
class RiskRules:
    """What verdicts rest on."""

    policy: Policy
    world: str
    approval_ns: int
    """How long an approval is valid."""
    instrument: FindInstrument
    clock: Clock

    async def state(
        self,
        connection: Connection,
        scopes: list[str],
        instrument: types_pb2.Instrument | None,
        open_positions: int = 0,
    ) -> RiskState:
        """What an order is compared with now."""
        now_ns = self.clock.time_ns()
        return RiskState(
            now_ns,
            await modes.load(connection, scopes, self.world),
            instrument,
            open_positions,
            await submissions.recent_entries(connection, now_ns - MINUTE_NS),
        )
