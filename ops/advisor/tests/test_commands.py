"""The command ``advisor``, with a real advisor."""

import asyncio
import json

import pytest
from venuemesh.advisor.v1 import advisor_pb2_grpc, decision_reports_pb2
from venuemesh.events.v1 import calibrations_pb2, decisions_pb2

from core.advisor import calibration_store
from core.advisor.calibration_handler import learn
from core.advisor.decider import decision_event
from core.advisor.tests.examples import CLOSE, RULES, facts, platt_map, signal, signal_event
from core.advisor.tests.process import advisor_process
from core.advisor.tests.test_attribution import rule
from core.advisor.tests.test_calibration_handler import outcomes
from core.advisor.tests.test_decision_reports import LOSS, WIN
from core.advisor.tests.test_decision_reports import record as record
from core.advisor.tests.test_synthesis_stage import answered, asking
from kit.base import rpc
from ops import cli
from ops.advisor import explanation, tables
from ops.errors import EXIT_WRONG_USE


@pytest.fixture
async def where(record, postgres_url, valkey_url):
    """The options that name the advisor."""
    process = advisor_process(postgres_url, valkey_url)
    process.start()
    async with rpc.channel(process.address) as channel:
        stub = advisor_pb2_grpc.AdvisorStub(channel)
        request = decision_reports_pb2.ListDecisionsRequest()
        await stub.ListDecisions(request, wait_for_ready=True, timeout=60)
    yield ("--gateway", f"http://{process.address}", "--token", "t")
    process.kill()


async def command(*words: str) -> int:
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, ["advisor", *words])


def words_of(raised=None, known=None, **fields) -> list[str]:
    """The explanation of a decision."""
    event = signal_event(1, raised)
    decision = decision_event(event, known or facts(), RULES, **fields)
    response = decision_reports_pb2.ExplainDecisionResponse(signal=event, decision=decision)
    return list(explanation.lines(response))


async def test_a_decision_is_explained_stage_by_stage(record, where, capsys):
    raised, decision = await record.decide(1, signal(regime="calm"), applied=platt_map())
    await record.observe(decision, **WIN)
    assert await command("explain", f"lc-{raised.event_id.hex()}-1", *where) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "strategy ema_cross wants to open buy BTCUSDT at binance/paper"
    assert "    quote.ask_price is 60010 USDT" in said
    assert "    clock.time is 2023-11-14 22:14:20.500+00:00" in said
    stages = [line for line in said if line.startswith("stage ")]
    assert [line.split()[1] for line in stages] == list("12345678")
    assert stages[3] == "stage 4 conviction: is the conviction large enough? passed"
    applied = decision.decision_made.calibration
    change = f"from {applied.conviction:.4f} to {applied.probability:.4f}, at most 1"
    assert f"    map platt of without a name, 400 outcomes: {change}" in said
    assert "    spread passed, value 0.000167 ratio, limit 0.004 ratio" in said
    assert "intent: open buy 0.01666 of BTCUSDT" in said
    assert said[-1] == "outcome: won, target at 60610"
    assert await command("explain", decision.event_id.hex(), "--json", *where) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["source"] == "advisor"


async def test_a_repeated_decision_is_equal_or_names_what_differs(record, where, capsys):
    _, decision = await record.decide(1)
    assert await command("repeat", decision.event_id.hex(), *where) == 0
    assert "every byte is equal" in capsys.readouterr().out
    decision.decision_made.intent.size = "9"
    await record.rig.execute(
        "UPDATE events SET body = %s WHERE event_id = %s",
        decision.SerializeToString(deterministic=True),
        decision.event_id,
    )
    assert await command("repeat", decision.event_id.hex(), *where) == 1
    shown = capsys.readouterr().out
    assert "decision_made.intent.size" in shown
    assert "0.01666" in shown


async def test_decisions_calibration_and_attribution_are_listed(record, where, capsys):
    _, decision = await record.decide(1)
    await record.observe(decision, **LOSS)
    await record.decide(2, known=facts(quote__ask_price="60400"))
    async with record.rig.database.transaction() as connection:
        rows = learn({}, list(enumerate(outcomes(240, strategy="learned"), 1))).rows
        await calibration_store.save(connection, rows)
    assert await command("list", "--strategy", "ema_cross", *where) == 0
    shown = capsys.readouterr().out
    first, second = (line for line in shown.splitlines() if "ema_cross" in line)
    assert "blocked by close_distance" in first
    assert "lost" in second
    assert decision.event_id.hex() in second
    assert await command("calibration", "--strategy", "learned", "--bins", *where) == 0
    shown = capsys.readouterr().out
    assert "all regimes" in shown
    assert shown.count("learned, ") == 4
    assert await command("attribution", "--from", "2020-01-01", *where) == 0
    assert "-4.998 USDT" in capsys.readouterr().out


async def test_what_is_no_decision_is_an_error(where, capsys):
    assert await command("explain", "4711", *where) == EXIT_WRONG_USE
    assert "names no decision" in capsys.readouterr().err
    assert await command("repeat", bytes(16).hex(), *where) == 1
    assert "UNKNOWN_EVENT" in capsys.readouterr().err


def test_the_stage_that_blocks_is_the_last_one():
    said = words_of(known=facts(quote__ask_price="60400"))
    stages = [line for line in said if line.startswith("stage ")]
    assert stages[-1].endswith("rules say? blocked by close_distance")
    assert said[-1] == "result: blocked"
    assert not [line for line in said if line.startswith("intent")]


def test_rules_of_the_strategy_are_explained():
    said = words_of(signal(rules=[rule("cross", 2, 0.75), rule("quiet", 1)], score=0.75))
    assert "    rule cross: +0.7500, weight 2" in said
    assert "    rule quiet: abstains" in said


def test_a_reduction_says_what_was_noted():
    said = words_of(signal(CLOSE, request={}), facts(quote__ask_price=None))
    assert "    size noted, is computed from the position" in said
    assert "intent: close buy what the position has of BTCUSDT" in said


def test_the_answer_of_a_model_is_explained():
    made = answered(claims=[decisions_pb2.ModelClaim(fact_id="bar.close", value="60000")])
    said = words_of(signal(synthesis=asking()), made=made)
    assert "    model model-1: accepted" in said
    assert "    claims bar.close is 60000" in said


def test_each_stage_has_its_question():
    stages = set(decisions_pb2.DecisionStage.values())
    assert explanation.QUESTIONS.keys() == stages - {decisions_pb2.DECISION_STAGE_UNSPECIFIED}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"is_pool": True}, "all regimes"),
        ({"regime": "calm"}, "calm"),
        ({}, "without a name"),
    ],
)
def test_regimes_have_names(fields, shown):
    assert tables.regime(calibrations_pb2.CalibrationMap(**fields)) == shown


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"conviction": 0.65, "probability": 0.5}, "0.5000"),
        ({"conviction": 0.65}, "0.6500"),
        ({}, ""),
    ],
)
def test_the_conviction_of_a_decision_is_the_one_after_calibration(fields, shown):
    assert tables.conviction(decision_reports_pb2.ReportedDecision(**fields)) == shown


def test_an_unknown_outcome_is_not_lost():
    assert tables.won(decisions_pb2.OutcomeObserved()) == "not known"
