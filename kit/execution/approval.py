"""Approvals of orders: the signed text, and the signer that makes it.

An approval is a signature over a text with every field of the order (``statement``), so any
language can make and check it without reproducing protobuf bytes. It names the account, expires,
and carries the fencing epoch of the order authority: a new authority has a higher epoch, and
approvals of the old one are rejected from then on. ``kit.execution.approval_verifier`` checks
approvals.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import ApprovalRejected

VERSION = "venuemesh order 2"
HEARTBEAT_VERSION = "venuemesh heartbeat 1"
DEVELOPMENT_KEY_ID = "development"


def _words(enum: Any, prefix: str) -> Mapping[int, str]:
    """The words of an enum of the contract, as they are signed."""
    return {number: name.removeprefix(prefix) for name, number in enum.items()}


SIDES = _words(types_pb2.Side, "SIDE_")
TYPES = _words(orders_pb2.OrderType, "ORDER_TYPE_")
TIMES_IN_FORCE = _words(orders_pb2.TimeInForce, "TIME_IN_FORCE_")
GROUP_ROLES = _words(orders_pb2.GroupRole, "GROUP_ROLE_")


def statement(approved: signed_pb2.ApprovedOrder) -> bytes:
    """Return the text that is signed: VERSION, then one line ``name=value`` for each field in the
    order of the contract, in UTF-8, each line ended by a line feed. Amounts have no trailing zeros,
    enums are their names without the prefix, booleans are true or false. Raises ApprovalRejected
    for an amount that is none, a line feed in a field, and an unknown enum value."""
    content = approved.content
    values: dict[str, object] = {
        "venue": content.venue,
        "account": content.account,
        "symbol": content.symbol,
        "side": _word("side", SIDES, content.side),
        "type": _word("type", TYPES, content.type),
        "size": _amount("size", content.size),
        "price": _amount("price", content.price),
        "stop_price": _amount("stop_price", content.stop_price),
        "trailing_offset": _amount("trailing_offset", content.trailing_offset),
        "time_in_force": _word("time_in_force", TIMES_IN_FORCE, content.time_in_force),
        "expire_time_ns": content.expire_time_ns,
        "post_only": str(content.post_only).lower(),
        "reduce_only": str(content.reduce_only).lower(),
        "group_id": content.group.group_id,
        "group_role": _word("group_role", GROUP_ROLES, content.group.role),
        "group_count": content.group.count,
        "request_id": approved.request_id,
        "expires_time_ns": approved.expires_time_ns,
        "fencing_epoch": approved.fencing_epoch,
    }
    return _text(VERSION, values)


def heartbeat_statement(heartbeat: signed_pb2.HeartbeatRequest) -> bytes:
    """Return the text of a heartbeat that is signed, in the form of ``statement``."""
    values: dict[str, object] = {
        "venue": heartbeat.venue,
        "account": heartbeat.account,
        "fencing_epoch": heartbeat.fencing_epoch,
        "time_ns": heartbeat.time_ns,
    }
    return _text(HEARTBEAT_VERSION, values)


class ApprovalSigner:
    """Approves orders, and signs heartbeats, with one key."""

    def __init__(self, key_id: str, private_key: Ed25519PrivateKey, fencing_epoch: int) -> None:
        self.key_id = key_id
        self._private_key = private_key
        self._fencing_epoch = fencing_epoch

    def approve(
        self, content: orders_pb2.OrderContent, request_id: str, expires_time_ns: int
    ) -> signed_pb2.ApprovedOrder:
        """Approve an order until a time."""
        approved = signed_pb2.ApprovedOrder(
            content=content,
            request_id=request_id,
            expires_time_ns=expires_time_ns,
            fencing_epoch=self._fencing_epoch,
            key_id=self.key_id,
        )
        approved.signature = self._private_key.sign(statement(approved))
        return approved

    def heartbeat(self, venue: str, account: str, time_ns: int) -> signed_pb2.HeartbeatRequest:
        """Return a signed heartbeat of the order authority."""
        heartbeat = signed_pb2.HeartbeatRequest(
            venue=venue,
            account=account,
            fencing_epoch=self._fencing_epoch,
            key_id=self.key_id,
            time_ns=time_ns,
        )
        heartbeat.signature = self._private_key.sign(heartbeat_statement(heartbeat))
        return heartbeat


def plain(amount: Decimal) -> str:
    """Return the amount as exact decimal text, without an exponent or trailing zeros."""
    text = f"{amount.copy_abs():f}" if amount else "0"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text


def _text(version: str, values: Mapping[str, object]) -> bytes:
    lines = [f"{name}={value}" for name, value in values.items()]
    if any("\n" in line for line in lines):
        raise ApprovalRejected("a field has a line feed in it", why="malformed")
    return "\n".join((version, *lines, "")).encode()


def _word(field: str, words: Mapping[int, str], value: int) -> str:
    word = words.get(value)
    if word is None:
        raise ApprovalRejected(f"{field} is not a value of the contract: {value}", why="malformed")
    return word


def _amount(field: str, text: str) -> str:
    if not text:
        return ""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    # The text is written out in full: an exponent of a million would be a million digits.
    if not amount.is_finite() or abs(amount.adjusted()) > 40 or len(text) > 80:
        raise ApprovalRejected(f"{field} is not an amount: {text[:40]!r}", why="malformed")
    return plain(amount)
