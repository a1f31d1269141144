"""The advisor as a process, with a real PostgreSQL and Valkey."""

import pytest
import redis
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.advisor.v1 import advisor_pb2, advisor_pb2_grpc
from venuemesh.events.v1 import decisions_pb2, event_pb2
from venuemesh.registry.v1 import registry_pb2

from core.advisor.decider import decide
from core.advisor.tests.examples import (
    CLOSE,
    RULES,
    case,
    facts,
    platt_map,
    signal,
    signal_event,
)
from core.advisor.tests.process import advisor_process
from kit.base import rpc
from kit.events.tests.rig import rig_for
from tests.support.waiting import eventually, until

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS


@pytest.fixture
async def rig(valkey_url, postgres_url):
    """Puts signals into the stream of the process."""
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


@pytest.fixture
def process(rig, postgres_url, valkey_url):
    process = advisor_process(postgres_url, valkey_url)
    process.start()
    yield process
    process.kill()


async def decisions(rig, count: int) -> list[event_pb2.Event]:
    """The decisions, once there are so many."""

    async def are_there() -> bool:
        return len(await rig.stored(DECISIONS)) >= count

    await eventually(are_there)
    return [one.event() for one in await rig.stored(DECISIONS)]


async def test_each_signal_gets_one_decision_in_the_order_of_the_signals(process, rig, valkey_url):
    entry, exit_ = signal_event(1), signal_event(2, signal(CLOSE))
    await rig.append(entry, stream=SIGNALS)
    await rig.append(exit_, stream=SIGNALS)
    first, second = await decisions(rig, 2)
    assert first.cause_ids == [entry.event_id]
    assert first.lifecycle_id == entry.lifecycle_id
    # Its time is long over.
    assert first.decision_made.outcome == decisions_pb2.DECISION_OUTCOME_EXPIRED
    assert second.cause_ids == [exit_.event_id]
    assert second.decision_made.intent.action == CLOSE
    with redis.Redis.from_url(valkey_url) as client:
        await until(lambda: client.xlen("ev:{decisions}") == 2)
    async with rpc.channel(process.address) as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        status = (await admin.GetStatus(admin_pb2.GetStatusRequest())).status
    assert status.state == registry_pb2.SERVICE_STATE_SERVING
    assert process.stop() == 0


async def test_a_dry_run_decides_and_stores_nothing(process, rig):
    known = facts()
    found = platt_map()
    request = advisor_pb2.DecideRequest(
        signal=signal(), facts=known.messages, calibration_map=found
    )
    async with rpc.channel(process.address) as channel:
        stub = advisor_pb2_grpc.AdvisorStub(channel)
        answer = await stub.Decide(request, wait_for_ready=True, timeout=30)
        assert answer.decision == decide(case(calibration_map=found))
        assert answer.config_hash == RULES.config_hash(3)
        # What the process knows itself: the time.
        request = advisor_pb2.DecideRequest(signal=signal(expires_time_ns=2**62))
        answer = await stub.Decide(request)
    assert answer.decision.outcome == decisions_pb2.DECISION_OUTCOME_BLOCKED
    assert [fact.fact_id for fact in answer.decision.facts] == [
        "rules.version",
        "clock.time",
        "book.asked_time",
    ]
    assert await rig.stored(DECISIONS) == []


async def test_a_stored_decision_is_made_again_by_a_dry_run(process, rig):
    raised = signal(expires_time_ns=2**62)
    await rig.append(signal_event(1, raised), stream=SIGNALS)
    (event,) = await decisions(rig, 1)
    stored = event.decision_made
    async with rpc.channel(process.address) as channel:
        stub = advisor_pb2_grpc.AdvisorStub(channel)
        request = advisor_pb2.DecideRequest(
            signal=raised, facts=stored.facts, calibration_map=stored.calibration.map
        )
        answer = await stub.Decide(request)
    made = answer.decision.SerializeToString(deterministic=True)
    assert made == stored.SerializeToString(deterministic=True)
    assert answer.config_hash == event.config_hash
