"""What an answer of a language model changes in a decision."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, signals_pb2

from core.advisor.decider import decide, decision_event
from core.advisor.facts import DecisionFacts
from core.advisor.tests.examples import (
    CLOSE,
    FLIP,
    OPEN,
    REDUCE,
    RULES,
    case,
    facts,
    results,
    signal,
    signal_event,
)

BLOCKED, NOTED = checks_pb2.CHECK_RESULT_BLOCKED, checks_pb2.CHECK_RESULT_NOTED
ACCEPTED = decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
STAGE = decisions_pb2.DECISION_STAGE_SYNTHESIS
FAULTS = [
    value
    for name, value in decisions_pb2.SynthesisOutcome.items()
    if value not in (ACCEPTED, decisions_pb2.SYNTHESIS_OUTCOME_UNSPECIFIED)
]
UNADVISED = decide(case()).intent
CONVICTION_MAX = 0.3


def asking(opposing_blocks=False, conviction_max=CONVICTION_MAX):
    """The fields of a signal whose strategy asks a model."""
    return signals_pb2.SynthesisRequest(
        answer_max_ms=2_000, conviction_max=conviction_max, opposing_blocks=opposing_blocks
    )


def answered(bias="supports", size_percent=100, **fields) -> decisions_pb2.Synthesis:
    answer = {
        "symbol": "BTCUSDT",
        "interval": "1m",
        "claims": [],
        "reasons": ["The book is proven."],
        "bias": bias,
        "size_percent": size_percent,
        "confidence_percent": 100,
    }
    wanted = {"outcome": ACCEPTED, "model": "model-1", "answer": json.dumps(answer)}
    return decisions_pb2.Synthesis(**wanted | fields)


def decided(made, raised=None, known=None) -> decisions_pb2.DecisionMade:
    raised = signal(synthesis=asking()) if raised is None else raised
    return decision_event(signal_event(raised=raised), known or facts(), RULES, made=made)


def intent_of(*arguments):
    return decided(*arguments).decision_made.intent


@pytest.mark.parametrize(
    ("bias", "factor"), [("supports", 1), ("neutral", 0.75), ("opposes", 0.25)]
)
def test_an_answer_multiplies_the_conviction_by_its_bias(bias, factor):
    assert intent_of(answered(bias)).conviction == UNADVISED.conviction * factor


@pytest.mark.parametrize(
    ("percent", "size"), [(100, "0.01666"), (50, "0.00833"), (37, "0.00616"), (1, "0.00016")]
)
def test_an_answer_lowers_the_size_down_to_the_step(percent, size):
    intent = intent_of(answered(size_percent=percent))
    assert intent.size == size
    assert (intent.stop_price, intent.target_price) == (
        UNADVISED.stop_price,
        UNADVISED.target_price,
    )
    assert intent.reasons[-1] == f"model model-1 supports: size {percent} %"


@given(
    st.sampled_from(["supports", "neutral", "opposes"]),
    st.integers(0, 100),
    st.sampled_from([ACCEPTED, *FAULTS]),
    st.floats(),
)
def test_no_answer_and_no_fault_raises_anything(bias, percent, outcome, conviction_max):
    raised = signal(synthesis=asking(conviction_max=conviction_max))
    intent = intent_of(answered(bias, percent, outcome=outcome), raised)
    assert intent.conviction <= UNADVISED.conviction
    assert Decimal(intent.size or "0") <= Decimal(UNADVISED.size)
    assert intent.side == (UNADVISED.side if intent.size else 0)


def test_an_answer_for_no_size_blocks():
    decision = decided(answered(size_percent=0)).decision_made
    assert decision.outcome == decisions_pb2.DECISION_OUTCOME_BLOCKED
    assert decision.stages[-1].stage == STAGE
    assert results(decision)["model_size"] == BLOCKED


def test_an_opposing_answer_blocks_if_the_strategy_says_so():
    raised = signal(synthesis=asking(opposing_blocks=True))
    decision = decided(answered("opposes"), raised).decision_made
    assert results(decision)["model_bias"] == BLOCKED
    assert not decision.HasField("intent")
    assert decided(answered("neutral"), raised).decision_made.outcome == ISSUED


def test_an_opposing_answer_blocks_what_becomes_too_weak():
    raised = signal(conviction=0.2, synthesis=asking())
    assert decided(answered("supports"), raised).decision_made.outcome == ISSUED
    opposed = decided(answered("opposes"), raised).decision_made
    assert results(opposed)["model_conviction"] == BLOCKED


@pytest.mark.parametrize("outcome", FAULTS)
def test_without_a_usable_answer_the_rules_decide_with_a_lower_conviction(outcome):
    made = answered("opposes", 1, outcome=outcome, detail="no answer in 2 s")
    decision = decided(made).decision_made
    assert decision.intent.conviction == CONVICTION_MAX < UNADVISED.conviction
    assert decision.intent.size == UNADVISED.size
    assert results(decision)["model_answer"] == NOTED
    assert "no answer in 2 s" in decision.intent.reasons[-1]


@pytest.mark.parametrize("text", ["", "{}", '{"bias": "supports"}', "buy everything"])
def test_a_record_that_no_decision_has_is_no_answer(text):
    assert intent_of(answered(answer=text)).conviction == CONVICTION_MAX


@pytest.mark.parametrize("action", [CLOSE, REDUCE])
def test_an_answer_has_no_part_in_a_reduction(action):
    raised = signal(action, request={"reduce_fraction": "0.5"}, synthesis=asking(True))
    with_it, without = decided(answered("opposes", 0), raised), decided(None, raised)
    assert with_it.decision_made.intent == without.decision_made.intent
    assert with_it.decision_made.outcome == ISSUED


def test_a_flip_waits_for_no_model():
    decision = decided(None, signal(FLIP, synthesis=asking())).decision_made
    (report,) = [one for one in decision.stages if one.stage == STAGE]
    assert "flip" in report.skipped_reason
    assert decision.intent.conviction == UNADVISED.conviction


@pytest.mark.parametrize("action", [OPEN, CLOSE, FLIP])
@pytest.mark.parametrize(
    "made",
    [
        None,
        answered("neutral", 37, claims=[decisions_pb2.ModelClaim(fact_id="bar.close", value="1")]),
        answered(outcome=decisions_pb2.SYNTHESIS_OUTCOME_HALLUCINATION, detail="invented"),
        answered("opposes", 0),
    ],
)
def test_a_stored_decision_is_made_again_from_its_recorded_answer(action, made):
    event = signal_event(raised=signal(action, synthesis=asking(opposing_blocks=True)))
    stored = decision_event(event, facts(), RULES, made=made).SerializeToString(deterministic=True)
    read = event_pb2.Event.FromString(stored).decision_made
    recorded = read.synthesis if read.HasField("synthesis") else None
    again = decision_event(event, DecisionFacts(read.facts), RULES, made=recorded)
    assert again.SerializeToString(deterministic=True) == stored
