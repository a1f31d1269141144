"""Who allowed an order, and whether that holds.

An approval is a signature over a text that says all of the order (``statement``), so that it can be
made and checked in any language without agreeing on bytes of protobuf. It names the account, ends
at a time, and carries the fencing epoch of the order authority: when another authority takes over,
its epoch is higher, and what the old one still approves is refused.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import ApprovalRejected

VERSION = "venuemesh order 2"
HEARTBEAT_VERSION = "venuemesh heartbeat 1"
DEVELOPMENT_KEY_ID = "development"
HEARTBEAT_NS = 30 * NANOSECONDS_PER_SECOND
"""So far the time of a heartbeat may be from ours, either way."""


def _words(enum: Any, prefix: str) -> Mapping[int, str]:
    """Of an enum of the contract, as they are signed."""
    return {number: name.removeprefix(prefix) for name, number in enum.items()}


SIDES = _words(types_pb2.Side, "SIDE_")
TYPES = _words(orders_pb2.OrderType, "ORDER_TYPE_")
TIMES_IN_FORCE = _words(orders_pb2.TimeInForce, "TIME_IN_FORCE_")
GROUP_ROLES = _words(orders_pb2.GroupRole, "GROUP_ROLE_")


def statement(approved: signed_pb2.ApprovedOrder) -> bytes:
    """The text that is signed: VERSION, then one line ``name=value`` for each field, in the order
    of the contract; UTF-8, each line ended by a line feed. Amounts have no needless zeros, enums
    their names without the prefix, booleans are true or false. Raises ApprovalRejected for a text
    that is no amount, or has a line feed in it, and for a number that is no enum's."""
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


def heartbeat_statement(beat: signed_pb2.HeartbeatRequest) -> bytes:
    """As ``statement``, of a heartbeat."""
    values: dict[str, object] = {
        "venue": beat.venue,
        "account": beat.account,
        "fencing_epoch": beat.fencing_epoch,
        "time_ns": beat.time_ns,
    }
    return _text(HEARTBEAT_VERSION, values)


class Signer:
    """Approves orders with one key."""

    def __init__(self, key_id: str, private_key: Ed25519PrivateKey, fencing_epoch: int) -> None:
        self.key_id = key_id
        self._private_key = private_key
        self._fencing_epoch = fencing_epoch

    def approve(
        self, content: orders_pb2.OrderContent, request_id: str, expires_time_ns: int
    ) -> signed_pb2.ApprovedOrder:
        """Allow this order until a time."""
        approved = signed_pb2.ApprovedOrder(
            content=content,
            request_id=request_id,
            expires_time_ns=expires_time_ns,
            fencing_epoch=self._fencing_epoch,
            key_id=self.key_id,
        )
        approved.signature = self._private_key.sign(statement(approved))
        return approved

    def beat(self, venue: str, account: str, time_ns: int) -> signed_pb2.HeartbeatRequest:
        """Say that the authority lives, at a time."""
        beat = signed_pb2.HeartbeatRequest(
            venue=venue,
            account=account,
            fencing_epoch=self._fencing_epoch,
            key_id=self.key_id,
            time_ns=time_ns,
        )
        beat.signature = self._private_key.sign(heartbeat_statement(beat))
        return beat


class Verifier:
    """Checks approvals against the public keys that are known, by key id."""

    def __init__(self, public_keys: Mapping[str, Ed25519PublicKey], *, live: bool) -> None:
        """``live``: the development key is refused."""
        self._public_keys = public_keys
        self._live = live
        self.fencing_epoch = 0
        """The highest that was seen."""
        self.beat_time_ns = 0
        """Of the newest heartbeat that was taken."""

    def check(self, approved: signed_pb2.ApprovedOrder, now_ns: int) -> None:
        """Raises ApprovalRejected, which says why."""
        if not approved.signature:
            raise ApprovalRejected("the order has no approval", why="missing")
        key = self._key(approved.key_id)
        _check_signature(key, approved.signature, statement(approved), "order")
        if approved.expires_time_ns <= now_ns:
            raise ApprovalRejected("the approval has ended", why="expired")
        self.check_epoch(approved.fencing_epoch)

    def check_heartbeat(self, beat: signed_pb2.HeartbeatRequest, now_ns: int) -> None:
        """Raises ApprovalRejected, which says why."""
        if not beat.signature:
            raise ApprovalRejected("the heartbeat has no signature", why="missing")
        key = self._key(beat.key_id)
        _check_signature(key, beat.signature, heartbeat_statement(beat), "heartbeat")
        if beat.time_ns <= now_ns - HEARTBEAT_NS:
            raise ApprovalRejected("the heartbeat is too old", why="expired")
        if beat.time_ns >= now_ns + HEARTBEAT_NS:
            raise ApprovalRejected("the heartbeat is from the future", why="future")
        self.check_epoch(beat.fencing_epoch)

    def check_epoch(self, fencing_epoch: int) -> None:
        """Take note of an authority. Raises ApprovalRejected for one that was replaced."""
        if fencing_epoch < self.fencing_epoch:
            text = f"epoch {fencing_epoch} was replaced by {self.fencing_epoch}"
            raise ApprovalRejected(text, why="stale_epoch")
        self.fencing_epoch = fencing_epoch

    def _key(self, key_id: str) -> Ed25519PublicKey:
        if key_id == DEVELOPMENT_KEY_ID and self._live:
            text = "the development key signs nothing in the live world"
            raise ApprovalRejected(text, why="development_key")
        key = self._public_keys.get(key_id)
        if key is None:
            raise ApprovalRejected(f"no key {key_id!r} is known", why="unknown_key")
        return key


def _check_signature(key: Ed25519PublicKey, signature: bytes, signed: bytes, what: str) -> None:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        text = f"the signature is not of this {what}"
        raise ApprovalRejected(text, why="signature") from None


def plain(amount: Decimal) -> str:
    """As few digits as it needs, without an exponent. Exact, however many digits there are."""
    text = f"{amount.copy_abs():f}" if amount else "0"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text


def _text(version: str, values: Mapping[str, object]) -> bytes:
    lines = [f"{name}={value}" for name, value in values.items()]
    if any("\n" in line for line in lines):
        raise ApprovalRejected("a line feed in a field of what is signed", why="malformed")
    return "\n".join((version, *lines, "")).encode()


def _word(field: str, words: Mapping[int, str], value: int) -> str:
    word = words.get(value)
    if word is None:
        raise ApprovalRejected(f"{field} is no word of the contract: {value}", why="malformed")
    return word


def _amount(field: str, text: str) -> str:
    if not text:
        return ""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    # An exponent of a million would be written out.
    if not amount.is_finite() or abs(amount.adjusted()) > 40 or len(text) > 80:
        raise ApprovalRejected(f"{field} is no amount: {text[:40]!r}", why="malformed")
    return plain(amount)
