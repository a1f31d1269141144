"""The process: its calls, and kill -9 at any moment."""

import asyncio

import grpc
import pytest
from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from core.repair.tests.process import repair_process, serving
from core.repair.tests.rig import SYMBOL, VENUE, rig_of, trades
from kit.base import errors, rpc

HISTORY = trades(*range(1, 601))
SECONDS_MAX = 90


@pytest.fixture
async def mesh(valkey_url, postgres_url):
    """Repair as a process; its venue, and the record."""
    async with rig_of(valkey_url, postgres_url, HISTORY) as rig, serving(rig.venue) as venue:
        process = repair_process(valkey_url, postgres_url, venue.address)
        process.start()
        consumer = asyncio.create_task(rig.consume())
        try:
            yield rig, venue, process
        finally:
            consumer.cancel()
            process.kill()


def request(**fields) -> repair_pb2.StartRepairRequest:
    return repair_pb2.StartRepairRequest(**{"venue": VENUE, "symbol": SYMBOL, **fields})


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), errors.reason_of(caught.value)


async def test_a_repair_is_started_watched_and_listed(mesh):
    rig, venue, process = mesh
    await rig.recorded([one for one in HISTORY if one.number not in range(100, 130)])
    venue.busy = 3
    async with rpc.channel(process.address) as channel:
        repair = repair_pb2_grpc.RepairStub(channel)
        answer = await repair.StartRepair(
            request(repair_id="mine"), wait_for_ready=True, timeout=SECONDS_MAX
        )
        assert answer.job.state == repair_pb2.REPAIR_STATE_QUEUED
        watch = repair_pb2.WatchRepairRequest(repair_id="mine")
        seen = [one.job async for one in repair.WatchRepair(watch, timeout=SECONDS_MAX)]
        assert seen[-1].state == repair_pb2.REPAIR_STATE_DONE
        assert (seen[-1].hole_count, seen[-1].filled_count, seen[-1].trade_count) == (1, 1, 30)
        assert any("left alone" in job.detail for job in seen)
        assert seen[-1].started_time_ns <= seen[-1].ended_time_ns
        found = await repair.ListHoles(repair_pb2.ListHolesRequest(venue=VENUE))
        (hole,) = found.holes
        assert (hole.last_id_before, hole.first_id_after) == (99, 130)
        assert hole.state == repair_pb2.HOLE_STATE_FILLED
        for number in range(3):
            await repair.StartRepair(request(repair_id=f"more-{number}"))
        pages, token = [], ""
        while True:
            page = await repair.ListRepairs(
                repair_pb2.ListRepairsRequest(venue=VENUE, page_size=3, page_token=token)
            )
            pages.append([job.repair_id for job in page.jobs])
            token = page.next_page_token
            if not token:
                break
        assert pages == [["more-2", "more-1", "more-0"], ["mine"]]
        state = repair_pb2.HOLE_STATE_OPEN
        rest = await repair.ListHoles(repair_pb2.ListHolesRequest(venue=VENUE, state=state))
        assert not rest.holes
    assert process.stop() == 0


async def test_wrong_requests_are_refused_with_a_reason(mesh):
    rig, _, process = mesh
    await rig.recorded(HISTORY[:10])
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    async with rpc.channel(process.address) as channel:
        repair = repair_pb2_grpc.RepairStub(channel)
        empty = repair_pb2.ListHolesRequest(venue=VENUE)
        await repair.ListHoles(empty, wait_for_ready=True, timeout=SECONDS_MAX)
        wrong = [
            repair.ListHoles(repair_pb2.ListHolesRequest()),
            repair.ListHoles(repair_pb2.ListHolesRequest(venue=VENUE, state=9)),
            repair.ListHoles(repair_pb2.ListHolesRequest(venue=VENUE, page_size=1001)),
            repair.StartRepair(request(symbol="")),
            repair.StartRepair(request(start_time_ns=5, end_time_ns=5)),
            repair.StartRepair(request(repair_id="x" * 101)),
            repair.GetRepair(repair_pb2.GetRepairRequest(repair_id="none")),
            repair.CancelRepair(repair_pb2.CancelRepairRequest(repair_id="none")),
        ]
        assert [await refusal(call) for call in wrong] == [(invalid, "BAD_REQUEST")] * len(wrong)
        token = repair.ListRepairs(repair_pb2.ListRepairsRequest(page_token="x"))
        assert await refusal(token) == (invalid, "BAD_PAGE_TOKEN")
        unknown = repair.StartRepair(request(symbol="NONE"))
        assert await refusal(unknown) == (missing, "UNKNOWN_INSTRUMENT")


async def test_kill_9_in_the_middle_of_a_job_doubles_nothing(mesh):
    rig, venue, process = mesh
    venue.venue.page_size = 20
    cut = [*range(50, 60), *range(100, 300), *range(400, 420)]
    await rig.recorded([one for one in HISTORY if one.number not in cut])
    async with rpc.channel(process.address) as channel:
        repair = repair_pb2_grpc.RepairStub(channel)
        start = request(repair_id="mine")
        await repair.StartRepair(start, wait_for_ready=True, timeout=SECONDS_MAX)
        for calls in (1, 5, 9):
            # Killed while it waits for the answer to its first, fifth, and ninth question.
            async with asyncio.timeout(SECONDS_MAX):
                while len(venue.venue.asked) < calls:
                    await asyncio.sleep(0.005)
            venue.venue.may_answer.clear()
            process.kill()
            process.start()
            venue.venue.may_answer.set()
        job = await rig.ended("mine")
    assert job.state == repair_pb2.REPAIR_STATE_DONE
    assert (job.hole_count, job.filled_count, job.trade_count) == (3, 3, len(cut))
    assert await rig.ids() == [one.trade_id for one in HISTORY]
    assert sorted(map(int, rig.published)) == cut
    assert rig.cursors == sorted(set(rig.cursors))
