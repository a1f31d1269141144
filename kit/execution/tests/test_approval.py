"""An approval is valid for one order, for a time, and for one order authority."""

from dataclasses import replace
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import ApprovalRejected
from kit.execution.approval.keys import NEVER_NS, ApproverKey
from kit.execution.approval.signing import (
    APPROVED_BYTES_MAX,
    ApprovalSigner,
    MeshScope,
    content_text,
    heartbeat_statement,
    statement,
)
from kit.execution.approval.verifier import (
    HEARTBEAT_AHEAD_NS,
    HEARTBEAT_NS,
    AccountScope,
    ApprovalVerifier,
)
from kit.execution.orders.request_reader import digest_of

NOW_NS = 1_700_000_000_000_000_000
LATER_NS = NOW_NS + 1
VALIDITY_NS = 60 * NANOSECONDS_PER_SECOND
SCOPE = MeshScope("test", "live")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTENT = orders_pb2.OrderContent(
    venue="binance",
    account="main",
    symbol="BTCUSDT",
    side=types_pb2.SIDE_BUY,
    type=orders_pb2.ORDER_TYPE_LIMIT,
    size="0.10",
    price="61837.5",
    time_in_force=orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    group=orders_pb2.OrderGroup(group_id="g1", role=orders_pb2.GROUP_ROLE_EXIT, count=3),
)
STATEMENT = """venuemesh order 3
mesh=test
world=live
operation=PLACE
target_client_order_id=
venue=binance
account=main
symbol=BTCUSDT
side=BUY
type=LIMIT
size=0.1
price=61837.5
stop_price=
trailing_offset=
time_in_force=GOOD_TILL_CANCEL
expire_time_ns=0
post_only=false
reduce_only=false
group_id=g1
group_role=EXIT
group_count=3
request_id=r1
expires_time_ns=1700000000000000001
fencing_epoch=7
key_id=authority
"""


def approved(key_id="authority", epoch=7, **changes):
    content = orders_pb2.OrderContent()
    content.CopyFrom(CONTENT)
    found = ApprovalSigner(key_id, KEY, epoch, SCOPE).approve(content, "r1", LATER_NS)
    for name, value in changes.items():
        target = found.content if hasattr(found.content, name) else found
        setattr(target, name, value)
    return found


def approver(key_id="authority", **changes):
    accounts = frozenset({"binance/main"})
    key = ApproverKey(key_id, KEY.public_key(), "trade", accounts, 5, 9, NEVER_NS)
    return replace(key, **changes)


def verifier(key_id="authority", **changes):
    keys = {key_id: approver(key_id, **changes)}
    return ApprovalVerifier(AccountScope(SCOPE, "binance", "main"), keys.get, VALIDITY_NS)


def why(checked, check=None, now_ns=NOW_NS):
    with pytest.raises(ApprovalRejected) as caught:
        (check or verifier()).verify(checked, now_ns)
    return caught.value.metadata["why"]


def test_signed_text_is_fixed():
    assert statement(approved()).decode() == STATEMENT


def test_approval_is_valid_until_it_expires():
    verifier().verify(approved(), NOW_NS)
    assert why(approved(), now_ns=LATER_NS) == "expired"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "0.11"),
        ("price", "61837.6"),
        ("account", "other"),
        ("symbol", "ETHUSDT"),
        ("side", types_pb2.SIDE_SELL),
        ("type", orders_pb2.ORDER_TYPE_STOP_LIMIT),
        ("stop_price", "1"),
        ("trailing_offset", "1"),
        ("time_in_force", orders_pb2.TIME_IN_FORCE_FILL_OR_KILL),
        ("expire_time_ns", 1),
        ("post_only", True),
        ("reduce_only", True),
        ("venue", "bybit"),
        ("request_id", "r2"),
        ("expires_time_ns", LATER_NS + 1),
        ("fencing_epoch", 8),
        ("operation", signed_pb2.OPERATION_AMEND),
        ("target_client_order_id", "a" * 32),
        ("mesh", "other"),
        ("world", "simulate"),
    ],
)
def test_change_of_any_field_invalidates_the_signature(field, value):
    assert why(approved(**{field: value})) == "signature"


@pytest.mark.parametrize(
    ("field", "value"),
    [("group_id", "g2"), ("role", orders_pb2.GROUP_ROLE_ALTERNATIVE), ("count", 2)],
)
def test_change_of_the_group_invalidates_the_signature(field, value):
    changed = approved()
    setattr(changed.content.group, field, value)
    assert why(changed) == "signature"


