"""Two processes divide the venues: whatever ends one of them, each trade is published once."""

import asyncio
import signal

import pytest
from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from core.repair.publisher import RepairPublisher
from core.repair.tests.process import repair_process, serving
from core.repair.tests.rig import REPAIRS, VENUE, rig_of
from core.repair.tests.test_app import HISTORY, SECONDS_MAX, request
from kit.base import rpc
from kit.base.rendezvous import share_of
from kit.events.shared_work import SHARES
from kit.marketdata.delivery.redis_streams import StreamAppendConflict
from tests.support.waiting import eventually, until

CUT = [*range(50, 60), *range(100, 300), *range(400, 420)]
HOLDER = "SELECT holder FROM leases WHERE name = 'repair/share/{}' AND expires_time > now()"
DIVIDED = (
    "SELECT count(*), count(DISTINCT holder) FROM leases"
    " WHERE name LIKE 'repair/share/%' AND expires_time > now()"
)


@pytest.fixture
async def mesh(valkey_url, postgres_url):
    """Two processes; the venue, and the record with three holes."""
    async with rig_of(valkey_url, postgres_url, HISTORY) as rig, serving(rig.venue) as venue:
        await rig.recorded([one for one in HISTORY if one.number not in CUT])
        two = [repair_process(valkey_url, postgres_url, venue.address) for _ in "ab"]
        for process in two:
            process.start()
        consumer = asyncio.create_task(rig.consume())
        try:
            await eventually(lambda: are_divided(rig))
            yield rig, two
        finally:
            consumer.cancel()
            for process in two:
                process.kill()


async def are_divided(rig) -> bool:
    return await rig.query(DIVIDED) == [(SHARES, 2)]


async def holder(rig, two):
    """The process that repairs the venue; None: it is gone."""
    rows = await rig.query(HOLDER.format(share_of(VENUE, SHARES)))
    ports = {row[0].rpartition("-")[2] for row in rows}
    return next((one for one in two if str(one.port) in ports), None)


async def other(rig, two):
    """The process that does not repair the venue."""
    owner = await holder(rig, two)
    return next(one for one in two if one is not owner)


async def check(rig, repair_id: str = "mine") -> None:
    """All is filled, and each trade was published once."""
    job = await rig.ended(repair_id)
    assert job.state == repair_pb2.REPAIR_STATE_DONE
    assert (job.hole_count, job.filled_count, job.trade_count) == (3, 3, len(CUT))
    assert await rig.ids() == [one.trade_id for one in HISTORY]
    assert sorted(map(int, rig.published)) == CUT
    assert rig.cursors == sorted(set(rig.cursors))


async def test_a_job_is_started_and_watched_at_either_process(mesh):
    rig, two = mesh
    async with rpc.channel((await other(rig, two)).address) as channel:
        repair = repair_pb2_grpc.RepairStub(channel)
        await repair.StartRepair(request(repair_id="mine"), wait_for_ready=True)
        watch = repair_pb2.WatchRepairRequest(repair_id="mine")
        seen = [one.job async for one in repair.WatchRepair(watch, timeout=SECONDS_MAX)]
    assert seen[-1].state == repair_pb2.REPAIR_STATE_DONE
    await check(rig)


async def test_a_job_is_cancelled_at_either_process(mesh):
    rig, two = mesh
    rig.venue.may_answer.clear()
    async with rpc.channel((await other(rig, two)).address) as channel:
        repair = repair_pb2_grpc.RepairStub(channel)
        await repair.StartRepair(request(repair_id="mine"), wait_for_ready=True)
        await asyncio.wait_for(rig.venue.asking.wait(), SECONDS_MAX)
        await repair.CancelRepair(repair_pb2.CancelRepairRequest(repair_id="mine"))
        await repair.StartRepair(request(repair_id="next"))
    # The first one still waited for an answer. A venue has one job at a time.
    await until(lambda: len(rig.venue.asked) == 2)
    rig.venue.may_answer.set()
    assert (await rig.ended("mine")).state == repair_pb2.REPAIR_STATE_CANCELLED
    await check(rig, "next")


async def test_a_process_publishes_nothing_after_another_one(valkey_url, postgres_url):
    """As one that was frozen between the venue's answer and the stream."""
    async with rig_of(valkey_url, postgres_url, HISTORY) as rig:
        instrument = await rig.recorded(HISTORY[:1])
        frozen, other = (RepairPublisher(rig.streams, rig.clock) for _ in "ab")
        await frozen.begin(VENUE)
        await other.begin(VENUE)
        last = await other.publish(instrument, HISTORY[1:3])
        with pytest.raises(StreamAppendConflict):
            await frozen.publish(instrument, HISTORY[1:3])
        assert await rig.streams.last(REPAIRS) == last
        await frozen.begin(VENUE)
        assert await frozen.publish(instrument, HISTORY[3:5]) > last


@pytest.mark.parametrize("end", ["kill", "hang"])
async def test_the_end_of_either_in_the_middle_of_a_job_doubles_nothing(mesh, end):
    rig, two = mesh
    rig.venue.page_size = 20
    async with rpc.channel(two[0].address) as channel:
        repair = repair_pb2_grpc.RepairStub(channel)
        await repair.StartRepair(request(repair_id="mine"), wait_for_ready=True)
    for calls in (1, 5):
        # It waits for the answer to its first, and then to its fifth question.
        await until(lambda calls=calls: len(rig.venue.asked) >= calls)
        rig.venue.may_answer.clear()
        owner = await holder(rig, two)

        async def is_followed(owner=owner) -> bool:
            return await holder(rig, two) not in (None, owner)

        if end == "kill":
            owner.kill()
        else:
            owner.process.send_signal(signal.SIGSTOP)
        await eventually(is_followed)
        rig.venue.may_answer.set()
        if end == "kill":
            owner.start()
        else:
            # It goes on with the answer that it was waiting for.
            owner.process.send_signal(signal.SIGCONT)
        await eventually(lambda: are_divided(rig))
    await check(rig)
