"""Decisions on whole signals."""

import base64
import json
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import calibrations_pb2, checks_pb2, decisions_pb2, event_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.advisor.decider import STAGES, decide, decision_event, repeated_event
from core.advisor.facts import DecisionFacts, instrument_facts
from core.advisor.settings import AdvisorSettings
from core.advisor.tests.examples import (
    CLOSE,
    FLIP,
    INVERSE,
    NOW_NS,
    OPEN,
    REDUCE,
    RULES,
    SELL,
    SPOT,
    case,
    facts,
    platt_map,
    results,
    signal,
    signal_event,
)

BLOCKED = decisions_pb2.DECISION_OUTCOME_BLOCKED
EXPIRED = decisions_pb2.DECISION_OUTCOME_EXPIRED
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
MAPS = (
    platt_map(reason="a line"),
    platt_map(reason="a shifted line", shift=0.123456789),
    platt_map(
        reason="points",
        kind=calibrations_pb2.CALIBRATION_MAP_KIND_ISOTONIC,
        convictions=[0.1, 0.7],
        probabilities=[0.2, 0.6],
    ),
    platt_map(reason="a drift", is_applied=False, conviction_max=0.2),
)


def test_an_entry_gets_an_intent_with_prices_on_the_tick_and_a_size_on_the_step():
    decision = decide(case())
    assert decision.outcome == ISSUED
    intent = decision.intent
    assert (intent.action, intent.type) == (OPEN, orders_pb2.ORDER_TYPE_MARKET)
    assert intent.reference_price == "60010"
    assert (intent.stop_price, intent.target_price) == ("59710", "60610")
    # 1000 / 60010 = 0.016663…
    assert (intent.size, intent.reduce_fraction) == ("0.01666", "")
    assert intent.expires_time_ns == signal().expires_time_ns
    assert 0 < intent.conviction <= 0.8
    assert intent.reasons[0].startswith("strategy ema_cross: conviction 0.8")
    assert [report.stage for report in decision.stages] == [stage for stage, _ in STAGES]
    assert set(results(decision).values()) == {checks_pb2.CHECK_RESULT_PASSED}
    skipped = [one.stage for one in decision.stages if one.skipped_reason]
    assert skipped == [
        decisions_pb2.DECISION_STAGE_CALIBRATION,
        decisions_pb2.DECISION_STAGE_SYNTHESIS,
    ]


def test_a_sale_has_its_prices_on_the_other_sides():
    against = {"buy_volume": "3"}
    intent = decide(case(signal(side=SELL, bar_fields=against))).intent
    assert intent.reference_price == "60000"
    assert (intent.stop_price, intent.target_price) == ("60300", "59400")


@pytest.mark.parametrize("instrument", [SPOT, INVERSE], ids=["spot", "inverse"])
def test_facts_say_everything_about_an_instrument_that_is_needed(instrument):
    read = DecisionFacts(instrument_facts(instrument, NOW_NS)).instrument()
    wanted = types_pb2.Instrument()
    wanted.CopyFrom(instrument)
    for name in ("venue", "symbol", "contract_value_asset"):
        wanted.ClearField(name)
    assert read == wanted


def test_the_first_stage_that_blocks_is_the_last_one():
    decision = decide(case(known=facts(quote__bid_price=None)))
    assert decision.outcome == BLOCKED
    assert not decision.HasField("intent")
    assert len(decision.stages) == 2
    assert results(decision)["quote.bid_price"] == checks_pb2.CHECK_RESULT_BLOCKED


def test_a_signal_after_its_time_has_expired():
    decision = decide(case(signal(expires_time_ns=NOW_NS)))
    assert decision.outcome == EXPIRED
    assert len(decision.stages) == 1


