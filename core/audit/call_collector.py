"""Takes the calls that have changed something from all processes, and stores them as events.

A process keeps its newest calls in memory. The id of an event follows from the process, its start
and the number of the call: what is taken twice is stored once.
"""

from asyncio import TaskGroup
from collections.abc import Sequence
from typing import NamedTuple

import grpc
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.events.v1 import event_pb2
from venuemesh.registry.v1 import registry_pb2

from core.audit.metrics import AuditMetrics
from core.audit.store import SYSTEM
from kit.base import rpc, telemetry
from kit.base.backoff import delays
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.base.service_channels import Directory
from kit.events import event_log
from kit.events.event_ids import event_id

_log = telemetry.logger("audit")


class ProcessStart(NamedTuple):
    """One start of a process."""

    service_id: str
    instance_id: str
    start_time_ns: int
    address: str


class CallCollector:
    """Follows every process that is registered."""

    def __init__(
        self, directory: Directory, database: Database, clock: Clock, metrics: AuditMetrics
    ) -> None:
        self._directory = directory
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._registered: set[ProcessStart] = set()

    async def run(self) -> None:
        followed: set[ProcessStart] = set()
        async with TaskGroup() as group:
            async for services in self._directory.watch(""):
                self._registered = {_start_of(service.instance) for service in services}
                for process in self._registered - followed:
                    group.create_task(self._follow(process), name=f"calls of {process.service_id}")
                # The task of one that has left ends by itself, when it has stored its last calls.
                followed = self._registered

    async def _follow(self, process: ProcessStart) -> None:
        number, waits = 0, delays()
        async with rpc.channel(process.address, service_id=process.service_id) as channel:
            stub = admin_pb2_grpc.AdminStub(channel)
            while process in self._registered:
                request = admin_pb2.StreamCallsRequest(after_number=number)
                try:
                    async for response in stub.StreamCalls(request):
                        await self._store(process, number, response.calls)
                        number, waits = response.calls[-1].number, delays()
                except grpc.aio.AioRpcError as error:
                    _log.debug("calls not read", extra={"detail": error.details()})
                await self._clock.sleep(next(waits))

    async def _store(
        self, process: ProcessStart, before: int, calls: Sequence[admin_pb2.MadeCall]
    ) -> None:
        """``before``: the number of the newest call that is stored."""
        missed = calls[0].number - before - 1
        if missed:
            # It has made more calls than it keeps while this process was away.
            _log.warning("calls missed", extra={**process._asdict(), "calls": missed})
            self._metrics.missed(missed)
        events = [_event(process, call) for call in calls]
        waits = delays()
        while True:
            try:
                async with self._database.transaction() as connection:
                    await event_log.append(connection, SYSTEM, events, self._clock.time_ns())
                return
            except StoreUnavailable as error:
                _log.debug("calls not stored", extra={"detail": error.message})
                await self._clock.sleep(next(waits))


def _start_of(instance: registry_pb2.ServiceInstance) -> ProcessStart:
    return ProcessStart(
        instance.service_id, instance.instance_id, instance.start_time_ns, instance.address
    )


def _event(process: ProcessStart, call: admin_pb2.MadeCall) -> event_pb2.Event:
    causes = [str(process.start_time_ns).encode()]
    return event_pb2.Event(
        event_id=event_id(process.service_id, process.instance_id, causes, call.number),
        source=process.service_id,
        instance=process.instance_id,
        time_ns=call.time_ns,
        call_made=call.call,
    )
