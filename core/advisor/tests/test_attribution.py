"""Results of decisions are attributed to what the decisions rest on."""

import msgspec
from venuemesh.advisor.v1 import decision_reports_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2, signals_pb2

from core.advisor import attribution
from core.advisor.attribution import (
    ADVISOR_RULE,
    CALIBRATION,
    MODEL,
    REGIME,
    STRATEGY,
    STRATEGY_RULE,
)
from core.advisor.decider import decision_event
from core.advisor.tests.examples import (
    RULES,
    SELL,
    facts,
    platt_map,
    signal,
    signal_event,
)
from core.advisor.tests.test_decision_reports import LOSS, SIGNALS, WIN
from core.advisor.tests.test_decision_reports import record as record
from core.advisor.tests.test_synthesis_stage import answered, asking
from kit.events import newest_events
from kit.events.tests.rig import STORED_NS

WON, LOST = "9.996", "-4.998"
"""Of 0.01666 BTC: 600 and -300 USDT for one."""


def rule(name, weight, score=None, is_veto=False):
    return signals_pb2.RuleScore(rule=name, weight=weight, score=score, is_veto=is_veto)


async def results(record, rules=RULES, **request):
    """What was attributed, by kind and name."""
    asked = decision_reports_pb2.GetAttributionRequest(**{"since_time_ns": 1, **request})
    found = await record.service(rules).GetAttribution(asked, None)
    return {(one.kind, one.name): one for one in found.results}


def counts(found):
    return found.won, found.lost, found.unknown, found.profit


async def test_results_are_attributed_to_strategy_regime_and_map(record):
    for number, (regime, applied, outcome) in enumerate(
        [("calm", None, WIN), ("calm", platt_map(), LOSS), ("wild", platt_map(), LOSS)]
    ):
        _, decision = await record.decide(number, signal(regime=regime), applied=applied)
        await record.observe(decision, regime=regime, **outcome)
    found = await results(record)
    assert counts(found[STRATEGY, ""]) == (1, 2, 0, "0")
    assert found[STRATEGY, ""].asset == "USDT"
    assert counts(found[REGIME, "calm"]) == (1, 1, 0, "4.998")
    assert counts(found[REGIME, "wild"]) == (0, 1, 0, LOST)
    assert counts(found[CALIBRATION, "not applied"]) == (1, 0, 0, WON)
    assert counts(found[CALIBRATION, "platt"]) == (0, 2, 0, "-9.996")
    assert not [kind for kind, _ in found if kind == MODEL]


async def test_rules_have_their_parts_of_the_profit(record):
    rules = [rule("cross", 2, 0.75), rule("flow", 1, -0.5), rule("quiet", 1), rule("stop", 0, 1)]
    _, decision = await record.decide(1, signal(rules=rules))
    await record.observe(decision, **WIN)
    found = await results(record)
    # 1.5 for the signal, 0.5 against it.
    assert counts(found[STRATEGY_RULE, "cross"]) == (1, 0, 0, "7.497")
    assert counts(found[STRATEGY_RULE, "flow"]) == (1, 0, 0, "-2.499")
    names = {name for kind, name in found if kind == STRATEGY_RULE}
    assert names == {"cross", "flow"}
    own = {name: one.profit for (kind, name), one in found.items() if kind == ADVISOR_RULE}
    assert set(own) == {"trade_flow", "close_distance", "spread"}
    assert all(0 < float(profit) < float(WON) for profit in own.values())


async def test_a_rule_that_says_sell_is_for_a_sale(record):
    raised = signal(side=SELL, rules=[rule("cross", 1, -0.5)], bar_fields={"buy_volume": "3"})
    _, decision = await record.decide(1, raised)
    assert decision.decision_made.intent.side == SELL
    await record.observe(decision, is_won=True, price="59400")
    # 0.01666 BTC from 60000 down.
    assert counts((await results(record))[STRATEGY_RULE, "cross"]) == (1, 0, 0, "9.996")


async def test_decisions_of_other_settings_are_not_attributed_to_rules_of_the_advisor(record):
    _, decision = await record.decide(1)
    await record.observe(decision, **WIN)
    found = await results(record, msgspec.structs.replace(RULES, conviction_min=0.2))
    assert counts(found[STRATEGY, ""]) == (1, 0, 0, WON)
    assert not [kind for kind, _ in found if kind == ADVISOR_RULE]


async def test_results_are_attributed_to_what_a_model_has_said(record):
    late = answered(outcome=decisions_pb2.SYNTHESIS_OUTCOME_TIMED_OUT, answer="")
    for number, made in enumerate([answered(), late]):
        event = signal_event(number, signal(synthesis=asking(conviction_max=1.0)))
        decision = decision_event(event, facts(), RULES, made=made)
        await record.rig.append(event, stream=SIGNALS)
        await record.rig.append(decision, stream=event_pb2.EVENT_STREAM_DECISIONS)
        await record.observe(decision, **WIN)
    found = await results(record)
    assert counts(found[MODEL, "model-1: supports"]) == (1, 0, 0, WON)
    assert counts(found[MODEL, "model-1: not used"]) == (1, 0, 0, WON)


async def test_an_entry_that_was_blocked_has_earned_nothing(record):
    _, decision = await record.decide(1, applied=platt_map(intercept=-9.0))
    await record.observe(decision, **WIN)
    assert await results(record) == {}


async def test_outcomes_that_are_not_known_have_no_profit(record):
    _, decision = await record.decide(1)
    await record.observe(decision, barrier=decisions_pb2.OUTCOME_BARRIER_UNKNOWN)
    assert counts((await results(record))[STRATEGY, ""]) == (0, 0, 1, "")


async def test_results_are_those_of_a_strategy_and_a_time(record):
    for number, name in enumerate(["one", "two"]):
        _, decision = await record.decide(number, signal(strategy=name))
        await record.observe(decision, **WIN)
    assert counts((await results(record, strategy="two"))[STRATEGY, ""]) == (1, 0, 0, WON)
    assert await results(record, since_time_ns=STORED_NS + 1) == {}


async def test_an_answer_with_too_many_events_says_since_when_it_counts(record, monkeypatch):
    _, decision = await record.decide(1)
    await record.observe(decision, **WIN)
    monkeypatch.setattr(attribution, "READ_EVENTS_MAX", 1)
    monkeypatch.setattr(newest_events, "READ_EVENTS", 1)
    asked = decision_reports_pb2.GetAttributionRequest(since_time_ns=1)
    found = await record.service().GetAttribution(asked, None)
    assert found.counted_since_time_ns == STORED_NS