@pytest.mark.parametrize("action", [CLOSE, REDUCE])
@pytest.mark.parametrize("known", [facts(), DecisionFacts(())], ids=["facts", "nothing"])
def test_nothing_blocks_a_reduction(action, known):
    raised = signal(
        action, request={"reduce_fraction": "0.5"}, expires_time_ns=1, conviction=float("nan")
    )
    raised.ClearField("bar")
    decision = decide(case(raised, known))
    assert decision.outcome == ISSUED
    intent = decision.intent
    assert intent.action == action
    assert intent.reduce_fraction == ("0.5" if action == REDUCE else "")
    assert (intent.size, intent.stop_price) == ("", "")
    found = results(decision)
    assert checks_pb2.CHECK_RESULT_BLOCKED not in found.values()
    assert found["signal_expiry"] == checks_pb2.CHECK_RESULT_NOTED


@pytest.mark.parametrize("fraction", ["", "0", "-0.5", "1", "1.5", "NaN", "1e-1"])
def test_a_reduction_by_a_part_that_makes_no_sense_closes_the_position(fraction):
    decision = decide(case(signal(REDUCE, request={"reduce_fraction": fraction})))
    assert decision.intent.action == CLOSE
    assert decision.intent.reduce_fraction == ""


def test_a_flip_whose_other_side_is_blocked_closes_the_position():
    decision = decide(case(signal(FLIP), facts(quote__bid_price=None)))
    assert decision.outcome == ISSUED
    assert decision.intent.action == CLOSE
    assert "quote.bid_price" in decision.intent.reasons[0]
    assert (decision.intent.size, decision.intent.stop_price) == ("", "")
    whole = decide(case(signal(FLIP)))
    assert (whole.intent.action, whole.intent.size) == (FLIP, "0.01666")


def test_the_same_inputs_make_the_same_bytes():
    made = decision_event(signal_event(), facts(), RULES)
    again = decision_event(signal_event(), facts(), RULES)
    assert made.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert made.time_ns == NOW_NS
    assert made.cause_ids == [signal_event().event_id]
    assert made.lifecycle_id == signal_event().event_id
    assert made.config_hash == RULES.config_hash(3)
    assert [one.venue for one in made.inputs] == ["binance", "binance"]
    assert made.inputs[1].cursor.sequence == 7
    assert made.inputs[1].channel == types_pb2.CHANNEL_BOOK


@pytest.mark.parametrize("action", [OPEN, CLOSE, REDUCE, FLIP])
@pytest.mark.parametrize(
    "changes",
    [{}, {"quote__ask_price": None}, {"instrument__status": "halted"}, {"rules__version": None}],
)
@pytest.mark.parametrize("calibration_map", MAPS, ids=lambda one: one.reason)
def test_a_stored_decision_is_made_again_from_what_it_has_stored(action, changes, calibration_map):
    event = signal_event(raised=signal(action))
    made = decision_event(event, facts(**changes), RULES, calibration_map=calibration_map)
    stored = made.SerializeToString(deterministic=True)
    again = repeated_event(event, event_pb2.Event.FromString(stored), RULES)
    assert again.SerializeToString(deterministic=True) == stored


EARLIER = json.loads(Path(__file__).with_name("earlier_decisions.json").read_text())
"""Decisions by version 1 of the rules, which followed quotes, as they were stored."""


@pytest.mark.parametrize("earlier", EARLIER, ids=[one["name"] for one in EARLIER])
def test_a_decision_of_an_earlier_version_is_made_again_from_its_stored_facts(earlier):
    signal = event_pb2.Event.FromString(base64.b64decode(earlier["signal"]))
    stored = base64.b64decode(earlier["decision"])
    made = repeated_event(signal, event_pb2.Event.FromString(stored), RULES)
    assert made.SerializeToString(deterministic=True) == stored


def test_other_settings_are_told_by_their_hash():
    assert AdvisorSettings(spread_max="0.005").rules().config_hash(2) != RULES.config_hash(2)
    assert AdvisorSettings(port=1).rules().config_hash(2) == RULES.config_hash(2)
