"""The advisor as a process that asks a server of models, with its faults and kills."""

import json
import time

import pytest
from aiohttp import web
from venuemesh.advisor.v1 import advisor_pb2, advisor_pb2_grpc
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2

from core.advisor.decider import decide
from core.advisor.synthesis.tests.chat_server import chat_server, completion
from core.advisor.tests.examples import CLOSE, case, results, signal, signal_event
from core.advisor.tests.process import advisor_process
from core.advisor.tests.test_synthesis_stage import answered, asking
from kit.base import rpc
from kit.events import event_log
from kit.events.tests.rig import rig_for
from tests.support.waiting import eventually, until

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
KEY = "sk-very-secret"
PATIENT_MS, SHORT_MS = 60_000, 5_000
UNADVISED = decide(case()).intent
KINDS = decisions_pb2.SynthesisStepKind
INFORMED = "from core.advisor.tests.informed import main; raise SystemExit(main())"
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


@pytest.fixture
async def server():
    async with chat_server() as running:
        running.behave = running.says(answered("neutral", 50).answer)
        yield running


@pytest.fixture
def process(rig, server, postgres_url, valkey_url, tmp_path):
    (tmp_path / "key").write_text(KEY)
    process = advisor_process(
        postgres_url,
        valkey_url,
        command=("-c", INFORMED),
        SYNTHESIS_URL=server.url,
        SYNTHESIS_MODELS="first,second",
        SYNTHESIS_API_KEY_FILE=str(tmp_path / "key"),
        SYNTHESIS_ANSWER_MAX_MS=str(PATIENT_MS),
        SYNTHESIS_FAULTS_MAX="2",
    )
    process.start()
    yield process
    process.kill()


async def raise_signal(rig, number: int, wait_ms=PATIENT_MS, **fields) -> event_pb2.Event:
    """Store a signal now."""
    asked = asking()
    asked.answer_max_ms = wait_ms
    event = signal_event(number, signal(**{"synthesis": asked, **fields}))
    async with rig.database.transaction() as connection:
        await event_log.append(connection, SIGNALS, [event], time.time_ns())
    return event


async def decision_on(rig, raised: event_pb2.Event) -> event_pb2.Event:
    """The only decision on a signal, once there is one."""
    found: list[event_pb2.Event] = []

    async def is_there() -> bool:
        stored = [one.event() for one in await rig.stored(DECISIONS)]
        found[:] = [
            one
            for one in stored
            if one.HasField("decision_made") and one.cause_ids == [raised.event_id]
        ]
        return bool(found)

    await eventually(is_there)
    (decision,) = found
    return decision


async def steps_of(rig, raised: event_pb2.Event) -> list[str]:
    stored = [one.event() for one in await rig.stored(DECISIONS)]
    return [
        KINDS.Name(one.synthesis_step.kind).removeprefix("SYNTHESIS_STEP_KIND_")
        for one in stored
        if one.HasField("synthesis_step") and one.lifecycle_id == raised.lifecycle_id
    ]


async def repeated(process, raised: event_pb2.Event, decision: event_pb2.Event) -> bytes:
    """The decision made again from its record."""
    made = decision.decision_made
    request = advisor_pb2.DecideRequest(
        signal=raised.signal_raised,
        facts=made.facts,
        synthesis=made.synthesis,
        calibration_map=made.calibration.map,
    )
    async with rpc.channel(process.address) as channel:
        stub = advisor_pb2_grpc.AdvisorStub(channel)
        answer = await stub.Decide(request, wait_for_ready=True, timeout=30)
    return answer.decision.SerializeToString(deterministic=True)


async def test_an_answer_is_applied_and_stored_and_never_asked_for_again(process, rig, server):
    raised = await raise_signal(rig, 1)
    decision = await decision_on(rig, raised)
    made, intent = decision.decision_made.synthesis, decision.decision_made.intent
    assert intent.conviction == UNADVISED.conviction * 0.75
    assert intent.size == "0.00833"
    assert made.model == "first"
    assert await steps_of(rig, raised) == ["REQUESTED", "ANSWERED"]
    stored = decision.decision_made.SerializeToString(deterministic=True)
    assert await repeated(process, raised, decision) == stored
    assert len(server.requests) == 1
    assert server.keys == [f"Bearer {KEY}"]
    assert KEY.encode() not in decision.SerializeToString()


