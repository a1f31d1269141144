"""Each check of each stage, and values that nobody should send."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.bars.v1 import bars_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2

from core.advisor import facts as fact_ids
from core.advisor import features
from core.advisor.amounts import amount_of
from core.advisor.decider import decide
from core.advisor.decision_case import Assessment
from core.advisor.facts import DecisionFacts, Fact
from core.advisor.order_terms import order_terms
from core.advisor.settings import AdvisorSettings, SynthesisSettings
from core.advisor.stages import conviction, quality, rules
from core.advisor.tests.examples import (
    ANSWER_NS,
    BAR_END_NS,
    CLOSE,
    INVERSE,
    MINUTE_NS,
    NOW_NS,
    OPEN,
    SELL,
    SPOT,
    case,
    facts,
    results,
    signal,
    values,
)
from kit.accounting.amounts import product
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.errors import SettingError

BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
OLD_NS = str(NOW_NS - 61 * NANOSECONDS_PER_SECOND)
HUGE = "9" * 31
STRANGE = ["", "NaN", "-1", "1e5", "Infinity", "0x1", " 1", "\u0661", HUGE, "0." + "1" * 31]

BLOCKING = {
    "signal_action": (signal(action=0), {}),
    "signal_side": (signal(side=0), {}),
    "signal_expiry": (signal(), {"clock__time": None}),
    "quote_crossed": (signal(), {"quote__ask_price": "59999.99"}),
    "quote.bid_price": (signal(), {"quote__bid_price": "NaN"}),
    "quote.ask_price": (signal(), {"quote__ask_price": None}),
    "quote_unchanged": (signal(), {"book__state": "unproven", "book__venue_time": OLD_NS}),
    "book_state": (signal(), {"book__state": "in_doubt"}),
    "book_answer": (signal(), {"book__answered_time": None}),
    "bar_coverage": (signal(bar_fields={"covered_ns": MINUTE_NS // 2}), {}),
    "instrument.price_tick": (signal(), {"instrument__price_tick": None}),
    "instrument.size_step": (signal(), {"instrument__size_step": None}),
    "instrument.size_min": (signal(), {"instrument__size_min": None}),
    "instrument.status": (signal(), {"instrument__status": "halted"}),
    "account.equity": (signal(request={"risk_fraction": "0.01"}), {"account__equity": None}),
    "close_distance": (signal(bar_fields={"close": "59000"}), {}),
    "signal_conviction": (signal(conviction=float("nan")), {}),
    "conviction": (signal(conviction=0.05), {}),
    "spread": (signal(), {"quote__bid_price": "59000"}),
    "stop_distance": (signal(request={"notional": "1000", "stop_distance": "0"}), {}),
    "reward_risk": (
        signal(request={"notional": "1000", "stop_distance": "100", "target_distance": "119"}),
        {},
    ),
    "size": (signal(request={"stop_distance": "300"}), {}),
    "size_min": (signal(), {"instrument__size_min": "0.1"}),
    "notional_min": (signal(), {"instrument__notional_min": "1001"}),
}


@pytest.mark.parametrize("check", BLOCKING)
def test_a_value_beyond_its_limit_blocks_an_entry_and_is_noted_for_a_reduction(check):
    raised, changes = BLOCKING[check]
    decision = decide(case(raised, facts(**changes)))
    assert decision.outcome == decisions_pb2.DECISION_OUTCOME_BLOCKED
    assert results(decision)[check] == BLOCKED
    raised.action = CLOSE
    decision = decide(case(raised, facts(**changes)))
    assert decision.outcome == decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
    assert BLOCKED not in results(decision).values()


def test_prices_must_be_asked_for_of_late():
    for seconds, check in ((2, ""), (3, "quote_age"), (-2, ""), (-3, "quote_ahead")):
        known = values()
        known[fact_ids.BID_PRICE].time_ns = NOW_NS - seconds * NANOSECONDS_PER_SECOND
        found = results(decide(case(known=DecisionFacts(known.values()))))
        names = [name for name, result in found.items() if result == BLOCKED]
        assert names == ([check] if check else [])


def blocked(**changes) -> list[str]:
    found = results(decide(case(known=facts(**changes))))
    return [name for name, result in found.items() if result == BLOCKED]


def test_an_exact_book_that_has_not_changed_is_not_old_and_one_without_proof_is():
    assert blocked(book__venue_time=OLD_NS) == []
    assert blocked(book__venue_time=None) == []
    assert blocked(book__state="unproven") == []
    for old in (OLD_NS, None):
        unproven = blocked(book__state="unproven", book__venue_time=old)
        assert unproven == ["quote_unchanged"]


@pytest.mark.parametrize("state", ["proven", "unproven"])
def test_a_book_that_has_changed_in_the_future_says_that_the_clocks_differ(state):
    for seconds, names in ((2, []), (3, ["quote_ahead"])):
        known = values(book__state=state)
        later_ns = NOW_NS + seconds * NANOSECONDS_PER_SECOND
        known[fact_ids.BOOK_VENUE_TIME].value = str(later_ns)
        known[fact_ids.BOOK_VENUE_TIME].time_ns = later_ns
        found = results(decide(case(known=DecisionFacts(known.values()))))
        assert [name for name, result in found.items() if result == BLOCKED] == names


@pytest.mark.parametrize("state", ["in_doubt", "empty", "unspecified", "", "PROVEN", None])
def test_a_book_that_may_be_wrong_blocks(state):
    assert "book_state" in blocked(book__state=state)


@pytest.mark.parametrize(("took_ms", "is_blocked"), [(0, 0), (500, 0), (501, 1), (-1, 1)])
def test_an_answer_must_come_in_time(took_ms, is_blocked):
    answered = NOW_NS - ANSWER_NS + took_ms * NANOSECONDS_PER_MILLISECOND
    assert ("book_answer" in blocked(book__answered_time=str(answered))) == is_blocked


def test_a_fact_that_contradicts_another_one_is_not_known():
    other = Fact(fact_id=fact_ids.BID_PRICE, value="60001", unit="USDT", time_ns=NOW_NS)
    decision = decide(case(known=DecisionFacts([*values().values(), other])))
    assert results(decision)["quote.bid_price"] == BLOCKED


def test_the_quality_is_a_weighted_sum():
    assert quality.quality_score(case()) == pytest.approx(0.4 + 0.4 + 0.2 * 0.95)
    half = signal(bar_fields={"covered_ns": MINUTE_NS // 2, "close_time_ns": BAR_END_NS})
    assert quality.quality_score(case(half)) == pytest.approx(0.4 + 0.2 + 0.19)
    assert quality.quality_score(case(known=DecisionFacts(()))) == pytest.approx(0.4)


def test_the_rules_score_the_facts_in_the_direction_of_the_signal():
    assert features.trade_flow(case()) == pytest.approx(0.4)
    assert features.trade_flow(case(signal(side=SELL))) == pytest.approx(-0.4)
    candle = {"source": bars_pb2.BAR_SOURCE_VENUE_CANDLE}
    for fields in ({"volume": "0"}, {"buy_volume": "11"}, {"buy_volume": "NaN"}, candle):
        assert features.trade_flow(case(signal(bar_fields=fields))) is None
    assert float(features.close_distance(case())) == pytest.approx(10 / 60000)
    assert features.close_distance(case(signal(bar_fields={"symbol": "ETHUSDT"}))) is None
    crossed = case(known=facts(quote__bid_price="60020"))
    assert features.spread(crossed) is None
    found = rules.run(case(), Assessment()).assessment
    assert found.rules_score == pytest.approx(rules.mean(found.rules))
    assert rules.mean([]) == 0.0


def test_nothing_raises_the_conviction_of_the_strategy():
    best = Assessment(quality=1.0, rules_score=1.0)
    assert conviction.run(case(), best).assessment.conviction == pytest.approx(0.8)
    worst = Assessment(quality=1.0, rules_score=-1.0)
    assert conviction.run(case(), worst).assessment.conviction == 0.0


def terms(request, instrument=SPOT, price="60010", direction=1, equity="100000"):
    wanted = signal(request=request).request
    return order_terms(wanted, instrument, amount_of(price), direction, amount_of(equity))


def test_the_size_loses_at_the_stop_what_may_be_lost():
    found = terms({"risk_fraction": "0.005", "stop_distance": "300"})
    # 500 USDT over a distance of 300 USDT
    assert found.size == Decimal("1.66666")
    both = terms({"risk_fraction": "0.005", "stop_distance": "300", "notional": "1000"})
    assert both.size == Decimal("0.01666")


def test_an_inverse_contract_loses_in_its_base_asset():
    found = terms({"risk_fraction": "0.01", "stop_distance": "1000"}, INVERSE, "50000", equity="1")
    # 0.01 BTC / (100 USD / 49000 - 100 USD / 50000)
    assert found.size == Decimal(245)
    assert found.notional == Decimal(24500)


def test_stop_and_target_are_rounded_against_the_signal():
    request = {"notional": "1000", "stop_distance": "300.001", "target_distance": "600.009"}
    bought = terms(request)
    assert (bought.stop, bought.target) == (Decimal("59709.99"), Decimal(60610))
    sold = terms(request, direction=-1)
    assert (sold.stop, sold.target) == (Decimal("60310.01"), Decimal(59410))


def test_the_distance_of_a_trailing_stop_is_rounded_up_to_the_tick():
    request = {"notional": "1000", "stop_distance": "300", "trailing_distance": "150.001"}
    for direction in (1, -1):
        assert terms(request, direction=direction).trailing_offset == Decimal("150.01")
    intent = decide(case(signal(request=request))).intent
    assert intent.trailing_offset == "150.01"
    del request["trailing_distance"]
    assert decide(case(signal(request=request))).intent.trailing_offset == ""


def test_a_stop_below_zero_and_a_target_within_the_tick_are_none():
    found = terms({"notional": "1000", "stop_distance": "60010", "target_distance": "0.001"})
    assert (found.stop, found.target) == (None, None)


NUMBERS = st.one_of(
    st.sampled_from(STRANGE),
    st.sampled_from(["0", "1", "0.005", "300", "60000", "9" * 30, "0." + "0" * 29 + "1"]),
    st.text(max_size=5),
)


@given(
    st.sampled_from(
        ["notional", "risk_fraction", "stop_distance", "target_distance", "trailing_distance"]
    ),
    NUMBERS,
    st.sampled_from(sorted(values())),
    NUMBERS,
)
def test_no_text_makes_an_intent_outside_of_what_was_checked(field, text, fact_id, value):
    raised = signal()
    setattr(raised.request, field, text)
    known = values()
    known[fact_id].value = value
    decision = decide(case(raised, DecisionFacts(known.values())))
    if decision.outcome == decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED:
        intent = decision.intent
        size, price = Decimal(intent.size), Decimal(intent.reference_price)
        assert size > 0
        assert product(size, price) <= Decimal(raised.request.notional)
        assert Decimal(intent.stop_price) < price
        assert not intent.target_price or Decimal(intent.target_price) > price
        assert not intent.trailing_offset or Decimal(intent.trailing_offset) > 0
    raised.action = CLOSE
    closed = decide(case(raised, DecisionFacts(known.values())))
    assert closed.outcome == decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED


@pytest.mark.parametrize("text", STRANGE[1:])
@pytest.mark.parametrize(
    "field", ["notional", "stop_distance", "target_distance", "trailing_distance"]
)
def test_a_request_that_is_no_amount_blocks(field, text):
    raised = signal(OPEN)
    setattr(raised.request, field, text)
    assert decide(case(raised)).outcome == decisions_pb2.DECISION_OUTCOME_BLOCKED


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spread_max", "NaN"),
        ("spread_max", "0"),
        ("reward_risk_min", ""),
        ("quote_age_max_ms", 0),
        ("book_answer_max_ms", 0),
        ("bar_coverage_min", 1.5),
        ("bar_coverage_min", float("nan")),
        ("rules_score_min", -2.0),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(key, value):
    with pytest.raises(SettingError, match=f"advisor.{key}"):
        AdvisorSettings(**{key: value})


URL = {"url": "http://models:8000/v1", "models": ("m",)}


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("url", {"url": "models:8000", "models": ("m",)}),
        ("url", {**URL, "api_key_file": "/run/secrets/key"}),
        ("models", {"url": URL["url"]}),
        ("models", {"models": ("m",)}),
        ("answer_max_ms", {"answer_max_ms": 0}),
        ("faults_max", {"faults_max": 0}),
        ("daily_tokens_max", {"daily_tokens_max": 0}),
        ("daily_cost_max", {"daily_cost_max": "1e3"}),
        ("prompt_price", {"prompt_price": "-1"}),
    ],
)
def test_a_setting_of_models_out_of_range_is_named(key, changes):
    with pytest.raises(SettingError, match=f"synthesis.{key}"):
        SynthesisSettings(**changes)


@pytest.mark.parametrize("url", ["https://models/v1", "http://127.0.0.1:8000/v1"])
def test_a_key_is_sent_where_nobody_else_reads_it(url):
    assert SynthesisSettings(url=url, models=("m",), api_key_file="/run/secrets/key").url == url
