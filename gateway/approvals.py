"""Signs orders and heartbeats for pages and scripts where no real money is involved."""

from collections.abc import Collection
from typing import Any

import grpc
from venuemesh.tradeflow.v1 import approvals_pb2, approvals_pb2_grpc, signed_pb2

from kit.base.clock import Clock
from kit.base.errors import BadRequest
from kit.execution.approval.keys import APPROVED_NS
from kit.execution.approval.signing import ApprovalSigner
from kit.execution.client_order_ids import check_request_id

Context = grpc.aio.ServicerContext[Any, Any]


class ApprovalsServicer(approvals_pb2_grpc.ApprovalsServicer):
    """Serves Approvals with one signing key."""

    def __init__(
        self, signer: ApprovalSigner, clock: Clock, accounts: Collection[str] | None = None
    ) -> None:
        """``accounts``: the accounts to sign for, each as "venue/account"; None: all accounts."""
        self._signer = signer
        self._clock = clock
        self._accounts = accounts

    async def Approve(
        self, request: approvals_pb2.ApproveRequest, context: Context
    ) -> approvals_pb2.ApproveResponse:
        check_request_id(request.request_id)
        self._check_account(request.content.venue, request.content.account)
        expires_ns = self._clock.time_ns() + APPROVED_NS
        operation = request.operation or signed_pb2.OPERATION_PLACE
        target = request.target_client_order_id
        approved = self._signer.approve(
            request.content, request.request_id, expires_ns, operation, target
        )
        return approvals_pb2.ApproveResponse(approved=approved)

    async def ApproveHeartbeat(
        self, request: approvals_pb2.ApproveHeartbeatRequest, context: Context
    ) -> approvals_pb2.ApproveHeartbeatResponse:
        self._check_account(request.venue, request.account)
        beat = self._signer.heartbeat(request.venue, request.account, self._clock.time_ns())
        return approvals_pb2.ApproveHeartbeatResponse(heartbeat=beat)

    def _check_account(self, venue: str, account: str) -> None:
        name = f"{venue}/{account}"
        if self._accounts is not None and name not in self._accounts:
            allowed = ", ".join(sorted(self._accounts))
            text = f"only orders of paper accounts are signed here: {allowed}; not {name}"
            raise BadRequest(text, field="account", value=name[:80], allowed=allowed)