def test_order_without_a_group_has_empty_group_fields():
    alone = approved()
    alone.content.ClearField("group")
    lines = statement(alone).decode().splitlines()
    assert lines[18:21] == ["group_id=", "group_role=UNSPECIFIED", "group_count=0"]


def test_self_trade_prevention_has_a_line_only_if_it_is_set():
    before = approved()
    content = orders_pb2.OrderContent()
    content.CopyFrom(CONTENT)
    content.self_trade_prevention = orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER
    signed = ApprovalSigner("authority", KEY, 7, SCOPE).approve(content, "r1", LATER_NS)
    lines = statement(signed).decode().splitlines()
    assert lines[20:22] == ["group_count=3", "self_trade_prevention=CANCEL_MAKER"]
    del lines[21]
    assert lines == statement(before).decode().splitlines()
    assert verifier().verify(signed, NOW_NS).content == content
    signed.content.self_trade_prevention = orders_pb2.SELF_TRADE_PREVENTION_ALLOW
    assert why(signed) == "signature"
    assert digest_of(content, "r1") != digest_of(CONTENT, "r1")


def test_trailing_zeros_do_not_invalidate_the_signature():
    assert verifier().verify(approved(size="0.1000"), NOW_NS).request_id == "r1"


def test_line_feed_in_a_field_is_rejected():
    assert why(approved(symbol="BTCUSDT\nside=SELL")) == "malformed"


@pytest.mark.parametrize("text", ["x", "NaN", "Infinity", "1e999999", "1" * 90])
def test_text_that_is_no_amount_is_not_signed(text):
    assert why(approved(size=text)) == "malformed"


@pytest.mark.parametrize("field", ["side", "type", "time_in_force"])
def test_unknown_enum_value_is_not_signed(field):
    assert why(approved(**{field: 99})) == "malformed"


def test_approval_of_a_replaced_authority_is_rejected():
    checking = verifier()
    checking.verify(approved(epoch=8), NOW_NS)
    assert why(approved(epoch=7), checking) == "stale_epoch"
    checking.verify(approved(epoch=8), NOW_NS)


def test_rejected_approval_does_not_raise_the_epoch():
    checking = verifier()
    assert why(approved(epoch=9, size="5"), checking) == "signature"
    checking.verify(approved(epoch=7), NOW_NS)


def test_unsigned_and_foreign_approvals_are_rejected():
    assert why(approved(signature=b"")) == "missing"
    assert why(signed_pb2.ApprovedOrder(content=CONTENT)) == "missing"
    assert why(approved(key_id="nobody")) == "unknown_key"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_revoked": True}, "revoked"),
        ({"not_after_ns": NOW_NS}, "key_expired"),
        ({"accounts": frozenset({"binance/other"})}, "account"),
        ({"accounts": frozenset()}, "account"),
        ({"first_epoch": 8}, "unregistered_epoch"),
        ({"last_epoch": 6}, "unregistered_epoch"),
    ],
)
def test_key_approves_its_accounts_and_epochs_until_its_end(changes, reason):
    checking = verifier(**changes)
    assert why(approved(), checking) == reason
    assert heartbeat_why(heartbeat(), checking) == reason
    assert checking.fencing_epoch == 0


def test_unregistered_epoch_locks_nobody_out():
    checking = verifier()
    assert why(approved(epoch=(1 << 64) - 1), checking) == "unregistered_epoch"
    signer = ApprovalSigner("authority", KEY, (1 << 64) - 1, SCOPE)
    jump = signer.heartbeat("binance", "main", NOW_NS)
    assert heartbeat_why(jump, checking) == "unregistered_epoch"
    checking.verify(approved(), NOW_NS)
    check_heartbeat(heartbeat(), checking)


def test_approval_is_not_valid_for_longer_than_allowed():
    longest = ApprovalSigner("authority", KEY, 7, SCOPE)
    allowed = longest.approve(CONTENT, "r1", NOW_NS + VALIDITY_NS)
    verifier().verify(allowed, NOW_NS)
    assert why(longest.approve(CONTENT, "r1", NOW_NS + VALIDITY_NS + 1)) == "validity"


