"""What an operator does in a soak: accounts that agree again are released, and at the end the
positions of strategies are closed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import grpc
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc, reconciliations_pb2

from kit.base.paging import whole_list

LOOK_SECONDS = 5.0
CALL_SECONDS_MAX = 60.0
RECONCILIATION = "reconciliation"
"""The rule that makes an account stand down."""
ACTIVE, CLOSING_ALL = risk_pb2.TRADING_MODE_ACTIVE, risk_pb2.TRADING_MODE_CLOSING_ALL
STATES = reconciliations_pb2.ReconciliationState
AGREES = reconciliations_pb2.RECONCILIATION_STATE_AGREES


class Operator:
    """Sets modes through the gateway."""

    def __init__(self, channel: grpc.aio.Channel, venues: Sequence[str]) -> None:
        """``channel``: of the gateway."""
        self._stub: inspector_pb2_grpc.InspectorAsyncStub = inspector_pb2_grpc.InspectorStub(
            channel
        )
        self._venues = venues

    async def run(self) -> None:
        """Release accounts that agree again, until cancelled. While a process is away it waits."""
        while True:
            with suppress(grpc.aio.AioRpcError):
                await self._release()
            await asyncio.sleep(LOOK_SECONDS)

    async def _release(self) -> None:
        state = await self._stub.GetState(inspector_pb2.GetStateRequest(), timeout=CALL_SECONDS_MAX)
        differing = [text.partition(":")[0] for text in await self.unreconciled()]
        for one in state.modes:
            if one.rule == RECONCILIATION and one.scope.removeprefix("account:") not in differing:
                await self._set(one.scope, ACTIVE, "the sides agree again")

    async def close_all(self) -> int:
        """Ask once that all positions of strategies are closed. Returns how many are open."""
        try:
            await self._set("mesh", CLOSING_ALL, "the end of the soak")
            request = inspector_pb2.GetStateRequest()
            state = await self._stub.GetState(request, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError:
            return 1
        return len(state.positions)

    async def unreconciled(self) -> list[str]:
        """The accounts on which venue, ledger and inspector do not agree."""
        request = reconciliations_pb2.ListReconciliationsRequest()
        found = await whole_list(self._stub.ListReconciliations, request, timeout=CALL_SECONDS_MAX)
        return [
            f"{one.venue}/{one.account}: {STATES.Name(one.state)} {one.unreadable}".rstrip()
            for one in found.reconciliations
            if one.venue in self._venues and one.state != AGREES
        ]

    async def _set(self, scope: str, mode: risk_pb2.TradingMode.ValueType, reason: str) -> None:
        request = inspector_pb2.SetModeRequest(scope=scope, mode=mode, reason=reason)
        await self._stub.SetMode(request, timeout=CALL_SECONDS_MAX)
