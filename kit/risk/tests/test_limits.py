from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.accounting.amounts import product
from kit.risk import order_checks
from kit.risk.facts import NO_FACTS, Losses, ReferencePrice, read_facts
from kit.risk.limits import BLOCKED, PASSED, RULES, RULES_BY_NAME
from kit.risk.measures import Valuation
from kit.risk.order_checks import DIGITS_MAX
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey, Scope, ScopeKind
from kit.risk.tests.contexts import FACTS, NOW_NS, PLACE, context, exposure, recent, result
from kit.risk.trading_hours import TradingHours, week_time

OTHER = PositionKey("okx", "main", "BTC-USDT", "other")
STEP = Decimal("0.000001")
SECOND_NS = 1_000_000_000


def check(name, limit, asked, scope="mesh"):
    found = [*RULES_BY_NAME[name].checks(asked, {scope: Decimal(limit)})]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("name", "scope", "limit", "step", "asked"),
    [
        ("order_value_max", "mesh", "100", STEP, context()),
        ("order_value_max", "strategy:*", "5000000", STEP, context(notional_asset="BTC")),
        ("price_deviation_max", "mesh", "0.02", STEP, context(prices=("102",))),
        (
            "price_deviation_max",
            "instrument:binance/BTCUSDT",
            "0.02",
            STEP,
            context(prices=("98",)),
        ),
        (
            *("price_deviation_max", "mesh", "0.5", STEP),
            context(is_buy=False, prices=("148.5",)),
        ),
        # Of alternatives the farthest one.
        ("price_deviation_max", "mesh", "0.05", STEP, context(prices=("99", "105", "101"))),
        (
            *("price_age_ms_max", "venue:*", "2000", STEP),
            context(
                reference=ReferencePrice(
                    bid=Decimal(1), ask=Decimal(1), time_ns=NOW_NS - 2 * SECOND_NS
                )
            ),
        ),
        (
            *("entries_per_minute_max", "strategy:ema", "4", 1),
            context(recent=(recent(3), recent(5, OTHER))),
        ),
        ("positions_max", "mesh", "2", 1, context(exposures=(exposure(5, place=OTHER),))),
        ("positions_max", "mesh", "1", 1, context(exposures=(exposure(0, place=OTHER),))),
        ("positions_max", "mesh", "1", 1, context(exposures=(exposure(0, buys=1),))),
        ("exposure_max", "mesh", "180", STEP, context(exposures=(exposure(-50, 10, 20),))),
        (
            *("exposure_max", "group:majors", "150", STEP),
            context(exposures=(exposure(50, place=OTHER),)),
        ),
        (
            *("exposure_max", "account:*", "100", STEP),
            context(exposures=(exposure(50, place=OTHER),)),
        ),
        (
            *("exposure_max", "mesh", "50100", STEP),
            context(exposures=(exposure(1, asset="BTC", place=OTHER),)),
        ),
        ("net_exposure_max", "mesh", "60", STEP, context(exposures=(exposure(-50, 10, 0),))),
        ("net_exposure_max", "mesh", "70", STEP, context(exposures=(exposure(-50, 0, 20),))),
        (
            *("net_exposure_max", "mesh", "160", STEP),
            context(is_buy=False, exposures=(exposure(-50, 5, 10),)),
        ),
        ("loss_per_day_max", "account:*", "30", STEP, context(results=(result(-50), result(20)))),
        (
            *("loss_per_day_max", "strategy:*", "50", STEP),
            context(results=(result(-50), result(-9, place=OTHER))),
        ),
        ("losses_in_row_max", "strategy:ema", "3", 1, context(losses=Losses(in_row=2))),
    ],
)
def test_value_that_equals_its_limit_passes_and_one_step_more_is_blocked(
    name, scope, limit, step, asked
):
    assert check(name, limit, asked, scope).result == PASSED
    below = check(name, Decimal(limit) - step, asked, scope)
    assert (below.result, below.name) == (BLOCKED, name)


@pytest.mark.parametrize("prices", [(), (None,), ("100", None)])
def test_order_without_a_known_price_is_blocked_by_the_deviation(prices):
    found = check("price_deviation_max", "1", context(prices=prices))
    assert (found.result, found.detail) == (BLOCKED, "of mesh: the price of the order is not known")


def test_clock_that_was_set_back_does_not_make_an_old_price_new():
    later = ReferencePrice(bid=Decimal(1), ask=Decimal(1), time_ns=NOW_NS + 3 * SECOND_NS)
    assert check("price_age_ms_max", "2000", context(reference=later)).result == BLOCKED


def test_minimum_passes_at_its_limit():
    losses = Losses(in_row=1, last_time_ns=NOW_NS - 60 * SECOND_NS)
    asked = context(losses=losses)
    assert check("seconds_after_loss_min", "60", asked, "strategy:*").result == PASSED
    assert check("seconds_after_loss_min", "60.000001", asked, "strategy:*").result == BLOCKED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_unknown_fact_is_blocked_and_named(rule):
    kind = rule.kinds[-1] if rule.kinds[-1] != ScopeKind.GROUP else rule.kinds[0]
    scope = Scope(kind) if kind == ScopeKind.MESH else Scope(kind, "*")
    asked = msgspec.structs.replace(FACTS, **dict.fromkeys(FACTS.__struct_fields__[2:]))
    unknown = context(**{name: getattr(asked, name) for name in FACTS.__struct_fields__[2:]},
                      notional=None)  # fmt: skip
    found = check(rule.name, "1e9", unknown, scope.key)
    assert found.result == BLOCKED
    assert "known" in found.detail