async def test_faults_leave_the_decision_to_the_rules_and_change_the_model(process, rig, server):
    server.behave = server.sends(f"broken {KEY}", 500)
    failed = await raise_signal(rig, 1)
    made = (await decision_on(rig, failed)).decision_made
    assert made.intent.conviction == asking().conviction_max
    assert "broken …" in made.synthesis.detail
    assert await steps_of(rig, failed) == ["REQUESTED", "INVALID"]
    text = json.loads(answered().answer) | {"reasons": ["quote.ask_price is 1 USDT."]}
    server.behave = server.says(json.dumps(text))
    invented = await raise_signal(rig, 2)
    made = (await decision_on(rig, invented)).decision_made
    assert made.synthesis.outcome == decisions_pb2.SYNTHESIS_OUTCOME_HALLUCINATION
    assert made.intent.conviction == asking().conviction_max
    expected = ["REQUESTED", "HALLUCINATION_DETECTED", "MODEL_SWITCHED"]
    assert await steps_of(rig, invented) == expected
    server.behave = server.says(answered().answer)
    made = (await decision_on(rig, await raise_signal(rig, 3))).decision_made
    assert made.synthesis.model == "second"


async def test_a_silent_model_delays_only_the_entry_and_up_to_its_time(process, rig, server):
    server.behave = server.never
    slow = await raise_signal(rig, 1, PATIENT_MS)
    await until(lambda: server.requests)
    reduction = await raise_signal(rig, 2, action=CLOSE, symbol="ETHUSDT")
    assert (await decision_on(rig, reduction)).decision_made.intent.action == CLOSE
    stored = [one.event() for one in await rig.stored(DECISIONS)]
    assert [one.cause_ids for one in stored] == [[reduction.event_id]]
    server.released.set()
    await decision_on(rig, slow)
    server.released.clear()
    late = await raise_signal(rig, 3, SHORT_MS)
    made = (await decision_on(rig, late)).decision_made
    assert made.synthesis.outcome == decisions_pb2.SYNTHESIS_OUTCOME_TIMED_OUT
    assert made.outcome == decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
    assert (await steps_of(rig, late))[:2] == ["REQUESTED", "TIMED_OUT"]


async def test_an_entry_that_a_newer_signal_has_overtaken_is_blocked(process, rig, server):
    server.behave = server.never
    entry = await raise_signal(rig, 1)
    await until(lambda: server.requests)
    exit_ = await raise_signal(rig, 2, action=CLOSE)
    await decision_on(rig, exit_)
    server.released.set()
    decision = await decision_on(rig, entry)
    assert results(decision.decision_made)["signal_superseded"] == BLOCKED
    stored = decision.decision_made.SerializeToString(deterministic=True)
    assert await repeated(process, entry, decision) == stored


async def test_killed_while_a_model_is_asked_each_entry_has_one_decision(process, rig, server):
    spent = []
    server.behave = server.never
    raised = await raise_signal(rig, 1)
    for number in range(1, 3):
        await until(lambda number=number: len(server.requests) == number)
        process.kill()
        assert await rig.stored(DECISIONS) == []
        async with rig.database.transaction() as connection:
            rows = await connection.execute("SELECT tokens FROM advisor_model_spending")
            spent += [row[0] async for row in rows]
        process.start()
    await until(lambda: len(server.requests) == 3)
    server.behave = server.says(answered().answer)
    # What a kill leaves unknown counts as spent.
    assert 0 < spent[0] == spent[1] / 2
    server.released.set()
    await decision_on(rig, raised)
    assert len(await steps_of(rig, raised)) == 2
    assert await rig.execute("SELECT FROM advisor_model_spending") is None


async def test_many_entries_are_asked_about_together(process, rig, server):
    arrived: list[web.Request] = []

    async def behave(request: web.Request) -> web.StreamResponse:
        arrived.append(request)
        await server.released.wait()
        return web.json_response(completion(answered().answer))

    server.behave = behave
    asked = asking()
    asked.answer_max_ms = PATIENT_MS
    events = [signal_event(n, signal(strategy=f"trend_{n}", synthesis=asked)) for n in range(20)]
    async with rig.database.transaction() as connection:
        await event_log.append(connection, SIGNALS, events, time.time_ns())
    await until(lambda: len(arrived) == len(events))
    server.released.set()
    for event in events:
        decision = await decision_on(rig, event)
        assert decision.decision_made.synthesis.outcome == decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED
