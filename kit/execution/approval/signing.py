"""Approvals of orders: the signed text, and the signer that makes it.

An approval is a signature over a text with every field of the approval (``statement``), so any
language can make and check it without reproducing protobuf bytes. It names mesh, world, account,
operation and target order, expires, and carries the fencing epoch of the order authority: a new
authority has a higher epoch, and approvals of the old one are rejected from then on.
``kit.execution.approval.verifier`` checks approvals.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.accounting.amounts import plain
from kit.base.errors import ApprovalRejected

VERSION = "venuemesh order 3"
CONTENT_VERSION = "venuemesh order 2"
"""First line of ``content_text``. Its digests are on disk, so it does not change with VERSION."""
HEARTBEAT_VERSION = "venuemesh heartbeat 2"
APPROVED_BYTES_MAX = 8 << 10
"""Largest serialized approval. A journal record of the orders of one group stays far below the
largest record that the journal can read."""


def _words(enum: Any, prefix: str) -> Mapping[int, str]:
    """The words of an enum of the contract, as they are signed."""
    return {number: name.removeprefix(prefix) for name, number in enum.items()}


SIDES = _words(types_pb2.Side, "SIDE_")
TYPES = _words(orders_pb2.OrderType, "ORDER_TYPE_")
TIMES_IN_FORCE = _words(orders_pb2.TimeInForce, "TIME_IN_FORCE_")
GROUP_ROLES = _words(orders_pb2.GroupRole, "GROUP_ROLE_")
SELF_TRADES = _words(orders_pb2.SelfTradePrevention, "SELF_TRADE_PREVENTION_")
OPERATIONS = _words(signed_pb2.Operation, "OPERATION_")


class MeshScope(NamedTuple):
    """The mesh and the world that an approval is for."""

    mesh: str
    """Setting ``mesh_id`` of the mesh."""
    world: str
    """simulate, replay or live."""


def statement(approved: signed_pb2.ApprovedOrder) -> bytes:
    """Return the text that is signed: VERSION, then one line ``name=value`` for each field in the
    order of the contract, in UTF-8, each line ended by a line feed. Amounts have no trailing zeros,
    enums are their names without the prefix, booleans are true or false. ``self_trade_prevention``
    and ``entry_fence`` have a line only if they are set. Raises ApprovalRejected for an amount that
    is none, a line feed in a field, an unknown enum value, a field that the contract does not have,
    and an approval of more than APPROVED_BYTES_MAX."""
    _check_message(approved)
    values: dict[str, object] = {
        "mesh": approved.mesh,
        "world": approved.world,
        "operation": _word("operation", OPERATIONS, approved.operation),
        "target_client_order_id": approved.target_client_order_id,
        **_content_values(approved.content),
        "request_id": approved.request_id,
        "expires_time_ns": approved.expires_time_ns,
        "fencing_epoch": approved.fencing_epoch,
        "key_id": approved.key_id,
    }
    # It is newer than the version, so texts without it are as they were.
    if approved.entry_fence:
        values["entry_fence"] = approved.entry_fence
    return _text(VERSION, values)


def content_text(content: orders_pb2.OrderContent, request_id: str) -> bytes:
    """Return a text of the content and the request id that is the same for equal amounts. The
    journal keeps its digest. Raises ApprovalRejected as ``statement`` does."""
    values = {
        **_content_values(content),
        "request_id": request_id,
        "expires_time_ns": 0,
        "fencing_epoch": 0,
    }
    return _text(CONTENT_VERSION, values)


def _content_values(content: orders_pb2.OrderContent) -> dict[str, object]:
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
    }
    # It is newer than the versions, so texts without it are as they were.
    if content.self_trade_prevention:
        value = content.self_trade_prevention
        values["self_trade_prevention"] = _word("self_trade_prevention", SELF_TRADES, value)
    return values


def heartbeat_statement(heartbeat: signed_pb2.HeartbeatRequest) -> bytes:
    """Return the text of a heartbeat that is signed, in the form of ``statement``."""
    values: dict[str, object] = {
        "mesh": heartbeat.mesh,
        "world": heartbeat.world,
        "venue": heartbeat.venue,
        "account": heartbeat.account,
        "fencing_epoch": heartbeat.fencing_epoch,
        "time_ns": heartbeat.time_ns,
        "key_id": heartbeat.key_id,
    }
    return _text(HEARTBEAT_VERSION, values)


class ApprovalSigner:
    """Approves orders, and signs heartbeats, with one key."""

    def __init__(
        self, key_id: str, private_key: Ed25519PrivateKey, fencing_epoch: int, scope: MeshScope
    ) -> None:
        self.key_id = key_id
        self._private_key = private_key
        self._fencing_epoch = fencing_epoch
        self._scope = scope

    def approve(
        self,
        content: orders_pb2.OrderContent,
        request_id: str,
        expires_time_ns: int,
        operation: signed_pb2.Operation.ValueType = signed_pb2.OPERATION_PLACE,
        target_client_order_id: str = "",
        entry_fence: int = 0,
    ) -> signed_pb2.ApprovedOrder:
        """Approve an operation until a time. Raises ApprovalRejected for a content that cannot be
        signed."""
        approved = signed_pb2.ApprovedOrder(
            content=content,
            request_id=request_id,
            expires_time_ns=expires_time_ns,
            fencing_epoch=self._fencing_epoch,
            key_id=self.key_id,
            operation=operation,
            target_client_order_id=target_client_order_id,
            mesh=self._scope.mesh,
            world=self._scope.world,
            entry_fence=entry_fence,
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
            mesh=self._scope.mesh,
            world=self._scope.world,
        )
        heartbeat.signature = self._private_key.sign(heartbeat_statement(heartbeat))
        return heartbeat


def _check_message(message: Message) -> None:
    """A field that the text does not have would be neither signed nor checked, and kept for ever.
    Raises ApprovalRejected."""
    size = message.ByteSize()
    if size > APPROVED_BYTES_MAX:
        text = f"the approval has {size} bytes; allowed are {APPROVED_BYTES_MAX}"
        raise ApprovalRejected(text, why="malformed")
    for part in _parts(message):
        if len(UnknownFieldSet(part)):
            text = f"{part.DESCRIPTOR.name} has a field that the contract does not have"
            raise ApprovalRejected(text, why="malformed")


def _parts(message: Message) -> Iterator[Message]:
    """Yield a message and all messages in it. None of them is in a repeated field."""
    yield message
    for _, value in message.ListFields():
        if isinstance(value, Message):
            yield from _parts(value)


def _text(version: str, values: Mapping[str, object]) -> bytes:
    lines = [f"{name}={value}" for name, value in values.items()]
    wrong = next((line for line in lines if "\n" in line), "")
    if wrong:
        name, _, value = wrong.partition("=")
        text = f"{name} is {value[:80]!r}; a line feed is not allowed"
        raise ApprovalRejected(text, why="malformed")
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
        allowed = "decimal text without an exponent, of up to 40 digits"
        raise ApprovalRejected(f"{field} is {text[:40]!r}; allowed is {allowed}", why="malformed")
    return plain(amount)
