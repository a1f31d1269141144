"""One runtime for all processes: server, health, reflection, metrics, registration, signals.

A process is wired in its ``app.py``::

    runtime = Runtime(identity, mesh)
    runtime.serve(history_pb2.DESCRIPTOR, "History", HistoryServicer(...))
    runtime.run_task("recorder", recorder.run)
    await runtime.run()

It ends on SIGTERM, SIGINT or Admin.Drain, when its supervisor has ended, or when one of its tasks
fails: a process that cannot do its work ends and is restarted.
"""

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from venuemesh.admin.v1 import admin_pb2
from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc, telemetry
from kit.base.admin import AdminServicer, VenueAdmin
from kit.base.directory import ServiceDirectory
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.base.telemetry import Meter

VERSION = "0.1.0"
METRICS_PORT_OFFSET = 10_000
DRAIN_SECONDS_MAX = 5.0
FREEZE_SECONDS = 30.0
"""How long after its start a process has imported its lazily loaded modules."""
PARENT_CHECK_SECONDS = 1.0
EXIT_WRONG_SETTING = 2

_log = telemetry.logger("runtime")

Task = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The identity of a process."""

    service_id: str
    """Unique in the mesh and the same after a restart, for example "binance"."""
    kind: str
    """venue, ingest, recorder, bars, bridge or registry."""
    name: str
    """The venue id, or the kind of other processes."""
    port: int
    """gRPC port. Metrics are served on port + 10000."""


class Runtime:
    """Server, tasks and registration of one process."""

    def __init__(self, identity: ProcessIdentity, mesh: MeshSettings) -> None:
        self.identity = identity
        self.mesh = mesh
        self.meter = Meter(identity.service_id)
        self.directory = ServiceDirectory(mesh.registry)
        self._server = rpc.server()
        self._service_names: list[str] = []
        self._described: list[str] = []
        self._tasks: list[tuple[str, Task]] = []
        self._finish: list[Callable[[], Awaitable[None]]] = []
        self._when_draining: list[Callable[[], None]] = []
        self._stopping = asyncio.Event()
        self._venue: VenueAdmin | None = None
        self._rest: grpc.GenericRpcHandler | None = None
        self._started_ns = time.time_ns()
        self._epoch: Callable[[], int] = lambda: 0

    def serve(
        self, file: FileDescriptor, service: str, servicer: object, raw: Collection[str] = ()
    ) -> None:
        """Serve one service of a contract file. See rpc.serve for ``raw``."""
        descriptor = file.services_by_name[service]
        rpc.serve(self._server, descriptor, servicer, raw)
        self._service_names.append(descriptor.full_name)

    def describe(self, service_names: Iterable[str]) -> None:
        """Include these services of other processes in reflection."""
        self._described += service_names

    def answer_rest(self, handler: grpc.GenericRpcHandler) -> None:
        """Use this handler for methods that no service of this process has."""
        self._rest = handler

    def run_task(self, name: str, task: Task) -> None:
        """Run a task beside the server. When it fails, the process ends."""
        self._tasks.append((name, task))

    def when_draining(self, callback: Callable[[], None]) -> None:
        """Call this when the process must stop, so that endless streams end."""
        self._when_draining.append(callback)

    def at_end(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Call this after the tasks have ended; the last one registered is called first."""
        self._finish.append(finish)

    def report_epoch(self, epoch: Callable[[], int]) -> None:
        """Send the epoch of a venue to the registry."""
        self._epoch = epoch

    def control_venue(self, venue: VenueAdmin) -> None:
        """Let Admin control the connections of a venue."""
        self._venue = venue

    def stop(self) -> None:
        """Drain and end the process."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped. Re-raises the exception of a failed task."""
        instance = self._instance()
        health_servicer = await self._start_server(instance)
        self._listen_for_signals()
        try:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(task(), name=name)
                    for name, task in [
                        *self._tasks,
                        ("watch parent", lambda: watch_parent(self.stop)),
                        ("freeze objects", freeze_objects),
                    ]
                ]
                announcing = group.create_task(
                    self.directory.announce(self._instance_now(instance), self.meter.status),
                    name="announce",
                )
                await self._stopping.wait()
                # A heartbeat after the withdrawal would make it known again.
                announcing.cancel()
                await self._drain(health_servicer)
                for task in running:
                    task.cancel()
        finally:
            for finish in reversed(self._finish):
                await finish()
            await self.directory.close()
        _log.info("stopped")

    def _instance(self) -> registry_pb2.ServiceInstance:
        host = self.mesh.advertise_host or self.mesh.host
        port = self.identity.port
        return registry_pb2.ServiceInstance(
            service_id=self.identity.service_id,
            kind=self.identity.kind,
            name=self.identity.name,
            address=f"{host}:{port}",
            grpc_services=self._service_names,
            metrics_address=f"{host}:{port + METRICS_PORT_OFFSET}",
            version=VERSION,
            start_time_ns=self._started_ns,
        )

    def _instance_now(
        self, instance: registry_pb2.ServiceInstance
    ) -> Callable[[], registry_pb2.ServiceInstance]:
        def now() -> registry_pb2.ServiceInstance:
            described = registry_pb2.ServiceInstance(epoch=self._epoch())
            described.MergeFrom(instance)
            return described

        return now

    async def _start_server(
        self, instance: registry_pb2.ServiceInstance
    ) -> health.aio.HealthServicer:
        admin = AdminServicer(instance, self.meter, self.stop, self._venue)
        self.serve(admin_pb2.DESCRIPTOR, "Admin", admin)
        if self._rest is not None:
            self._server.add_generic_rpc_handlers((self._rest,))
        instance.grpc_services[:] = self._service_names
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, self._server)
        names = {*self._service_names, *self._described}
        reflection.enable_server_reflection(
            [*sorted(names), health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        address = f"{self.mesh.host}:{self.identity.port}"
        try:
            self._server.add_insecure_port(address)
        except RuntimeError:
            raise SettingError(
                "port", address, "is in use; stop what uses it or change it"
            ) from None
        self.meter.serve(self.mesh.host, self.identity.port + METRICS_PORT_OFFSET)
        await self._server.start()
        for name in ("", *self._service_names):
            await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        _log.info("serving", extra={"address": address, "services": self._service_names})
        return health_servicer

    async def _drain(self, health_servicer: health.aio.HealthServicer) -> None:
        _log.info("draining")
        self.meter.state = registry_pb2.SERVICE_STATE_DRAINING
        await health_servicer.enter_graceful_shutdown()
        await self.directory.withdraw(self.identity.service_id)
        for callback in self._when_draining:
            callback()
        try:
            # The argument bounds calls only: on a busy machine stop() itself may not return.
            async with asyncio.timeout(2 * DRAIN_SECONDS_MAX):
                await self._server.stop(DRAIN_SECONDS_MAX)
        except TimeoutError:
            _log.warning("the server did not stop in time")

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)


async def freeze_objects() -> None:
    """Exclude the objects of the start from garbage collection: scanning all of them blocks the
    process for 20 to 70 ms each time."""
    gc.freeze()
    await asyncio.sleep(FREEZE_SECONDS)
    gc.collect()
    gc.freeze()


async def watch_parent(stop: Callable[[], None]) -> None:
    """Stop when the supervisor that started this process ends, also when it is killed."""
    if "VENUEMESH_SUPERVISOR_PID" not in os.environ:
        return
    supervisor = int(os.environ["VENUEMESH_SUPERVISOR_PID"])
    while os.getppid() == supervisor:
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    _log.warning("the supervisor is gone")
    stop()


def run_process(
    service_id: str, mesh: MeshSettings, main: Callable[[], Coroutine[Any, Any, None]]
) -> int:
    """Run a process to its end. Returns its exit code; a wrong setting is one line, not a trace."""
    telemetry.configure_logging(service_id, mesh.log_level)
    exit_code = 0
    try:
        uvloop.run(main())
    except* SettingError as group:
        for error in group.exceptions:
            print(f"venuemesh: {error}", file=sys.stderr)
        exit_code = EXIT_WRONG_SETTING
    return exit_code
