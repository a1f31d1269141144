"""Checks approvals, and makes the only kind of order that can be submitted.

``OrderSubmitter.submit`` takes a ``VerifiedOrder``. Only ``ApprovalVerifier.verify`` makes one, of
an order whose signature, key, expiry and fencing epoch it has checked.
"""

from collections.abc import Mapping
from typing import final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import ApprovalRejected
from kit.execution.approval import DEVELOPMENT_KEY_ID, heartbeat_statement, statement

HEARTBEAT_NS = 30 * NANOSECONDS_PER_SECOND
"""How far the time of a heartbeat may be from ours, before or after."""


@final
class _VerifierSeal:
    """Proof that the verifier makes the call. This module keeps the only one."""


_SEAL = _VerifierSeal()


@final
class VerifiedOrder:
    """An order whose approval was checked. It cannot be changed afterwards."""

    __slots__ = ("__content", "__expires_time_ns", "__request_id")

    def __init__(self, approved: signed_pb2.ApprovedOrder, seal: _VerifierSeal) -> None:
        """Raises TypeError for every caller but the verifier."""
        if seal is not _SEAL:
            raise TypeError("only Verifier.verify makes a VerifiedOrder")
        self.__content = approved.content.SerializeToString()
        self.__request_id = approved.request_id
        self.__expires_time_ns = approved.expires_time_ns

    @property
    def content(self) -> orders_pb2.OrderContent:
        """The content that was approved: a copy for each call."""
        return orders_pb2.OrderContent.FromString(self.__content)

    @property
    def request_id(self) -> str:
        """The caller's id of the order or amendment."""
        return self.__request_id

    @property
    def expires_time_ns(self) -> int:
        """When the approval ends, ns since the Unix epoch."""
        return self.__expires_time_ns


def require_verified(order: VerifiedOrder) -> None:
    """Check at run time what the types say: an object that only looks alike is not submitted.
    Raises TypeError."""
    if type(order) is not VerifiedOrder:
        raise TypeError(f"only a VerifiedOrder can be submitted, not {type(order).__name__}")


class ApprovalVerifier:
    """Checks the approvals and heartbeats of one account against known public keys."""

    def __init__(self, public_keys: Mapping[str, Ed25519PublicKey], *, live: bool) -> None:
        """``public_keys`` are by key id. ``live``: the development key is rejected."""
        self._public_keys = public_keys
        self._live = live
        self.fencing_epoch = 0
        """The highest epoch that was seen."""
        self.heartbeat_time_ns = 0
        """The time of the newest heartbeat that was accepted."""

    def verify(self, approved: signed_pb2.ApprovedOrder, now_ns: int) -> VerifiedOrder:
        """Check an approval. Raises ApprovalRejected with the reason."""
        if not approved.signature:
            raise ApprovalRejected("the order has no approval", why="missing")
        key = self._key(approved.key_id)
        _check_signature(key, approved.signature, statement(approved), "order")
        if approved.expires_time_ns <= now_ns:
            raise ApprovalRejected("the approval has expired", why="expired")
        self._check_epoch(approved.fencing_epoch)
        return VerifiedOrder(approved, _SEAL)

    def verify_heartbeat(self, heartbeat: signed_pb2.HeartbeatRequest, now_ns: int) -> None:
        """Check a heartbeat. Raises ApprovalRejected with the reason."""
        if not heartbeat.signature:
            raise ApprovalRejected("the heartbeat has no signature", why="missing")
        key = self._key(heartbeat.key_id)
        _check_signature(key, heartbeat.signature, heartbeat_statement(heartbeat), "heartbeat")
        if heartbeat.time_ns <= now_ns - HEARTBEAT_NS:
            raise ApprovalRejected("the heartbeat is too old", why="expired")
        if heartbeat.time_ns >= now_ns + HEARTBEAT_NS:
            raise ApprovalRejected("the heartbeat is from the future", why="future")
        self._check_epoch(heartbeat.fencing_epoch)

    def _check_epoch(self, fencing_epoch: int) -> None:
        if fencing_epoch < self.fencing_epoch:
            text = f"epoch {fencing_epoch} was replaced by {self.fencing_epoch}"
            raise ApprovalRejected(text, why="stale_epoch")
        self.fencing_epoch = fencing_epoch

    def _key(self, key_id: str) -> Ed25519PublicKey:
        if key_id == DEVELOPMENT_KEY_ID and self._live:
            text = "the development key is not accepted in the live world"
            raise ApprovalRejected(text, why="development_key")
        key = self._public_keys.get(key_id)
        if key is None:
            raise ApprovalRejected(f"no key {key_id!r} is known", why="unknown_key")
        return key


def _check_signature(key: Ed25519PublicKey, signature: bytes, signed: bytes, kind: str) -> None:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        text = f"the signature does not match this {kind}"
        raise ApprovalRejected(text, why="signature") from None
