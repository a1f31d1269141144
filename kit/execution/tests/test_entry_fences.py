"""Approvals of entries are void that were given before a fence."""

import pytest
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import ApprovalRejected
from kit.execution.approval.signing import ApprovalSigner, statement
from kit.execution.tests.test_approval import (
    CONTENT,
    KEY,
    LATER_NS,
    NOW_NS,
    SCOPE,
    STATEMENT,
    approved,
    verifier,
    why,
)


def numbered(number, epoch=7, operation=signed_pb2.OPERATION_PLACE):
    content = orders_pb2.OrderContent(venue="binance", account="main")
    if operation == signed_pb2.OPERATION_PLACE:
        content.CopyFrom(CONTENT)
    signer = ApprovalSigner("authority", KEY, epoch, SCOPE)
    return signer.approve(content, "r1", LATER_NS, operation, entry_fence=number)


def fenced(checking, number, epoch=7):
    checking.fence(checking.verify(numbered(number, epoch, signed_pb2.OPERATION_FENCE), NOW_NS))


def test_entry_that_was_approved_before_a_fence_is_void():
    checking = verifier()
    checking.verify(numbered(3), NOW_NS)
    fenced(checking, 4)
    assert why(numbered(3), checking) == "fenced"
    checking.verify(numbered(4), NOW_NS)
    # What has no number reduces, protects, or is of a key that no mode stops.
    checking.verify(approved(), NOW_NS)
    fenced(checking, 2)
    assert why(numbered(3), checking) == "fenced"


def test_entries_of_the_next_order_authority_are_not_void():
    """Its numbers may be smaller: its database may be an older copy."""
    checking = verifier()
    fenced(checking, 4)
    assert checking.verify(numbered(1, epoch=8), NOW_NS).request_id == "r1"


def test_number_of_an_entry_is_signed():
    assert statement(numbered(3)) == STATEMENT.encode() + b"entry_fence=3\n"
    stripped = numbered(3)
    stripped.ClearField("entry_fence")
    assert why(stripped) == "signature"


def test_key_for_emergencies_makes_no_entries_void():
    fence = numbered(4, operation=signed_pb2.OPERATION_FENCE)
    assert why(fence, verifier(role="reduce")) == "reduce_only"


def test_approval_of_an_order_is_no_fence():
    checking = verifier()
    with pytest.raises(ApprovalRejected):
        checking.fence(checking.verify(numbered(4), NOW_NS))
    checking.verify(numbered(3), NOW_NS)
