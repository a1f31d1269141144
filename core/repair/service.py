"""Repair over gRPC."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from core.repair.hole_store import HoleStore
from core.repair.holes import RepairJob
from core.repair.job_runner import JobRunner
from core.repair.job_watchers import JobWatchers
from core.repair.record_reader import RecordReader
from kit.base import paging
from kit.base.errors import BadRequest, UnknownInstrument
from kit.base.waiting import is_set_within

PAGE_SIZE, PAGE_SIZE_MAX = 100, 1_000
ID_LENGTH_MAX = 100
LOOK_SECONDS = 1.0

Context = grpc.aio.ServicerContext[Any, Any]


class RepairServicer(repair_pb2_grpc.RepairServicer):
    """Answers from the database; jobs are run elsewhere."""

    def __init__(
        self, store: HoleStore, record: RecordReader, jobs: JobRunner, watchers: JobWatchers
    ) -> None:
        self._store = store
        self._record = record
        self._jobs = jobs
        self._watchers = watchers

    async def ListHoles(
        self, request: repair_pb2.ListHolesRequest, context: Context
    ) -> repair_pb2.ListHolesResponse:
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        _check_names(venue=request.venue)
        if request.state not in repair_pb2.HoleState.values():
            names = " ".join(repair_pb2.HoleState.keys())
            raise BadRequest("no such state", field="state", value=request.state, allowed=names)
        holes, token = await self._store.list_holes(request, size)
        return repair_pb2.ListHolesResponse(
            holes=[hole.message() for hole in holes], next_page_token=token
        )

    async def StartRepair(
        self, request: repair_pb2.StartRepairRequest, context: Context
    ) -> repair_pb2.StartRepairResponse:
        _check_names(venue=request.venue, symbol=request.symbol)
        start_ns, end_ns = request.start_time_ns, request.end_time_ns
        if start_ns < 0 or end_ns < 0 or (end_ns and start_ns >= end_ns):
            raise BadRequest(
                "the range is empty",
                field="end_time_ns",
                value=f"{start_ns} to {end_ns}",
                allowed="0 <= start_time_ns < end_time_ns, or 0",
            )
        if len(request.repair_id) > ID_LENGTH_MAX or "\0" in request.repair_id:
            allowed = f"up to {ID_LENGTH_MAX} characters"
            raise BadRequest(
                "not an id", field="repair_id", value=request.repair_id, allowed=allowed
            )
        if await self._record.instrument(request.venue, request.symbol) is None:
            raise UnknownInstrument(
                f"no trades of {request.symbol!r} were recorded",
                venue=request.venue,
                symbol=request.symbol,
            )
        job = await self._jobs.start(
            request.venue, request.symbol, start_ns, end_ns, request.repair_id
        )
        return repair_pb2.StartRepairResponse(job=job.message())

    async def GetRepair(
        self, request: repair_pb2.GetRepairRequest, context: Context
    ) -> repair_pb2.GetRepairResponse:
        return repair_pb2.GetRepairResponse(job=(await self._job(request.repair_id)).message())

    async def ListRepairs(
        self, request: repair_pb2.ListRepairsRequest, context: Context
    ) -> repair_pb2.ListRepairsResponse:
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        jobs, token = await self._store.list_jobs(request, size)
        return repair_pb2.ListRepairsResponse(
            jobs=[job.message() for job in jobs], next_page_token=token
        )

    async def CancelRepair(
        self, request: repair_pb2.CancelRepairRequest, context: Context
    ) -> repair_pb2.CancelRepairResponse:
        job = await self._job(request.repair_id)
        await self._jobs.cancel(job.repair_id)
        job = await self._job(request.repair_id)
        return repair_pb2.CancelRepairResponse(job=job.message())

    async def WatchRepair(
        self, request: repair_pb2.WatchRepairRequest, context: Context
    ) -> AsyncIterator[repair_pb2.WatchRepairResponse]:
        with self._watchers.watch(request.repair_id) as changed:
            shown = None
            while True:
                changed.clear()
                job = await self._job(request.repair_id)
                if job != shown:
                    shown = job
                    yield repair_pb2.WatchRepairResponse(job=job.message())
                if not job.is_live:
                    return
                # The job may run in another process.
                await is_set_within(changed, LOOK_SECONDS)
                self._watchers.require_open()

    async def _job(self, repair_id: str) -> RepairJob:
        job = None if "\0" in repair_id else await self._store.job(repair_id)
        if job is None:
            raise BadRequest(
                "no such repair", field="repair_id", value=repair_id, allowed="see ListRepairs"
            )
        return job


def _check_names(**names: str) -> None:
    for field, name in names.items():
        if not name or "\0" in name:
            raise BadRequest(f"{field} is missing", field=field, value=name, allowed="not empty")
