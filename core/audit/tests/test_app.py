import subprocess

import grpc
import pytest
import redis
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.audit.v1 import audit_pb2, audit_pb2_grpc
from venuemesh.events.v1 import event_pb2, events_pb2, events_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.audit.tests.process import audit_process
from core.audit.tests.rig import EXECUTIONS, fill, order, rig_for
from kit.base import errors, rpc
from kit.base.runtime import EXIT_WRONG_SETTING
from kit.merkle import checkpoints
from kit.merkle.signed_notes import VerifierKey
from tests.support.waiting import eventually, until


@pytest.fixture
async def rig(postgres_url, tmp_path):
    """Puts events into the log of the process."""
    async with rig_for(postgres_url, tmp_path / "rig") as rig:
        yield rig


@pytest.fixture
def process(rig, postgres_url, valkey_url, tmp_path):
    process = audit_process(postgres_url, valkey_url, tmp_path)
    process.start()
    yield process
    process.kill()


async def reason(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), errors.reason_of(caught.value)


async def test_process_serves_the_log(process, rig, valkey_url, tmp_path):
    lifecycle = bytes(16)
    events = [order(1, lifecycle_id=lifecycle), fill(1, lifecycle)]
    await rig.put(EXECUTIONS, *events)

    async def is_signed() -> bool:
        newest = await rig.store.checkpoint()
        return newest is not None and newest.size >= len(events)

    await eventually(is_signed)
    with redis.Redis.from_url(valkey_url) as client:
        await until(lambda: client.xlen("ev:{system}"))
    async with rpc.channel(process.address) as channel:
        audit = audit_pb2_grpc.AuditStub(channel)
        answer = await audit.GetCheckpoint(
            audit_pb2.GetCheckpointRequest(), wait_for_ready=True, timeout=30
        )
        keys = [VerifierKey.parse(key) for key in answer.verifier_keys]
        assert (tmp_path / "keys" / "audit" / "verifier_keys.txt").read_text() == f"{keys[0]}\n"
        opened = checkpoints.opened(answer.checkpoint.note, "venuemesh/local", keys)
        assert opened.size == answer.checkpoint.size
        stub = events_pb2_grpc.EventsStub(channel)
        chain = await stub.ListEvents(events_pb2.ListEventsRequest(lifecycle_id=lifecycle))
        assert [one.event for one in chain.events] == events
        signed = await audit.SignCheckpoint(audit_pb2.SignCheckpointRequest())
        assert signed.checkpoint.size >= answer.checkpoint.size
        assert checkpoints.opened(signed.checkpoint.note, "venuemesh/local", keys)
        listed = await audit.ListCheckpoints(audit_pb2.ListCheckpointsRequest(page_size=1))
        assert len(listed.checkpoints) == 1
        proof = await audit.Prove(audit_pb2.ProveRequest(event_id=events[0].event_id))
        assert event_pb2.StoredEvent.FromString(proof.leaf).event == events[0]
        outcome = [one async for one in audit.Verify(audit_pb2.VerifyRequest())][-1]
        assert outcome.is_done
        assert not outcome.HasField("difference")
        why = await audit.Why(
            audit_pb2.WhyRequest(venue="binance", account="main", symbol="BTCUSDT", fill_id="1")
        )
        assert [one.event for one in why.events] == events
        leaves = [
            leaf async for one in audit.Export(audit_pb2.ExportRequest()) for leaf in one.leaves
        ]
        assert proof.leaf in leaves
        unknown = audit.Prove(audit_pb2.ProveRequest(event_id=bytes(16)))
        assert await reason(unknown) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_EVENT")
        unknown = audit.GetCheckpoint(audit_pb2.GetCheckpointRequest(size=1 << 63))
        assert await reason(unknown) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_CHECKPOINT")
        wrong = audit.ListCheckpoints(audit_pb2.ListCheckpointsRequest(page_token="x"))
        assert await reason(wrong) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_PAGE_TOKEN")
        admin = admin_pb2_grpc.AdminStub(channel)
        status = (await admin.GetStatus(admin_pb2.GetStatusRequest())).status
    assert status.state == registry_pb2.SERVICE_STATE_SERVING
    assert process.stop() == 0


def test_the_world_live_needs_an_anchor(tmp_path):
    process = audit_process(
        "postgresql://127.0.0.1:1/none",
        "redis://127.0.0.1:1",
        tmp_path,
        WORLD="live",
        ACCESS_REQUIRED="true",
    )
    process.start(stderr=subprocess.PIPE)
    _, said = process.process.communicate(timeout=60)
    assert process.process.returncode == EXIT_WRONG_SETTING
    assert b"audit.anchors_folder" in said
    assert b"the world live needs an anchor" in said