def test_break_glass_key_neither_fences_nor_is_fenced():
    content = orders_pb2.OrderContent(venue="binance", account="main")
    signer = ApprovalSigner("authority", KEY, 5, SCOPE)
    cancel = signer.approve(content, "c", LATER_NS, signed_pb2.OPERATION_CANCEL_ALL)
    checking = verifier(role="reduce")
    checking.fencing_epoch = 8
    assert checking.verify(cancel, NOW_NS).only_reduces
    assert checking.fencing_epoch == 8
    amend = signer.approve(CONTENT, "a", LATER_NS, signed_pb2.OPERATION_AMEND, "x")
    assert why(amend, checking) == "reduce_only"
    assert heartbeat_why(heartbeat(), checking) == "reduce_only"


@pytest.mark.parametrize("field", ["approved", "content", "group"])
def test_field_that_the_contract_does_not_have_is_rejected(field):
    signed = approved()
    message = {"approved": signed, "content": signed.content, "group": signed.content.group}[field]
    message.MergeFromString(b"\xa2\x3f\x03abc")
    assert why(signed) == "malformed"


def test_large_approval_is_rejected():
    signed = approved()
    signed.content.symbol = "x" * APPROVED_BYTES_MAX
    assert why(signed) == "malformed"


def test_digest_text_on_disk_stays_as_it_was():
    lines = STATEMENT.splitlines()
    expected = ["venuemesh order 2", *lines[5:-3], "expires_time_ns=0", "fencing_epoch=0", ""]
    assert content_text(CONTENT, "r1").decode() == "\n".join(expected)


HEARTBEAT = """venuemesh heartbeat 2
mesh=test
world=live
venue=binance
account=main
fencing_epoch=7
time_ns=1700000000000000000
key_id=authority
"""


def heartbeat(key_id="authority", **changes):
    found = ApprovalSigner(key_id, KEY, 7, SCOPE).heartbeat("binance", "main", NOW_NS)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def check_heartbeat(signed, checking=None, now_ns=NOW_NS):
    (checking or verifier()).verify_heartbeat(signed, now_ns)


def heartbeat_why(signed, checking=None, now_ns=NOW_NS):
    with pytest.raises(ApprovalRejected) as caught:
        check_heartbeat(signed, checking, now_ns)
    return caught.value.metadata["why"]


def test_signed_text_of_a_heartbeat_is_fixed():
    assert heartbeat_statement(heartbeat()).decode() == HEARTBEAT


def test_heartbeat_is_valid_near_its_time():
    check_heartbeat(heartbeat(), now_ns=NOW_NS + HEARTBEAT_NS - 1)
    check_heartbeat(heartbeat(), now_ns=NOW_NS - HEARTBEAT_AHEAD_NS + 1)
    assert heartbeat_why(heartbeat(), now_ns=NOW_NS + HEARTBEAT_NS) == "expired"
    assert heartbeat_why(heartbeat(), now_ns=NOW_NS - HEARTBEAT_AHEAD_NS) == "future"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("venue", "bybit"),
        ("account", "other"),
        ("fencing_epoch", 8),
        ("time_ns", NOW_NS + 1),
        ("mesh", "other"),
        ("world", "replay"),
    ],
)
def test_change_of_any_heartbeat_field_invalidates_the_signature(field, value):
    assert heartbeat_why(heartbeat(**{field: value})) == "signature"


def test_rejected_heartbeat_does_not_raise_the_epoch():
    checking = verifier()
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = ApprovalSigner("authority", stranger, 9, SCOPE).heartbeat("binance", "main", NOW_NS)
    assert heartbeat_why(forged, checking) == "signature"
    assert heartbeat_why(heartbeat(signature=b""), checking) == "missing"
    assert heartbeat_why(heartbeat(key_id="nobody"), checking) == "unknown_key"
    assert checking.fencing_epoch == 0
    check_heartbeat(heartbeat(), checking)
    assert checking.fencing_epoch == 7
    checking.verify_heartbeat(
        ApprovalSigner("authority", KEY, 8, SCOPE).heartbeat("binance", "main", NOW_NS), NOW_NS
    )
    assert heartbeat_why(heartbeat(), checking) == "stale_epoch"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.10", "0.1"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("-0.500", "-0.5"),
        ("0E-8", "0"),
        ("-0", "0"),
        ("1234567890123456789012345678901.5", "1234567890123456789012345678901.5"),
    ],
)
def test_amounts_are_rendered_exactly_without_an_exponent(amount, text):
    assert plain(Decimal(amount)) == text