@pytest.mark.parametrize(
    ("exposures", "detail"),
    [
        ((exposure(None),), "an amount in USDT is not known"),
        ((exposure(1, asset="DOGE"),), "no rate of DOGE"),
        ((exposure(1, asset=""),), "terms of an instrument"),
    ],
)
def test_exposure_of_unknown_value_is_blocked(exposures, detail):
    found = check("exposure_max", "1e9", context(exposures=exposures))
    assert found.result == BLOCKED
    assert detail in found.detail


@pytest.mark.parametrize("name", ["exposure_max", "net_exposure_max"])
def test_order_of_unknown_value_is_blocked_however_small_the_exposure_is(name):
    found = check(name, "1e9", context(notional=None, exposures=(exposure(1),)))
    assert (found.result, found.observed) == (BLOCKED, "1")


def test_own_limit_of_a_scope_takes_the_place_of_that_of_its_kind():
    rule = RULES_BY_NAME["order_value_max"]
    limits = {"venue:*": Decimal(1), "venue:binance": Decimal(100), "venue:okx": Decimal(2)}
    (found,) = rule.checks(context(), limits)
    assert (found.limit, found.unit, found.detail) == ("100", "USDT", "of venue:binance")


def test_values_of_the_longest_amounts_are_exact():
    longest = order_checks.amount("9" * DIGITS_MAX + "." + "9" * DIGITS_MAX)
    assert order_checks.amount(f"0{longest}9") is None
    assert order_checks.amount(f"1e{DIGITS_MAX}") is None
    notional = product(product(longest, longest), Decimal("0.00000001"))
    asked = context(notional=notional, notional_asset="BTC", exposures=(exposure(notional),))
    wide = replace(asked, valuation=Valuation("USDT", {"BTC": longest}))
    assert check("exposure_max", "1", wide).result == BLOCKED


def test_person_has_no_limit_of_a_strategy():
    rule = RULES_BY_NAME["losses_in_row_max"]
    place = PLACE._replace(strategy="")
    assert not [*rule.checks(context(place, losses=None), {"strategy:*": Decimal(0)})]


amounts = st.decimals(0, 1_000, places=6)
exposures = st.lists(
    st.builds(
        exposure, st.decimals(-1_000, 1_000, places=6), amounts, amounts,
        st.sampled_from(["USDT", "BTC"]), st.sampled_from([PLACE, OTHER]),
    ),
    max_size=5,
).map(tuple)  # fmt: skip


@given(exposures, amounts, st.booleans(), st.decimals(0, 5_000, places=6))
def test_allowed_entry_never_brings_the_exposure_beyond_its_limit(found, notional, is_buy, limit):
    asked = context(is_buy=is_buy, exposures=found, notional=notional)
    gross = check("exposure_max", limit, asked)
    net = check("net_exposure_max", limit, asked)
    rates = {"USDT": 1, "BTC": 50_000}
    values = [(one.held * rates[one.asset], one.buys * rates[one.asset],
               one.sells * rates[one.asset]) for one in found]  # fmt: skip
    values.append((Decimal(0), notional * is_buy, notional * (not is_buy)))
    if gross.result == PASSED:
        assert sum(abs(held) + buys + sells for held, buys, sells in values) <= limit
    if net.result == PASSED:
        held = sum(one[0] for one in values)
        # Whatever part of what is approved is filled.
        for share in (Decimal(0), Decimal("0.5"), Decimal(1)):
            bought = share * sum(one[1] for one in values)
            sold = share * sum(one[2] for one in values)
            assert abs(held + bought) <= limit or share == 0
            assert abs(held - sold) <= limit or share == 0


def test_trading_hours_begin_and_end_at_their_minutes():
    hours = (TradingHours(days=("tue",), start="22:13", end="22:14"),)
    policy = Policy(trading_hours=hours)
    assert week_time(NOW_NS) == "tue 22:13"
    results = []
    for ns in (NOW_NS - 20 * SECOND_NS, NOW_NS - 20 * SECOND_NS - 1, NOW_NS + 40 * SECOND_NS):
        asked = context()
        object.__setattr__(asked, "now_ns", ns)
        (found,) = policy.checks(asked)
        results.append(found.result)
    assert results == [PASSED, BLOCKED, BLOCKED]


def test_strategy_that_is_not_named_is_blocked():
    (found,) = Policy(strategies=("other",)).checks(context())
    assert (found.name, found.observed, found.result) == ("strategies", "ema", BLOCKED)
    assert not Policy(strategies=("other",)).checks(context(PLACE._replace(strategy="")))


def test_facts_are_read_as_they_were_recorded():
    assert read_facts(FACTS.text) == FACTS
    assert read_facts(NO_FACTS.text) == NO_FACTS
    assert read_facts("") is None
