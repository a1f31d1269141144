"""Checks approvals, and makes the only kind of order that can be submitted.

``OrderSubmitter.submit`` takes a ``VerifiedOrder``. Only ``ApprovalVerifier.verify`` makes one, of
an approval whose signature, key, scope, expiry and fencing epoch it has checked.
"""

from collections.abc import Callable
from typing import NamedTuple, final

from cryptography.exceptions import InvalidSignature
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import ApprovalRejected
from kit.execution.approval.keys import ApproverKey
from kit.execution.approval.signing import (
    OPERATIONS,
    MeshScope,
    heartbeat_statement,
    statement,
)
from kit.execution.contract import Operation
from kit.execution.journal.records import FencingRecord

HEARTBEAT_NS = 30 * NANOSECONDS_PER_SECOND
"""How far the time of a heartbeat may be before ours."""
HEARTBEAT_AHEAD_NS = 2 * NANOSECONDS_PER_SECOND
"""How far the time of a heartbeat may be after ours. The heartbeats that follow it count only once
they are newer, so this is far less than the time after which the dead man's switch fires."""

WITHOUT_TERMS = (
    signed_pb2.OPERATION_CANCEL_ALL,
    signed_pb2.OPERATION_FLATTEN,
    signed_pb2.OPERATION_FENCE,
)
"""Operations on all orders and positions of a symbol or of an account."""
NOT_FOR_REDUCE = (signed_pb2.OPERATION_AMEND, signed_pb2.OPERATION_FENCE)
"""Operations of keys of the role trade only."""

FindKey = Callable[[str], ApproverKey | None]
"""Returns the key with an id, or None."""


@final
class _VerifierSeal:
    """Proof that the verifier makes the call. This module keeps the only one."""


_SEAL = _VerifierSeal()


class AccountScope(NamedTuple):
    """The account that a verifier checks approvals of."""

    mesh: MeshScope
    venue: str
    account: str


@final
class VerifiedOrder:
    """An order whose approval was checked. It cannot be changed afterwards."""

    __slots__ = ("__approved", "__only_reduces")

    def __init__(
        self, approved: signed_pb2.ApprovedOrder, seal: _VerifierSeal, *, only_reduces: bool = False
    ) -> None:
        """Raises TypeError for every caller but the verifier."""
        if seal is not _SEAL:
            raise TypeError("only ApprovalVerifier.verify makes a VerifiedOrder")
        self.__approved = approved.SerializeToString()
        self.__only_reduces = only_reduces

    @property
    def approved(self) -> signed_pb2.ApprovedOrder:
        """The whole approval: a copy for each call."""
        return signed_pb2.ApprovedOrder.FromString(self.__approved)

    @property
    def content(self) -> orders_pb2.OrderContent:
        """The content that was approved: a copy for each call."""
        return self.approved.content

    @property
    def request_id(self) -> str:
        """The caller's id of the order or amendment."""
        return self.approved.request_id

    @property
    def expires_time_ns(self) -> int:
        """When the approval ends, ns since the Unix epoch."""
        return self.approved.expires_time_ns

    @property
    def operation(self) -> Operation:
        """The operation that was approved."""
        return self.approved.operation

    @property
    def target_client_order_id(self) -> str:
        """The order to amend or to cancel; empty for other operations."""
        return self.approved.target_client_order_id

    @property
    def only_reduces(self) -> bool:
        """Whether the key may only cancel orders and reduce positions."""
        return self.__only_reduces


def require_verified(
    order: VerifiedOrder, operation: Operation, target_client_order_id: str = ""
) -> None:
    """Check at run time what the types say: an object that only looks alike is not submitted, and
    an approval of one operation is not used for another. Raises TypeError and ApprovalRejected."""
    if type(order) is not VerifiedOrder:
        raise TypeError(f"only a VerifiedOrder can be submitted, not {type(order).__name__}")
    approved = order.approved
    if approved.operation != operation:
        found = OPERATIONS[approved.operation]
        text = f"the approval is for the operation {found}, not for {OPERATIONS[operation]}"
        raise ApprovalRejected(text, why="operation")
    if approved.target_client_order_id != target_client_order_id:
        target = approved.target_client_order_id
        text = f"the approval is for the order {target!r}, not for {target_client_order_id!r}"
        raise ApprovalRejected(text, why="target")


