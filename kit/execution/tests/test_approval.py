"""An approval is valid for one order, for a time, and for one order authority."""

from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import ApprovalRejected
from kit.execution.approval import (
    DEVELOPMENT_KEY_ID,
    Signer,
    heartbeat_statement,
    plain,
    statement,
)
from kit.execution.verifier import HEARTBEAT_NS, Verifier

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
    found = Signer(key_id, KEY, epoch).approve(content, "r1", LATER_NS)
    for name, value in changes.items():
        target = found.content if hasattr(found.content, name) else found
        setattr(target, name, value)
    return found


def verifier(live=True, key_id="authority"):
    return Verifier({key_id: KEY.public_key()}, live=live)


def why(checked, check=None, now_ns=NOW_NS):
    with pytest.raises(ApprovalRejected) as caught:
        (check or verifier()).verify(checked, now_ns)
    return caught.value.metadata["why"]


def test_the_text_that_is_signed_is_settled():
    assert statement(approved()).decode() == STATEMENT


def test_a_good_approval_holds_until_its_end():
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
def test_nothing_of_it_may_differ(field, value):
    assert why(approved(**{field: value})) == "signature"


@pytest.mark.parametrize(
    ("field", "value"),
    [("group_id", "g2"), ("role", orders_pb2.GROUP_ROLE_ALTERNATIVE), ("count", 2)],
)
def test_nothing_of_its_group_may_differ(field, value):
    changed = approved()
    setattr(changed.content.group, field, value)
    assert why(changed) == "signature"


def test_an_order_that_stands_alone_says_so():
    alone = approved()
    alone.content.ClearField("group")
    lines = statement(alone).decode().splitlines()
    assert lines[14:17] == ["group_id=", "group_role=UNSPECIFIED", "group_count=0"]


def test_the_same_amount_in_other_digits_is_the_same_order():
    assert verifier().verify(approved(size="0.1000"), NOW_NS).request_id == "r1"


def test_a_field_cannot_pretend_to_be_two():
    assert why(approved(symbol="BTCUSDT\nside=SELL")) == "malformed"


@pytest.mark.parametrize("text", ["x", "NaN", "Infinity", "1e999999", "1" * 90])
def test_what_is_no_amount_is_not_signed(text):
    assert why(approved(size=text)) == "malformed"


@pytest.mark.parametrize("field", ["side", "type", "time_in_force"])
def test_what_is_no_word_of_the_contract_is_not_signed(field):
    assert why(approved(**{field: 99})) == "malformed"


def test_an_authority_that_was_replaced_is_refused():
    checking = verifier()
    checking.verify(approved(epoch=8), NOW_NS)
    assert why(approved(epoch=7), checking) == "stale_epoch"
    checking.verify(approved(epoch=8), NOW_NS)


def test_a_refused_order_does_not_move_the_epoch():
    checking = verifier()
    assert why(approved(epoch=9, size="5"), checking) == "signature"
    checking.verify(approved(epoch=7), NOW_NS)


def test_unsigned_and_foreign_ones_are_refused():
    assert why(approved(signature=b"")) == "missing"
    assert why(signed_pb2.ApprovedOrder(content=CONTENT)) == "missing"
    assert why(approved(key_id="nobody")) == "unknown_key"


def test_the_development_key_is_refused_in_the_live_world_only():
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
    found = Signer(key_id, KEY, 7).heartbeat("binance", "main", NOW_NS)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def check_heartbeat(signed, checking=None, now_ns=NOW_NS):
    (checking or verifier()).verify_heartbeat(signed, now_ns)


def heartbeat_why(signed, checking=None, now_ns=NOW_NS):
    with pytest.raises(ApprovalRejected) as caught:
        check_heartbeat(signed, checking, now_ns)
    return caught.value.metadata["why"]


def test_the_text_of_a_heartbeat_is_settled():
    assert heartbeat_statement(heartbeat()).decode() == HEARTBEAT


def test_a_heartbeat_holds_near_its_time():
    check_heartbeat(heartbeat(), now_ns=NOW_NS + HEARTBEAT_NS - 1)
    check_heartbeat(heartbeat(), now_ns=NOW_NS - HEARTBEAT_NS + 1)
    assert heartbeat_why(heartbeat(), now_ns=NOW_NS + HEARTBEAT_NS) == "expired"
    assert heartbeat_why(heartbeat(), now_ns=NOW_NS - HEARTBEAT_NS) == "future"


@pytest.mark.parametrize(
    ("field", "value"),
    [("venue", "bybit"), ("account", "other"), ("fencing_epoch", 8), ("time_ns", NOW_NS + 1)],
)
def test_nothing_of_a_heartbeat_may_differ(field, value):
    assert heartbeat_why(heartbeat(**{field: value})) == "signature"


def test_heartbeats_that_nobody_who_may_has_signed_move_no_epoch():
    checking = verifier()
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = Signer("authority", stranger, 9).heartbeat("binance", "main", NOW_NS)
    assert heartbeat_why(forged, checking) == "signature"
    assert heartbeat_why(heartbeat(signature=b""), checking) == "missing"
    assert heartbeat_why(heartbeat(key_id="nobody"), checking) == "unknown_key"
    assert checking.fencing_epoch == 0
    check_heartbeat(heartbeat(), checking)
    assert checking.fencing_epoch == 7
    checking.verify_heartbeat(
        Signer("authority", KEY, 8).heartbeat("binance", "main", NOW_NS), NOW_NS
    )
    assert heartbeat_why(heartbeat(), checking) == "stale_epoch"


def test_the_development_key_beats_outside_the_live_world_only():
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
def test_amounts_are_written_plainly_and_exactly(amount, text):
    assert plain(Decimal(amount)) == text
