"""An approval is valid for one order, for a time, and for one order authority."""

from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import ApprovalRejected
from kit.execution.approval import (
    DEVELOPMENT_KEY_ID,
    ApprovalSigner,
    heartbeat_statement,
    plain,
    statement,
)
from kit.execution.approval_verifier import HEARTBEAT_NS, ApprovalVerifier

NOW_NS = 1_700_000_000_000_000_000
LATER_NS = NOW_NS + 1
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
STATEMENT = """venuemesh order 2
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
"""


def approved(key_id="authority", epoch=7, **changes):
    content = orders_pb2.OrderContent()
    content.CopyFrom(CONTENT)
    found = ApprovalSigner(key_id, KEY, epoch).approve(content, "r1", LATER_NS)
    for name, value in changes.items():
        target = found.content if hasattr(found.content, name) else found
        setattr(target, name, value)
    return found


def verifier(live=True, key_id="authority"):
    return ApprovalVerifier({key_id: KEY.public_key()}, live=live)


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
    assert lines[14:17] == ["group_id=", "group_role=UNSPECIFIED", "group_count=0"]


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


def test_development_key_is_rejected_in_the_live_world_only():
    signed = approved(key_id=DEVELOPMENT_KEY_ID)
    verifier(live=False, key_id=DEVELOPMENT_KEY_ID).verify(signed, NOW_NS)
    assert why(signed, verifier(key_id=DEVELOPMENT_KEY_ID)) == "development_key"


HEARTBEAT = """venuemesh heartbeat 1
venue=binance
account=main
fencing_epoch=7
time_ns=1700000000000000000
"""


def heartbeat(key_id="authority", **changes):
    found = ApprovalSigner(key_id, KEY, 7).heartbeat("binance", "main", NOW_NS)
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
    check_heartbeat(heartbeat(), now_ns=NOW_NS - HEARTBEAT_NS + 1)
    assert heartbeat_why(heartbeat(), now_ns=NOW_NS + HEARTBEAT_NS) == "expired"
    assert heartbeat_why(heartbeat(), now_ns=NOW_NS - HEARTBEAT_NS) == "future"


@pytest.mark.parametrize(
    ("field", "value"),
    [("venue", "bybit"), ("account", "other"), ("fencing_epoch", 8), ("time_ns", NOW_NS + 1)],
)
def test_change_of_any_heartbeat_field_invalidates_the_signature(field, value):
    assert heartbeat_why(heartbeat(**{field: value})) == "signature"


def test_rejected_heartbeat_does_not_raise_the_epoch():
    checking = verifier()
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = ApprovalSigner("authority", stranger, 9).heartbeat("binance", "main", NOW_NS)
    assert heartbeat_why(forged, checking) == "signature"
    assert heartbeat_why(heartbeat(signature=b""), checking) == "missing"
    assert heartbeat_why(heartbeat(key_id="nobody"), checking) == "unknown_key"
    assert checking.fencing_epoch == 0
    check_heartbeat(heartbeat(), checking)
    assert checking.fencing_epoch == 7
    checking.verify_heartbeat(
        ApprovalSigner("authority", KEY, 8).heartbeat("binance", "main", NOW_NS), NOW_NS
    )
    assert heartbeat_why(heartbeat(), checking) == "stale_epoch"


def test_development_key_signs_heartbeats_outside_the_live_world_only():
    signed = heartbeat(key_id=DEVELOPMENT_KEY_ID)
    check_heartbeat(signed, verifier(live=False, key_id=DEVELOPMENT_KEY_ID))
    assert heartbeat_why(signed, verifier(key_id=DEVELOPMENT_KEY_ID)) == "development_key"


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