def require_symbol(verified: VerifiedOrder, symbol: str) -> None:
    """Raises ApprovalRejected for an approval of another symbol than the request names."""
    content = verified.content
    if content.symbol != symbol:
        text = f"the approval is for {content.symbol!r}, not for {symbol!r}"
        raise ApprovalRejected(text, why="target")


class ApprovalVerifier:
    """Checks the approvals and heartbeats of one account."""

    def __init__(self, scope: AccountScope, find_key: FindKey, validity_max_ns: int) -> None:
        """``validity_max_ns``: an approval that is valid for longer is rejected."""
        self._scope = scope
        self._find_key = find_key
        self._validity_max_ns = validity_max_ns
        self.fencing_epoch = 0
        """The highest epoch that was seen."""
        self.entry_fence = (0, 0)
        """Epoch and number: approvals of entries with less are void."""
        self.last_heartbeat = (0, 0)
        """Epoch and time of the newest heartbeat that was accepted. A new authority's first
        heartbeat is newer than every heartbeat of the old one, whatever their times are."""

    def verify(self, approved: signed_pb2.ApprovedOrder, now_ns: int) -> VerifiedOrder:
        """Check an approval. Raises ApprovalRejected with the reason."""
        if not approved.signature:
            raise ApprovalRejected("there is no signature: this needs an approval", why="missing")
        key = self._key(approved.key_id)
        _check_signature(key, approved.signature, statement(approved), "order")
        content = approved.content
        _check_content(approved.operation, content)
        self._check_scope(approved.mesh, approved.world, content.venue, content.account)
        _check_key(key, content.venue, content.account, now_ns)
        if approved.expires_time_ns <= now_ns:
            ago_s = _seconds(now_ns - approved.expires_time_ns)
            text = f"the approval has expired {ago_s} s ago: request a new one"
            raise ApprovalRejected(text, why="expired")
        if approved.expires_time_ns > now_ns + self._validity_max_ns:
            valid_s = _seconds(approved.expires_time_ns - now_ns)
            allowed_s = _seconds(self._validity_max_ns)
            text = f"the approval is valid for {valid_s} s; allowed are {allowed_s} s"
            raise ApprovalRejected(text, why="validity")
        only_reduces = key.role == "reduce"
        if only_reduces and approved.operation in NOT_FOR_REDUCE:
            text = f"the key {key.key_id} may only cancel orders and reduce positions"
            raise ApprovalRejected(text, why="reduce_only")
        self._check_epoch(key, approved.fencing_epoch)
        self._check_fence(approved)
        return VerifiedOrder(approved, _SEAL, only_reduces=only_reduces)

    def replay(self, record: FencingRecord) -> None:
        """Apply a record of the journal."""
        self.fencing_epoch = max(self.fencing_epoch, record.fencing_epoch)
        self.entry_fence = max(self.entry_fence, record.entry_fence)
        newest = (record.fencing_epoch, record.heartbeat_time_ns)
        self.last_heartbeat = max(self.last_heartbeat, newest)

    def fence(self, verified: VerifiedOrder) -> None:
        """From now on approvals of entries are void that were given before this one. Raises
        ApprovalRejected."""
        require_verified(verified, signed_pb2.OPERATION_FENCE)
        approved = verified.approved
        self.entry_fence = max(self.entry_fence, (approved.fencing_epoch, approved.entry_fence))

    def verify_heartbeat(self, heartbeat: signed_pb2.HeartbeatRequest, now_ns: int) -> None:
        """Check a heartbeat. Raises ApprovalRejected with the reason."""
        if not heartbeat.signature:
            raise ApprovalRejected("the heartbeat has no signature", why="missing")
        key = self._key(heartbeat.key_id)
        _check_signature(key, heartbeat.signature, heartbeat_statement(heartbeat), "heartbeat")
        self._check_scope(heartbeat.mesh, heartbeat.world, heartbeat.venue, heartbeat.account)
        _check_key(key, heartbeat.venue, heartbeat.account, now_ns)
        if key.role == "reduce":
            text = f"the key {key.key_id} may not keep orders alive"
            raise ApprovalRejected(text, why="reduce_only")
        if heartbeat.time_ns <= now_ns - HEARTBEAT_NS:
            ago_s, allowed_s = _seconds(now_ns - heartbeat.time_ns), _seconds(HEARTBEAT_NS)
            text = f"the heartbeat was signed {ago_s} s ago; allowed are {allowed_s} s"
            raise ApprovalRejected(text, why="expired")
        if heartbeat.time_ns >= now_ns + HEARTBEAT_AHEAD_NS:
            ahead_s = _seconds(heartbeat.time_ns - now_ns)
            text = f"the heartbeat is {ahead_s} s ahead of our clock"
            text += f"; allowed are {_seconds(HEARTBEAT_AHEAD_NS)} s: compare the clocks"
            raise ApprovalRejected(text, why="future")
        self._check_epoch(key, heartbeat.fencing_epoch)

    def _check_scope(self, mesh: str, world: str, venue: str, account: str) -> None:
        own = self._scope
        if mesh != own.mesh.mesh:
            text = f"the approval is for the mesh {mesh!r}; this is {own.mesh.mesh!r}"
            raise ApprovalRejected(text, why="mesh")
        if world != own.mesh.world:
            text = f"the approval is for the world {world!r}; this is {own.mesh.world!r}"
            raise ApprovalRejected(text, why="world")
        if (venue, account) != (own.venue, own.account):
            text = f"the approval is for {venue}/{account}, not for {own.venue}/{own.account}"
            raise ApprovalRejected(text, why="account")

    def _check_epoch(self, key: ApproverKey, fencing_epoch: int) -> None:
        if not key.first_epoch <= fencing_epoch <= key.last_epoch:
            allowed = f"{key.first_epoch} to {key.last_epoch}"
            text = f"fencing_epoch is {fencing_epoch}; the key {key.key_id} allows {allowed}"
            raise ApprovalRejected(text, why="unregistered_epoch")
        # A key for emergencies fences nobody.
        if key.role == "reduce":
            return
        if fencing_epoch < self.fencing_epoch:
            text = f"fencing_epoch is {fencing_epoch}, which was replaced by {self.fencing_epoch}"
            raise ApprovalRejected(text, why="stale_epoch")
        self.fencing_epoch = fencing_epoch

    def _check_fence(self, approved: signed_pb2.ApprovedOrder) -> None:
        """An approval without a number is of no entry, or of a key that no mode stops."""
        number = (approved.fencing_epoch, approved.entry_fence)
        is_fence = approved.operation == signed_pb2.OPERATION_FENCE
        if approved.entry_fence and not is_fence and number < self.entry_fence:
            text = "the approval is void: a mode has changed since it was given; request a new one"
            raise ApprovalRejected(text, why="fenced")

    def _key(self, key_id: str) -> ApproverKey:
        key = self._find_key(key_id)
        if key is None:
            text = f"no key {key_id!r} is in the approvers file, or the file cannot be read"
            raise ApprovalRejected(text, why="unknown_key")
        return key


