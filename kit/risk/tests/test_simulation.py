from decimal import Decimal

import msgspec
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.risk.limits import BLOCKED
from kit.risk.policy import OPEN_POLICY, Policy
from kit.risk.scopes import PositionKey
from kit.risk.simulation import recorded_entry, simulate
from kit.risk.tests.contexts import FACTS, NOW_NS, PLACE, exposure
from kit.risk.trading_hours import TradingHours

INTENT = decisions_pb2.ExecutionIntent(
    strategy="ema", venue="binance", account="main", symbol="BTCUSDT", size="1",
    side=types_pb2.SIDE_BUY, reference_price="100",
)  # fmt: skip
DECISION = event_pb2.Event(decision_made=decisions_pb2.DecisionMade(intent=INTENT))
ENTRY = recorded_entry(DECISION)


def limited(limits=None, **fields):
    known = {name: getattr(OPEN_POLICY, name) for name in Policy.__struct_fields__}
    by_scope = {name: {"mesh": Decimal(limit)} for name, limit in (limits or {}).items()}
    return Policy(**known | {"limits": by_scope, "currency": "USDT"} | fields)


def check(name, **fields):
    return checks_pb2.Check(name=name, **fields)


def given(*checks, facts=FACTS.text, verdict=risk_pb2.VERDICT_ALLOW):
    expiry = check("expiry", observed=str(NOW_NS))
    return risk_pb2.VerdictGiven(verdict=verdict, facts=facts, checks=[expiry, *checks])


def told(policy, verdict, entry=ENTRY):
    found = simulate(policy, verdict, entry, 0)
    return found.is_allowed, found.blocked_by, found.not_recorded


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (limited({"order_value_max": "99.99"}), "order_value_max"),
        (limited({"entries_per_minute_max": "0"}), "entries_per_minute_max"),
        (limited(entries_per_minute_max=0), "entries_per_minute_max"),
        (limited(accounts=("okx/main",)), "accounts"),
        (limited(strategies=("other",)), "strategies"),
        (limited(order_size_max={"binance/BTCUSDT": Decimal("0.9")}), "order_size_max"),
        (limited(order_notional_max={"USDT": Decimal(99)}), "order_notional_max"),
        (
            limited(trading_hours=(TradingHours(days=("mon",), start="00:00", end="24:00"),)),
            "trading_hours",
        ),
    ],
)
def test_entry_that_a_policy_would_have_blocked_is_named(policy, name):
    assert told(policy, given()) == (False, (name,), ())
    assert told(OPEN_POLICY, given()) == (True, (), ())


def test_recorded_exposure_counts():
    assert told(limited({"exposure_max": "100"}), given()) == (True, (), ())
    held = msgspec.structs.replace(FACTS, exposures=(exposure(1),))
    found = told(limited({"exposure_max": "100"}), given(facts=held.text))
    assert found == (False, ("exposure_max",), ())


def test_amended_order_of_a_strategy_is_compared_with_the_limits_of_the_strategy():
    requested = risk_pb2.OrderRequested()
    content = requested.content
    content.venue, content.account, content.symbol = PLACE[:3]
    content.size, content.price = "1", "100"
    entry = recorded_entry(event_pb2.Event(order_requested=requested))
    policy = limited(limits={}, strategies=("other",))
    assert told(policy, given(), entry) == (True, (), ())
    facts = msgspec.structs.replace(FACTS, strategy="ema")
    assert told(policy, given(facts=facts.text), entry) == (False, ("strategies",), ())


def test_fact_that_was_not_recorded_is_named_and_decides_nothing():
    policy = limited({"exposure_max": "1e9", "price_age_ms_max": "1e9", "order_value_max": "50"})
    notional = check("order_notional_max", projected="100", unit="USDT")
    rate = check("entries_per_minute_max", observed="599")
    found = told(policy, given(notional, rate, facts=""))
    assert found == (False, ("order_value_max",), ("exposure_max", "price_age_ms_max"))
    names = ("entries_per_minute_max", "order_notional_max")
    assert told(OPEN_POLICY, given(facts="")) == (True, (), names)


def test_what_no_policy_decides_stays_and_what_the_policy_decided_does_not():
    blocked = [check("mode", result=BLOCKED), check("accounts", result=BLOCKED)]
    verdict = given(*blocked, verdict=risk_pb2.VERDICT_BLOCK)
    assert told(OPEN_POLICY, verdict) == (False, ("mode",), ())


def test_order_of_a_person_is_that_of_its_group_that_opens():
    contents = [
        orders_pb2.OrderContent(venue="okx", account="main", symbol="X", size=size)
        for size in ("1", "2")
    ]
    contents[1].group.role = orders_pb2.GROUP_ROLE_ENTRY
    requested = risk_pb2.OrderRequested(content=contents[0], others=contents[1:])
    found = recorded_entry(event_pb2.Event(order_requested=requested))
    assert (found.position_key, found.size) == (PositionKey("okx", "main", "X"), "2")
    for content, price in zip(contents, ("90", "110"), strict=True):
        content.price, content.group.role = price, orders_pb2.GROUP_ROLE_ALTERNATIVE
    either = risk_pb2.OrderRequested(content=contents[0], others=contents[1:])
    found = recorded_entry(event_pb2.Event(order_requested=either))
    assert found.prices == ("90", "110")
    assert recorded_entry(event_pb2.Event()) is None
    assert ENTRY.position_key == PLACE
