"""Signs allowed orders with the inspector's key and the epoch of its lease."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.positions import OrderRole
from kit.events.leases import Lease
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.request_ids import lifecycle_prefix

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
CANCEL_NUMBER = 0
"""The number in the request ids of cancels. Orders start at 1."""


_ROLES = {
    orders_pb2.ORDER_TYPE_STOP: OrderRole.STOP,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: OrderRole.TAKE_PROFIT,
    orders_pb2.ORDER_TYPE_TRAILING_STOP: OrderRole.TRAILING_STOP,
}


@dataclass(frozen=True, slots=True)
class Approver:
    """The order authority of the mesh."""

    key_id: str
    key: Ed25519PrivateKey
    scope: MeshScope
    lease: Lease
    """Approvals carry its epoch, so a venue's process rejects approvals of a former holder."""

    def approve(
        self,
        contents: Sequence[orders_pb2.OrderContent],
        request_ids: Sequence[str],
        expires_time_ns: int,
        operation: signed_pb2.Operation.ValueType = signed_pb2.OPERATION_PLACE,
        target: str = "",
        entry_fence: int = 0,
    ) -> list[signed_pb2.ApprovedOrder]:
        """Approve orders. ``entry_fence``: of entries, see ``core.inspector.entry_fences``. Raises
        ApprovalRejected for a content that cannot be signed."""
        signer = ApprovalSigner(self.key_id, self.key, self.lease.epoch, self.scope)
        return [
            signer.approve(content, request_id, expires_time_ns, operation, target, entry_fence)
            for content, request_id in zip(contents, request_ids, strict=True)
        ]

    def heartbeat(self, venue: str, account: str, time_ns: int) -> signed_pb2.HeartbeatRequest:
        """Sign that this order authority is alive."""
        signer = ApprovalSigner(self.key_id, self.key, self.lease.epoch, self.scope)
        return signer.heartbeat(venue, account, time_ns)


def entry_contents(
    intent: decisions_pb2.ExecutionIntent, lifecycle_id: bytes
) -> list[orders_pb2.OrderContent]:
    """The entry, its stop, and its take-profit and its trailing stop if it has them."""
    entry = orders_pb2.OrderContent(
        venue=intent.venue,
        account=intent.account,
        symbol=intent.symbol,
        side=intent.side,
        type=intent.type,
        size=intent.size,
        price=intent.price,
    )
    exits = exit_contents(entry, intent.stop_price, intent.target_price, intent.trailing_offset)
    return grouped([entry, *exits], lifecycle_prefix(lifecycle_id), orders_pb2.GROUP_ROLE_EXIT)


def exit_contents(
    entry: orders_pb2.OrderContent, stop_price: str, target_price: str, trailing_offset: str
) -> list[orders_pb2.OrderContent]:
    """The orders that protect what an entry opens."""
    return [
        orders_pb2.OrderContent(
            venue=entry.venue,
            account=entry.account,
            symbol=entry.symbol,
            side=SELL if entry.side == BUY else BUY,
            type=kind,
            size=entry.size,
            stop_price=price,
            trailing_offset=offset,
        )
        for kind, price, offset in (
            (orders_pb2.ORDER_TYPE_STOP, stop_price, ""),
            (orders_pb2.ORDER_TYPE_TAKE_PROFIT, target_price, ""),
            (orders_pb2.ORDER_TYPE_TRAILING_STOP, "", trailing_offset),
        )
        if price or offset
    ]


def exit_roles(exits: Sequence[orders_pb2.OrderContent]) -> list[OrderRole]:
    """Their roles in the position."""
    return [_ROLES[one.type] for one in exits]


def grouped(
    contents: list[orders_pb2.OrderContent],
    group_id: str,
    role: "orders_pb2.GroupRole.ValueType",
) -> list[orders_pb2.OrderContent]:
    """The orders as one group. ``role``: EXIT if the first one is the entry, or ALTERNATIVE."""
    if len(contents) < 2:
        return contents
    entry, exit_role = orders_pb2.GROUP_ROLE_ENTRY, orders_pb2.GROUP_ROLE_EXIT
    for place, content in enumerate(contents):
        own = entry if place == 0 and role == exit_role else role
        group = orders_pb2.OrderGroup(group_id=group_id, role=own, count=len(contents))
        content.group.CopyFrom(group)
    return contents
