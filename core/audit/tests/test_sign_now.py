"""A checkpoint that somebody asks for is signed, anchored and marked to be sent."""

import pytest
from venuemesh.events.v1 import event_pb2

from core.audit.store import StoredCheckpoint
from core.audit.tests.rig import EXECUTIONS, ORIGIN, STORED_NS, fill, rig_for
from kit.base.errors import ServiceUnavailable
from kit.events import event_log
from kit.merkle.checkpoints import Checkpoint

DAY_NS = 86_400_000_000_000


@pytest.fixture
async def rig(postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path) as rig:
        await rig.put(EXECUTIONS, fill(1))
        await rig.write()
        yield rig


async def signed_events(rig):
    async with rig.database.transaction() as connection:
        stored = await event_log.read(connection, event_pb2.EVENT_STREAM_SYSTEM, 0)
    return [one.event().checkpoint_signed for one in stored]


async def test_it_is_the_log_as_it_is_now(rig):
    await rig.sign()
    await rig.write()
    signed = await rig.checkpointer.sign_now(rig.now_ns)
    assert signed.size == 2
    assert rig.keys.opened(await rig.file.newest()).size == 2
    first, second = await signed_events(rig)
    assert (first.requested, second.requested) == (False, True)
    assert second.note == signed.note


async def test_nothing_new_is_the_newest_one_again(rig):
    first = await rig.checkpointer.sign_now(rig.now_ns)
    assert await rig.checkpointer.sign_now(rig.now_ns + 1) == first
    assert len(await signed_events(rig)) == 1


async def test_the_first_one_of_a_day_says_so(rig):
    await rig.sign()
    await rig.put(EXECUTIONS, fill(2))
    await rig.write()
    await rig.sign()
    rig.now_ns = (STORED_NS // DAY_NS + 1) * DAY_NS
    await rig.put(EXECUTIONS, fill(3))
    await rig.write()
    await rig.sign()
    found = [one.first_of_day for one in await signed_events(rig)]
    assert found == [True, False, True]


async def test_a_process_without_the_lease_does_not_sign(rig, postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path, "audit-2") as other:
        with pytest.raises(ServiceUnavailable, match="does not write the log"):
            await other.checkpointer.sign_now(rig.now_ns)
    assert await signed_events(rig) == []


async def test_another_history_is_not_signed(rig):
    keys = rig.keys.signing(rig.now_ns)
    note = Checkpoint(ORIGIN, 1, bytes(32)).signed(keys)
    await rig.file.add(StoredCheckpoint(1, rig.now_ns, bytes(32), note))
    with pytest.raises(ServiceUnavailable, match="nothing is signed: the anchor file has"):
        await rig.checkpointer.sign_now(rig.now_ns)
    assert await signed_events(rig) == []
