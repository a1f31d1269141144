"""What approves the requests of ``./venuemesh order``.

Of a mesh on this machine it is the key of ``--key``, or the development key of the data folder. Of
another mesh it is the key of ``--key``, or the service Approvals of that mesh, which signs for
paper accounts and, outside the world live, for all.
"""

import argparse
import time
from typing import Protocol

import grpc
from venuemesh.tradeflow.v1 import approvals_pb2, approvals_pb2_grpc, orders_pb2, signed_pb2

from kit.base import errors, settings
from kit.execution.approval.keys import APPROVED_NS, development_signer
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.contract import Operation
from kit.execution.settings import OrdersSettings
from ops import gateway
from ops.errors import OperationsError
from ops.gateway import Gateway
from ops.orders import signing

CALL_SECONDS_MAX = 30


class Approver(Protocol):
    """Approves orders and heartbeats."""

    signs_cancels: bool
    """Whether the account may know its key; others cancel without an approval."""

    async def approve(
        self,
        content: orders_pb2.OrderContent,
        request_id: str,
        operation: Operation = signed_pb2.OPERATION_PLACE,
        target: str = "",
    ) -> signed_pb2.ApprovedOrder:
        """``target``: client order id of the order to amend or to cancel."""

    async def heartbeat(self, venue: str, account: str) -> signed_pb2.HeartbeatRequest:
        """A heartbeat of now."""


class KeyApprover:
    """Approves with a key."""

    def __init__(self, signer: ApprovalSigner, *, signs_cancels: bool) -> None:
        self.signs_cancels = signs_cancels
        self._signer = signer

    async def approve(
        self,
        content: orders_pb2.OrderContent,
        request_id: str,
        operation: Operation = signed_pb2.OPERATION_PLACE,
        target: str = "",
    ) -> signed_pb2.ApprovedOrder:
        expires_ns = time.time_ns() + APPROVED_NS
        return self._signer.approve(content, request_id, expires_ns, operation, target)

    async def heartbeat(self, venue: str, account: str) -> signed_pb2.HeartbeatRequest:
        return self._signer.heartbeat(venue, account, time.time_ns())


class ServiceApprover:
    """Approves through the service Approvals of the mesh."""

    signs_cancels = True

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = approvals_pb2_grpc.ApprovalsStub(channel)

    async def approve(
        self,
        content: orders_pb2.OrderContent,
        request_id: str,
        operation: Operation = signed_pb2.OPERATION_PLACE,
        target: str = "",
    ) -> signed_pb2.ApprovedOrder:
        request = approvals_pb2.ApproveRequest(
            content=content,
            request_id=request_id,
            operation=operation,
            target_client_order_id=target,
        )
        try:
            return (await self._stub.Approve(request, timeout=CALL_SECONDS_MAX)).approved
        except grpc.aio.AioRpcError as error:
            raise _not_approved(error) from None

    async def heartbeat(self, venue: str, account: str) -> signed_pb2.HeartbeatRequest:
        request = approvals_pb2.ApproveHeartbeatRequest(venue=venue, account=account)
        try:
            answer = await self._stub.ApproveHeartbeat(request, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            raise _not_approved(error) from None
        return answer.heartbeat


async def approver(
    chosen: argparse.Namespace, mesh: Gateway, channel: grpc.aio.Channel
) -> Approver:
    """What approves the requests of this command. Raises OperationsError, SettingError."""
    orders = settings.load(OrdersSettings, "orders")
    data = mesh.data or gateway.data_of(chosen)
    if mesh.local is not None:
        scope = MeshScope(mesh.local.mesh_id, mesh.local.world)
    elif signing.names_key(chosen):
        answer = await gateway.services(channel, gateway.KIND_REGISTRY)
        scope = MeshScope(answer.mesh_id, answer.world)
    else:
        return ServiceApprover(channel)
    own = signing.own_signer(chosen, scope, data, orders) if "key" in chosen else None
    name = f"{chosen.venue}/{chosen.account}"
    is_known = own is not None or scope.world != "live" or name in orders.paper_accounts
    signer = own or development_signer(data, scope)
    return KeyApprover(signer, signs_cancels=is_known)


def _not_approved(error: grpc.aio.AioRpcError) -> OperationsError:
    """Nothing was sent to the venue."""
    reason = errors.reason_of(error) or error.code().name
    text = f"not approved: {reason}: {error.details()}; --key approves with a key of your own"
    return OperationsError(text, reason=reason)
