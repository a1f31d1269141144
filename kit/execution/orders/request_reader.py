"""The one place where an order is read from the contract's message."""

import hashlib
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.execution.approval.signing import content_text
from kit.execution.contract import OrderRequest, TimeInForce
from kit.execution.journal.records import OrderIntent


def read_request(content: orders_pb2.OrderContent, client_order_id: str) -> OrderRequest:
    """Return the content with exact amounts, as a venue is to get it. Its amounts were checked."""
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=content.symbol,
        side=content.side,
        type=content.type,
        size=Decimal(content.size),
        price=_amount(content.price),
        stop_price=_amount(content.stop_price),
        trailing_offset=_amount(content.trailing_offset),
        time_in_force=time_in_force_of(content),
        expire_time_ns=content.expire_time_ns,
        post_only=content.post_only,
        reduce_only=content.reduce_only,
    )


def intent_of(approved: signed_pb2.ApprovedOrder, key: str, now_ns: int) -> OrderIntent:
    """Return the record of an approved order that is to be sent."""
    return OrderIntent(
        key=key,
        request_id=approved.request_id,
        digest=digest_of(approved.content, approved.request_id),
        content=approved.content.SerializeToString(),
        created_time_ns=now_ns,
        approval_expires_time_ns=approved.expires_time_ns,
        held_here=False,
        key_id=approved.key_id,
        signature=approved.signature,
        fencing_epoch=approved.fencing_epoch,
    )


def time_in_force_of(content: orders_pb2.OrderContent) -> TimeInForce:
    """The time in force, or the default of the type where none is set."""
    if content.time_in_force != orders_pb2.TIME_IN_FORCE_UNSPECIFIED:
        return content.time_in_force
    if content.type == orders_pb2.ORDER_TYPE_MARKET:
        return orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    return orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL


def digest_of(content: orders_pb2.OrderContent, request_id: str) -> bytes:
    """Return a digest of the content; amounts that differ in trailing zeros only have the same.
    Raises ApprovalRejected for a content that cannot be signed."""
    return hashlib.sha256(content_text(content, request_id)).digest()


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if text else None
