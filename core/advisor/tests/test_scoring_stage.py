"""Scoring models in the third stage."""

import pytest
from venuemesh.events.v1 import decisions_pb2, event_pb2

from core.advisor.attribution import ADVISOR_RULE, DecidedOutcome, parts_of
from core.advisor.decider import case_event, decide, repeated_event
from core.advisor.decision_case import Assessment
from core.advisor.features import FEATURE_SET, FEATURES, feature_values
from core.advisor.scoring.models import model_hash, unusable_reason
from core.advisor.scoring.tests.entries import SHADOW, assigned_model
from core.advisor.stages import rules
from core.advisor.tests.examples import (
    CLOSE,
    OPEN,
    RULES,
    case,
    facts,
    platt_map,
    results,
    signal,
    signal_event,
)

ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED


def with_intercepts(assigned, weight):
    """The model with this weight of the first feature, and no other."""
    for one in assigned.model.features:
        one.weight, one.mean, one.scale = 0.0, 0.0, 1.0
    assigned.model.features[0].weight = weight
    assigned.model.model_id = model_hash(assigned.model)
    return assigned


def score_of(**models):
    return rules.run(case().with_models(**models), Assessment()).assessment


def test_a_model_is_one_more_rule_and_weighs_as_much_as_the_others():
    without = score_of(models=[])
    found = score_of(models=[with_intercepts(assigned_model(), 5.0)])
    (said,) = found.model_scores
    # The conviction of the strategy is 0.8: its log-odds are moved by 4.
    assert said.score == pytest.approx(0.964028)
    assert found.rules_score == pytest.approx((without.rules_score + said.score) / 2)
    against = score_of(models=[with_intercepts(assigned_model(), -5.0)])
    assert against.model_scores[0].score == pytest.approx(-said.score)
    assert 0 < against.model_scores[0].probability < said.probability < 1


def test_a_model_that_is_against_an_entry_blocks_it_and_no_exit():
    models = [with_intercepts(assigned_model(), -50.0)]
    strict = case(signal(bar_fields={"buy_volume": "0"})).with_models(models)
    assert results(decide(strict))["rules_score"] != results(decide(case()))["rules_score"]
    assert not decide(strict).HasField("intent")
    closed = decide(case(signal(CLOSE)).with_models(models))
    assert (closed.outcome, closed.intent.action) == (ISSUED, CLOSE)


def test_a_shadow_is_recorded_and_changes_nothing():
    without = decide(case())
    shadowed = decide(case().with_models([assigned_model(SHADOW)]))
    assert shadowed.model_scores[0].HasField("score")
    shadowed.ClearField("model_scores")
    assert shadowed == without


@pytest.mark.parametrize("action", [OPEN, CLOSE])
def test_a_decision_is_repeated_from_the_record_byte_by_byte(action):
    raised = signal_event(1, signal(action))
    models = [assigned_model(), assigned_model(SHADOW, feature_set="entry/0")]
    stored = case_event(raised, case(raised.signal_raised, calibration_map=platt_map()))
    made = case_event(
        raised, case(raised.signal_raised, calibration_map=platt_map()).with_models(models)
    )
    assert made != stored
    read = event_pb2.Event.FromString(made.SerializeToString())
    again = repeated_event(raised, read, RULES)
    assert again.SerializeToString(deterministic=True) == made.SerializeToString(deterministic=True)
    assert len(again.decision_made.model_scores) == 2


def changed(**fields):
    assigned = assigned_model(**fields)
    assigned.model.model_id = model_hash(assigned.model)
    return assigned


def of_other_features():
    assigned = assigned_model()
    del assigned.model.features[3]
    assigned.model.model_id = model_hash(assigned.model)
    return assigned


def of_scale_zero():
    assigned = assigned_model()
    assigned.model.features[3].scale = 0.0
    assigned.model.model_id = model_hash(assigned.model)
    return assigned


@pytest.mark.parametrize(
    ("assigned", "reason"),
    [
        (changed(feature_set="entry/0"), f"'entry/0'; allowed is '{FEATURE_SET}'"),
        (assigned_model(intercept=0.1234), "was changed"),
        (changed(intercept=float("nan")), "not finite"),
        (of_scale_zero(), "a scale that is not above 0"),
        (of_other_features(), "allowed is strategy_conviction"),
    ],
    ids=["other set", "changed", "not finite", "scale", "other features"],
)
def test_a_model_that_cannot_be_used_says_why_and_the_rules_decide(assigned, reason):
    without, decision = decide(case()), decide(case().with_models([assigned]))
    assert reason in unusable_reason(assigned.model)
    (said,) = decision.model_scores
    assert reason in said.unusable_reason
    assert not said.HasField("score")
    assert decision.intent == without.intent
    details = [check.detail for stage in decision.stages for check in stage.checks]
    assert said.unusable_reason in details


def test_features_are_of_the_signal_and_its_facts():
    found = dict(zip(FEATURES, feature_values(case()), strict=True))
    assert found == pytest.approx(
        {
            "strategy_conviction": 0.8,
            "strategy_score": 0.0,
            "trade_flow": 0.4,
            "close_distance": 10 / 60_000,
            "spread": 10 / 60_005,
            "bar_change": 100 / 59_900,
            "bar_range": 120 / 59_900,
            "close_place": (110 - 10) / 120,
            "stop_distance": 300 / 60_010,
            "reward_risk": 2.0,
        }
    )


def test_unknown_values_are_none_and_the_model_still_speaks():
    garbage = dict.fromkeys(("open", "high", "low", "close", "volume"), "x")
    raised = signal(bar_fields=garbage, request={}, conviction=float("nan"), score=7.0)
    empty = case(raised, facts(quote__ask_price=None))
    assert feature_values(empty) == (None,) * len(FEATURES)
    said = rules.run(empty.with_models([assigned_model()]), Assessment()).assessment
    assert said.model_scores[0].score == 0.0


def test_results_are_attributed_to_the_model():
    raised = signal_event(1)
    decision = case_event(raised, case().with_models([assigned_model()]))
    found = DecidedOutcome(decisions_pb2.OutcomeObserved(), decision, raised)
    names = [part.name for part in parts_of(found, RULES) if part.kind == ADVISOR_RULE]
    assert rules.SCORING_MODEL in names
