"""A model from the record to a decision: trained, put into force, used, repeated, retired."""

import asyncio
import json

import numpy as np
import pytest
from venuemesh.advisor.v1 import advisor_pb2_grpc, decision_reports_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2

from core.advisor.decider import decision_event
from core.advisor.tests.examples import MINUTE_NS, NOW_NS, RULES, facts, signal, signal_event
from core.advisor.tests.process import advisor_process
from kit.base import rpc
from kit.events.event_ids import event_id
from kit.events.tests.rig import rig_for
from ops import cli
from ops.advisor import scoring_models
from ops.errors import EXIT_WRONG_USE
from tests.support.waiting import eventually

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
INFORMED = ("-c", "from core.advisor.tests.informed import main; raise SystemExit(main())")
COUNT = 300


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


@pytest.fixture
async def where(rig, postgres_url, valkey_url):
    """The options that name the advisor."""
    process = advisor_process(postgres_url, valkey_url, INFORMED)
    process.start()
    async with rpc.channel(process.address) as channel:
        request = decision_reports_pb2.ListDecisionsRequest()
        stub = advisor_pb2_grpc.AdvisorStub(channel)
        await stub.ListDecisions(request, wait_for_ready=True, timeout=60)
    yield ("--gateway", f"http://{process.address}", "--token", "t")
    process.kill()


async def command(*words: str) -> int:
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, ["advisor", *words])


async def record_outcomes(rig) -> None:
    """A decision a minute. The more convinced the strategy is, the more often it wins."""
    random = np.random.default_rng(18)
    decided, outcomes = [], []
    for number, conviction in enumerate(random.uniform(0, 1, COUNT).tolist()):
        raised = signal_event(1_000 + number, signal(conviction=conviction))
        known = facts(clock__time=str(NOW_NS + number * MINUTE_NS))
        decision = decision_event(raised, known, RULES)
        outcome = event_pb2.Event(
            event_id=event_id("advisor", "ema_cross", [decision.event_id]),
            source="advisor",
            instance="ema_cross",
            time_ns=decision.time_ns + MINUTE_NS // 2,
            cause_ids=[decision.event_id],
            outcome_observed=decisions_pb2.OutcomeObserved(
                strategy="ema_cross", is_won=bool(random.uniform() < conviction)
            ),
        )
        decided.append((raised, decision))
        outcomes.append(outcome)
    for raised, decision in decided:
        await rig.append(raised, stream=SIGNALS)
        await rig.append(decision, stream=DECISIONS)
    for outcome in outcomes:
        await rig.append(outcome, stream=DECISIONS)


async def decision_on(rig, number: int) -> event_pb2.Event:
    """The decision of the process on a new signal."""
    raised = signal_event(number)
    await rig.append(raised, stream=SIGNALS)
    wanted_id = event_id("advisor", "ema_cross", [raised.event_id])

    async def found() -> list[event_pb2.Event]:
        events = [one.event() for one in await rig.stored(DECISIONS)]
        return [one for one in events if one.event_id == wanted_id]

    async def is_there() -> bool:
        return bool(await found())

    await eventually(is_there)
    return (await found())[0]


async def test_a_model_is_trained_assigned_used_repeated_and_retired(
    rig, postgres_url, where, tmp_path, capsys
):
    await record_outcomes(rig)
    file = tmp_path / "model.json"
    train = ("train", "ema_cross", "--database", postgres_url, "--output", str(file))
    assert await command(*train) == 0
    assert f"{COUNT} outcomes, Brier skill +" in capsys.readouterr().out
    model = scoring_models.read_file(file)
    weights = {one.name: one.weight for one in model.features}
    assert max(weights, key=lambda name: abs(weights[name])) == "strategy_conviction"
    assert await command("assign", str(file), "in_force", "--reason", "better", *where) == 0
    assert "is in force" in capsys.readouterr().out

    made = await decision_on(rig, 1)
    (said,) = made.decision_made.model_scores
    assert said.assigned.model == model
    assert said.score > 0
    assert await command("repeat", made.event_id.hex(), *where) == 0
    assert "every byte is equal" in capsys.readouterr().out
    assert await command("explain", made.event_id.hex(), *where) == 0
    shown = capsys.readouterr().out
    assert f"model {model.model_id.hex()[:16]}, in force: score {said.score:+.4f}" in shown

    assert await command("models", "--strategy", "ema_cross", *where) == 0
    assert model.model_id.hex()[:16] in capsys.readouterr().out
    retired = ("assign", model.model_id.hex()[:8], "retired", "--reason", "worse", "--json")
    assert await command(*retired, *where) == 0
    changed = json.loads(capsys.readouterr().out)["changed"]
    assert (changed["reason"], changed["assigned"]["use"]) == ("worse", "SCORING_MODEL_USE_RETIRED")
    assert not (await decision_on(rig, 2)).decision_made.model_scores
    # What was decided with the model is still repeated with it.
    assert await command("repeat", made.event_id.hex(), *where) == 0


async def test_outcomes_after_the_end_are_not_trained_on(rig, postgres_url, tmp_path, capsys):
    await record_outcomes(rig)
    end = str(NOW_NS + 250 * MINUTE_NS)
    train = ("train", "ema_cross", "--database", postgres_url, "--to", end)
    assert await command(*train, "--output", str(tmp_path / "a.json")) == 0
    assert "250 outcomes" in capsys.readouterr().out
    last_ns = scoring_models.read_file(tmp_path / "a.json").report.last_outcome_time_ns
    assert last_ns < int(end)
    early = (*train, "--from", str(NOW_NS + 100 * MINUTE_NS), "--output", str(tmp_path / "b.json"))
    assert await command(*early) == 1
    assert "ema_cross has 150 outcomes" in capsys.readouterr().err
    assert not (tmp_path / "b.json").exists()


async def test_wrong_files_and_ids_are_errors(where, tmp_path, capsys):
    file = tmp_path / "model.json"
    for text in ("", "[]", '{"strategy": 5}', '{"unknown": 1}', "\0"):
        file.write_text(text)
        assert await command("assign", str(file), "shadow", "--reason", "r", *where) == 1
        assert "is no file of a scoring model" in capsys.readouterr().err
    file.write_text('{"strategy": "s", "feature_set": "entry/0"}')
    assert await command("assign", str(file), "shadow", "--reason", "r", *where) == 1
    assert "has the feature set 'entry/0'" in capsys.readouterr().err
    assert await command("assign", "00112233", "shadow", "--reason", "r", *where) == 1
    assert "neither a file nor the id" in capsys.readouterr().err
    assert await command("train", "s", "--output", str(file)) == EXIT_WRONG_USE
    assert "is there already" in capsys.readouterr().err