def _check_content(operation: Operation, content: orders_pb2.OrderContent) -> None:
    """Nothing that was signed may be without an effect: a size does not limit what is closed."""
    if operation not in WITHOUT_TERMS:
        return
    for field, value in content.ListFields():
        if field.name not in ("venue", "account", "symbol"):
            text = f"{field.name} is {str(value).strip()!r}; allowed is none: "
            allowed = f"{OPERATIONS[operation]} has venue, account and symbol only, and is for all"
            raise ApprovalRejected(f"{text}{allowed} of it", why="malformed")


def _check_key(key: ApproverKey, venue: str, account: str, now_ns: int) -> None:
    if key.is_revoked:
        raise ApprovalRejected(f"the key {key.key_id} is revoked", why="revoked")
    if key.not_after_ns <= now_ns:
        raise ApprovalRejected(f"the key {key.key_id} has expired", why="key_expired")
    if not key.is_for(venue, account):
        text = f"the key {key.key_id} is not for the account {venue}/{account}"
        raise ApprovalRejected(text, why="account")


def _check_signature(key: ApproverKey, signature: bytes, signed: bytes, kind: str) -> None:
    try:
        key.public_key.verify(signature, signed)
    except InvalidSignature:
        text = f"the signature does not match this {kind}: sign the text of docs/ORDERS.md"
        raise ApprovalRejected(text, why="signature") from None


def _seconds(time_ns: int) -> str:
    return f"{time_ns / NANOSECONDS_PER_SECOND:.3f}".rstrip("0").rstrip(".")
