"""The order authorities: they sign approvals and heartbeats, take over, and lose keys."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.approval.keys import ApproverKey
from kit.execution.approval.signing import ApprovalSigner
from kit.execution.tests.simulated_process import NEVER_NS, SCOPE

VALID_NS = 40 * NANOSECONDS_PER_SECOND
LEADERS = ("first", "second")
EMERGENCY = "emergency"
"""A key with the role reduce."""
TEMPORARY = "temporary"
"""A key that is revoked while the process runs."""
FLAWS = ("unsigned", "changed", "expired", "mesh", "epoch", "unknown key")
PRIVATE = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, name in enumerate((*LEADERS, EMERGENCY, TEMPORARY, "nobody's"), 1)
}
KEYS = {
    name: ApproverKey(
        name,
        PRIVATE[name].public_key(),
        "reduce" if name == EMERGENCY else "trade",
        frozenset({"fake/main"}),
        0,
        1000,
        NEVER_NS,
    )
    for name in (*LEADERS, EMERGENCY, TEMPORARY)
}


class Authorities:
    """All that can sign, and what the process must accept of it."""

    def __init__(self, clock, *, is_spot) -> None:
        self._clock, self._is_spot = clock, is_spot
        self._keys = dict(KEYS)
        self.leader, self.epoch = LEADERS[0], 1
        self.accepted_epoch = 0
        """The highest epoch that the process has confirmed."""
        self._flawed = set()
        """Signatures of approvals that are not valid by themselves."""

    def find_key(self, key_id):
        """The key as it is in the approvers file now."""
        return self._keys.get(key_id)

    def take_over(self):
        """Have the other authority lead, with a higher epoch."""
        self.leader = LEADERS[self.leader == LEADERS[0]]
        self.epoch += 1

    def revoke(self, name):
        """Revoke a key."""
        self._keys[name] = replace(self._keys[name], is_revoked=True)

    def heartbeat(self, epoch=0):
        """A heartbeat of the leader, or of the authority before it."""
        name = LEADERS[(self.leader == LEADERS[1]) ^ bool(epoch and epoch != self.epoch)]
        signer = ApprovalSigner(name, PRIVATE[name], epoch or self.epoch, SCOPE)
        return signer.heartbeat("fake", "main", self._clock.actual_ns())

    def approve(self, content, request_id, key="", epoch=0, **operation):
        """An approval by the leader, or by another key."""
        key = key or self.leader
        signer = ApprovalSigner(key, PRIVATE[key], epoch or self.epoch, SCOPE)
        expires_ns = self._clock.actual_ns() + VALID_NS
        return signer.approve(content, request_id, expires_ns, **operation)

    def flawed(self, flaw, content, request_id):
        """An approval that nobody may accept."""
        key = "nobody's" if flaw == "unknown key" else self.leader
        expires_ns = 1 if flaw == "expired" else self._clock.actual_ns() + VALID_NS
        epoch = 100_000 if flaw == "epoch" else self.epoch
        scope = SCOPE._replace(mesh="other") if flaw == "mesh" else SCOPE
        approved = ApprovalSigner(key, PRIVATE[key], epoch, scope).approve(
            content, request_id, expires_ns
        )
        if flaw == "changed":
            approved.content.size = "3"
        if flaw == "unsigned":
            approved.signature = b""
        self._flawed.add(approved.SerializeToString(deterministic=True))
        return approved

    def why_refused(self, approved):
        """Why the process must refuse an approval now; "" if it may accept it."""
        if approved.SerializeToString(deterministic=True) in self._flawed:
            return "it is not valid"
        key = self._keys.get(approved.key_id)
        if key is not None and key.is_revoked:
            return "its key is revoked"
        if approved.key_id != EMERGENCY and approved.fencing_epoch < self.accepted_epoch:
            return f"its epoch was replaced by {self.accepted_epoch}"
        if approved.key_id == EMERGENCY and not self._only_reduces(approved):
            return "its key only reduces"
        return ""

    def accepted(self, approved):
        """Note that the process has accepted an approval, and has it on disk."""
        if approved.key_id != EMERGENCY:
            self.accepted_epoch = max(self.accepted_epoch, approved.fencing_epoch)

    def _only_reduces(self, approved):
        """Whether the key for emergencies may approve this; on spot it may sell."""
        operation, content = approved.operation, approved.content
        if operation == signed_pb2.OPERATION_PLACE:
            sells_spot = self._is_spot and content.side == types_pb2.SIDE_SELL
            return content.reduce_only or sells_spot
        return operation in (signed_pb2.OPERATION_CANCEL, signed_pb2.OPERATION_CANCEL_ALL)
