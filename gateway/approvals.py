"""Signs orders and heartbeats of pages and scripts, in worlds where nothing real hangs on them."""

from typing import Any

import grpc
from venuemesh.tradeflow.v1 import approvals_pb2, approvals_pb2_grpc

from kit.clock import Clock
from kit.errors import BadRequest
from kit.orders.approval import Signer
from kit.orders.ids import REQUEST_ID
from kit.orders.keys import APPROVED_NS

Context = grpc.aio.ServicerContext[Any, Any]


class ApprovalsServicer(approvals_pb2_grpc.ApprovalsServicer):
    """Answers Approvals with one key."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock

    async def Approve(
        self, request: approvals_pb2.ApproveRequest, context: Context
    ) -> approvals_pb2.ApproveResponse:
        if not REQUEST_ID.fullmatch(request.request_id):
            raise BadRequest(
                "no request id",
                field="request_id",
                value=request.request_id[:80],
                allowed="1 to 64 of A-Z a-z 0-9 . _ : -",
            )
        expires_ns = self._clock.time_ns() + APPROVED_NS
        approved = self._signer.approve(request.content, request.request_id, expires_ns)
        return approvals_pb2.ApproveResponse(approved=approved)

    async def ApproveHeartbeat(
        self, request: approvals_pb2.ApproveHeartbeatRequest, context: Context
    ) -> approvals_pb2.ApproveHeartbeatResponse:
        beat = self._signer.beat(request.venue, request.account, self._clock.time_ns())
        return approvals_pb2.ApproveHeartbeatResponse(heartbeat=beat)
