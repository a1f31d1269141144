"""How limits stand between two orders."""

from decimal import Decimal

import msgspec
import pytest

from kit.risk import limit_uses
from kit.risk.facts import Losses
from kit.risk.limit_uses import OF_STATES, LimitUse
from kit.risk.limits import RULES_BY_NAME
from kit.risk.policy import Policy
from kit.risk.tests.contexts import FACTS, GROUPS, NOW_NS, RATES, exposure, recent

EXPOSED = msgspec.structs.replace(FACTS, exposures=(exposure(300, buys=50),), recent=(recent(2),))


def uses(facts=EXPOSED, losses=None, **limits):
    by_scope = {
        name: {scope: Decimal(limit) for scope, limit in found.items()}
        for name, found in limits.items()
    }
    policy = Policy(limits=by_scope, currency="USDT", rates=RATES, groups=GROUPS)
    found = limit_uses.of_policy(policy, facts, losses or {}, NOW_NS)
    return {(one.name, one.scope): one for one in found}


def test_each_limit_of_states_exists():
    assert set(OF_STATES) < RULES_BY_NAME.keys()


@pytest.mark.parametrize(
    "scope",
    ["mesh", "venue:*", "account:binance/main", "strategy:ema", "instrument:*", "group:majors"],
)
def test_limit_is_compared_in_the_scope_that_it_is_set_for(scope):
    (found,) = uses(exposure_max={scope: 700}).values()
    assert (found.observed, found.used, found.is_beyond) == (350, Decimal("0.5"), False)
    assert "*" not in found.scope


def test_named_scope_without_anything_in_it_uses_nothing():
    found = uses(exposure_max={"venue:okx": 700, "group:majors": 10})
    assert found["exposure_max", "venue:okx"].used == 0
    assert found["exposure_max", "group:majors"].is_beyond


def test_rate_counts_what_was_approved_and_not_the_next_order():
    (found,) = uses(entries_per_minute_max={"strategy:*": 2}).values()
    assert (found.observed, found.is_beyond) == (2, False)


def test_losses_are_those_of_each_strategy():
    found = uses(losses={"rsi": Losses(in_row=3)}, losses_in_row_max={"strategy:*": 2})
    assert found["losses_in_row_max", "strategy:rsi"].is_beyond
    assert found["losses_in_row_max", "strategy:ema"].observed == 0


def test_minimum_is_used_up_by_falling():
    least = LimitUse("balance_min", "mesh", Decimal(100), "USDT", False, True, Decimal(400))
    assert (least.used, least.is_beyond) == (Decimal("0.25"), False)
    gone = LimitUse("balance_min", "mesh", Decimal(100), "USDT", False, True, Decimal(0))
    assert (gone.used, gone.is_beyond) == (None, True)


def test_limit_of_zero_has_no_used_part():
    (found,) = uses(positions_max={"mesh": 0}).values()
    assert (found.used, found.is_beyond) == (None, True)
