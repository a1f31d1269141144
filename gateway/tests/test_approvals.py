"""Approvals of the development key."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.tradeflow.v1 import approvals_pb2, orders_pb2, signed_pb2

from gateway.approvals import ApprovalsServicer
from kit.base.clock import SystemClock
from kit.base.errors import ApprovalRejected, BadRequest
from kit.execution.approval.keys import ALL_ACCOUNTS, APPROVED_NS, NEVER_NS, ApproverKey
from kit.execution.approval.signing import DEVELOPMENT_KEY_ID, ApprovalSigner, MeshScope
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SCOPE = MeshScope("local", "simulate")
CONTENT = orders_pb2.OrderContent(venue="binance", account="demo", symbol="BTCUSDT", size="1")


def verifier(*, live):
    """A verifier of the demo account, which knows the development key unless ``live``."""
    accounts = frozenset({ALL_ACCOUNTS})
    key = ApproverKey(DEVELOPMENT_KEY_ID, KEY.public_key(), "trade", accounts, 1, 1, NEVER_NS)
    keys = {} if live else {DEVELOPMENT_KEY_ID: key}
    return ApprovalVerifier(AccountScope(SCOPE, "binance", "demo"), keys.get, APPROVED_NS)


@pytest.fixture
def servicer():
    """With a key of its own."""
    return ApprovalsServicer(ApprovalSigner(DEVELOPMENT_KEY_ID, KEY, 1, SCOPE), SystemClock())


async def test_what_it_approves_holds_for_a_while_and_not_in_the_live_world(servicer):
    request = approvals_pb2.ApproveRequest(content=CONTENT, request_id="r1")
    approved = (await servicer.Approve(request, None)).approved
    verifier(live=False).verify(approved, approved.expires_time_ns - 1)
    left_s = (approved.expires_time_ns - SystemClock().time_ns()) / 1e9
    assert APPROVED_NS / 1e9 - 5 < left_s <= APPROVED_NS / 1e9
    with pytest.raises(ApprovalRejected):
        verifier(live=True).verify(approved, 0)


async def test_approval_names_operation_target_mesh_and_world(servicer):
    request = approvals_pb2.ApproveRequest(content=CONTENT, request_id="r1")
    place = (await servicer.Approve(request, None)).approved
    assert (place.operation, place.mesh, place.world) == (signed_pb2.OPERATION_PLACE, *SCOPE)
    request.operation = signed_pb2.OPERATION_AMEND
    request.target_client_order_id = "a" * 32
    amend = (await servicer.Approve(request, None)).approved
    assert amend.operation == signed_pb2.OPERATION_AMEND
    assert amend.target_client_order_id == "a" * 32
    assert verifier(live=False).verify(amend, 1 + amend.expires_time_ns - APPROVED_NS)


async def test_a_heartbeat_that_it_signs_is_of_now(servicer):
    request = approvals_pb2.ApproveHeartbeatRequest(venue="binance", account="demo")
    beat = (await servicer.ApproveHeartbeat(request, None)).heartbeat
    verifier(live=False).verify_heartbeat(beat, SystemClock().time_ns())
    assert (beat.venue, beat.account) == ("binance", "demo")


async def test_in_the_live_world_it_signs_for_accounts_on_paper_only():
    signer = ApprovalSigner(DEVELOPMENT_KEY_ID, KEY, 1, SCOPE)
    servicer = ApprovalsServicer(signer, SystemClock(), ("binance/paper",))
    content = orders_pb2.OrderContent()
    content.CopyFrom(CONTENT)
    request = approvals_pb2.ApproveRequest(content=content, request_id="r1")
    with pytest.raises(BadRequest, match="paper"):
        await servicer.Approve(request, None)
    beat = approvals_pb2.ApproveHeartbeatRequest(venue="kraken", account="paper")
    with pytest.raises(BadRequest):
        await servicer.ApproveHeartbeat(beat, None)
    request.content.account = "paper"
    assert (await servicer.Approve(request, None)).approved.signature


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 65])
async def test_an_order_needs_a_request_id(servicer, request_id):
    with pytest.raises(BadRequest):
        await servicer.Approve(approvals_pb2.ApproveRequest(request_id=request_id), None)
