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
import faulthandler
import gc
import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from venuemesh.admin.v1 import admin_pb2
from venuemesh.registry.v1 import registry_pb2

from kit.base import reflection, rpc, telemetry
from kit.base.access.call_guard import CallGuard
from kit.base.access.credentials import Credentials
from kit.base.access.settings import AccessSettings, TlsSettings
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.access.transport import MeshTls
from kit.base.access.trust import from_file
from kit.base.active_instance import ActiveInstance
from kit.base.admin import AdminServicer, VenueAdmin
from kit.base.clock import SystemClock
from kit.base.directory import ServiceDirectory
from kit.base.errors import SettingError
from kit.base.event_loop import EventLoop
from kit.base.recent_logs import RecentLogs
from kit.base.rpc_metrics import RpcMetrics
from kit.base.service_channels import ServiceChannels
from kit.base.settings import MeshSettings
from kit.base.settings import load as load_settings
from kit.base.store_metrics import StoreMetrics
from kit.base.telemetry import Meter
from kit.base.tracing import spans
from kit.base.tracing.settings import TelemetrySettings
from kit.base.version import VERSION

METRICS_PORT_OFFSET = 10_000
ANY_ADDRESSES = ("0.0.0.0", "::")
DRAIN_SECONDS_MAX = 5.0
ON_THE_WAY_SECONDS = 0.25
"""How long calls may come that were sent before callers followed to another instance."""
INSTANCE_HOST_LENGTH_MAX = 50
FREEZE_SECONDS = 30.0
"""How long after its start a process has imported its lazily loaded modules."""
PARENT_CHECK_SECONDS = 1.0
SUPERVISOR_PID = "VENUEMESH_SUPERVISOR_PID"
"""In the environment of a process that a supervisor has started."""
END_SECONDS_MAX = 30.0
"""How long a process may take to end whose supervisor, which would kill it, is gone."""
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
        self.meter.build(VERSION)
        telemetry_settings = load_settings(TelemetrySettings, "telemetry")
        self._metrics_host = telemetry_settings.metrics_host
        spans.start(telemetry_settings, identity.service_id, VERSION, self.meter)
        access = load_settings(AccessSettings, "access")
        self.guard = call_guard(access, mesh)
        credentials = Credentials(access.token_file, SystemClock())
        rpc.identify(credentials)
        tls = load_settings(TlsSettings, "tls")
        self.tls = MeshTls(tls, SystemClock()) if tls.required else None
        rpc.encrypt(self.tls)
        self.directory = ServiceDirectory(mesh.registry)
        self.directory.on_trust(self.guard.trust)
        self.directory.on_renewal(credentials.renew)
        self._active = ActiveInstance()
        self.directory.on_standby(self._stand_by)
        self.store_metrics = StoreMetrics(self.meter)
        self._rpc_metrics = RpcMetrics(self.meter, SystemClock())
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
        self._recent_logs = RecentLogs(self._started_ns, SystemClock())
        logging.getLogger().addHandler(self._recent_logs)
        self._epoch: Callable[[], int] = lambda: 0
        self._http_port = 0
        if self.tls is not None:
            self._watch_certificate(self.tls)

    def serve(
        self, file: FileDescriptor, service: str, servicer: object, raw: Collection[str] = ()
    ) -> None:
        """Serve one service of a contract file. See rpc.serve for ``raw``."""
        descriptor = file.services_by_name[service]
        rpc.serve(self._server, descriptor, servicer, raw, self.guard, self._rpc_metrics)
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

    def run_while_active(self, name: str, task: Task) -> None:
        """Run a task that only one instance of this service may run: cancelled while another one is
        called, and started again afterwards."""
        self.run_task(name, lambda: self._active.run(task))

    @property
    def instance_id(self) -> str:
        """The id of this instance of the service."""
        return self.mesh.instance_id or default_instance_id(self.identity.port)

    def when_draining(self, callback: Callable[[], None]) -> None:
        """Call this when the process must stop, so that endless streams end."""
        self._when_draining.append(callback)

    def at_end(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Call this after the tasks have ended; the last one registered is called first."""
        self._finish.append(finish)

    def channels(self, *kinds: str) -> ServiceChannels:
        """Connections to the processes of these kinds, followed in the registry."""
        channels = ServiceChannels(self.directory, *kinds)
        self.run_task(f"follow {' '.join(kinds)}", channels.run)
        self.at_end(channels.close)
        return channels

    def report_epoch(self, epoch: Callable[[], int]) -> None:
        """Send the epoch of a venue to the registry."""
        self._epoch = epoch

    def control_venue(self, venue: VenueAdmin) -> None:
        """Let Admin control the connections of a venue."""
        self._venue = venue

    def announce_http(self, port: int) -> None:
        """Let the gateway send the paths of this kind of process to its HTTP server."""
        self._http_port = port

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
                        ("send spans", spans.run),
                        ("end streams", self.guard.run),
                    ]
                ]
                announcing = group.create_task(
                    self.directory.announce(self._instance_now(instance), self.meter.status),
                    name="announce",
                )
                await self._stopping.wait()
                end_in_time_without_supervisor()
                # A heartbeat after the withdrawal would make it known again.
                announcing.cancel()
                await self._drain(instance, health_servicer)
                for task in running:
                    task.cancel()
        finally:
            end_in_time_without_supervisor()
            for finish in reversed(self._finish):
                await finish()
            await self.directory.close()
            await spans.stop()
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
            metrics_address=f"{self._metrics_reached_at(host)}:{port + METRICS_PORT_OFFSET}",
            version=VERSION,
            start_time_ns=self._started_ns,
            instance_id=self.instance_id,
            http_address=f"{host}:{self._http_port}" if self._http_port else "",
        )

    def _metrics_reached_at(self, host: str) -> str:
        """The host of the metrics for others, where others reach the process at ``host``."""
        return host if self._metrics_host in ANY_ADDRESSES else self._metrics_host

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
        calls, logs = self.guard.made_calls, self._recent_logs
        admin = AdminServicer(instance, self.meter, self.stop, calls, logs, self._venue)
        self.serve(admin_pb2.DESCRIPTOR, "Admin", admin)
        if self._rest is not None:
            self._server.add_generic_rpc_handlers((self._rest,))
        instance.grpc_services[:] = self._service_names
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, self._server)
        reflection.serve(
            self._server, {*self._service_names, *self._described, health.SERVICE_NAME}
        )
        address = f"{self.mesh.host}:{self.identity.port}"
        try:
            rpc.listen(self._server, address)
        except RuntimeError:
            raise SettingError(
                "port", address, "is in use; stop what uses it or change it"
            ) from None
        self.meter.serve(self._metrics_host, self.identity.port + METRICS_PORT_OFFSET)
        await self._server.start()
        for name in ("", *self._service_names):
            await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        _log.info("serving", extra={"address": address, "services": self._service_names})
        return health_servicer

    async def _drain(
        self, instance: registry_pb2.ServiceInstance, health_servicer: health.aio.HealthServicer
    ) -> None:
        _log.info("draining")
        self.meter.state = registry_pb2.SERVICE_STATE_DRAINING
        await health_servicer.enter_graceful_shutdown()
        if await self.directory.withdraw(instance):
            self._stand_by(True)
            # A call that arrives while the server stops is not refused but cancelled.
            await asyncio.sleep(ON_THE_WAY_SECONDS)
        for callback in self._when_draining:
            callback()
        self.guard.made_calls.end()
        self._recent_logs.end()
        try:
            # The argument bounds calls only: on a busy machine stop() itself may not return.
            async with asyncio.timeout(2 * DRAIN_SECONDS_MAX):
                await self._server.stop(DRAIN_SECONDS_MAX)
        except TimeoutError:
            _log.warning("the server did not stop in time")

    def _watch_certificate(self, tls: MeshTls) -> None:
        expires = self.meter.gauge(
            "certificate_expires_time_seconds", "When the certificate expires, Unix time"
        )
        expires.set_function(tls.expires_time_s)
        self.run_task("certificate expiry", tls.run)

    def _stand_by(self, stands_by: bool) -> None:
        if self._active.stands_by != stands_by:
            _log.info("stands by" if stands_by else "is active")
        self.meter.stands_by = stands_by
        self._active.change(stands_by=stands_by)

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)


def default_instance_id(port: int) -> str:
    """The machine's name and the port, which no two processes share."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).strip("-.") or "host"
    return f"{host[:INSTANCE_HOST_LENGTH_MAX]}-{port}"


def call_guard(access: AccessSettings, mesh: MeshSettings) -> CallGuard:
    """The guard of a process. Raises SettingError."""
    access.check_with(mesh)
    clock = SystemClock()
    verifier = TokenVerifier(MeshNames(mesh.mesh_id), clock, access.platform)
    guard = CallGuard(verifier, clock, required=access.required, streams_max=access.streams_max)
    guard.trust(from_file(access.trusted_keys_file(mesh)))
    return guard


async def freeze_objects() -> None:
    """Exclude the objects of the start from garbage collection: scanning all of them blocks the
    process for 20 to 70 ms each time."""
    gc.freeze()
    await asyncio.sleep(FREEZE_SECONDS)
    gc.collect()
    gc.freeze()


async def watch_parent(stop: Callable[[], None]) -> None:
    """Stop when the supervisor that started this process ends, also when it is killed."""
    if SUPERVISOR_PID not in os.environ:
        return
    while not supervisor_is_gone():
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    _log.warning("the supervisor is gone")
    stop()


def supervisor_is_gone() -> bool:
    """Whether the supervisor that started this process, if one did, has ended."""
    return os.environ.get(SUPERVISOR_PID, str(os.getppid())) != str(os.getppid())


def end_in_time_without_supervisor() -> None:
    """Nobody kills a process that hangs at its end after its supervisor was killed: it kills
    itself, and its log shows where it hung."""
    if supervisor_is_gone():
        faulthandler.dump_traceback_later(END_SECONDS_MAX, exit=True)


def run_process(
    service_id: str, mesh: MeshSettings, main: Callable[[], Coroutine[Any, Any, None]]
) -> int:
    """Run a process to its end. Returns its exit code; a wrong setting is one line, not a trace."""
    telemetry.configure_logging(service_id, mesh.log_level)
    try:
        uvloop.run(main(), loop_factory=EventLoop)
    except Exception as failure:
        wrong = list(_setting_errors(failure))
        if not wrong:
            raise
        for error in wrong:
            print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_WRONG_SETTING
    return 0


def _setting_errors(failure: BaseException) -> Iterator[SettingError]:
    """The wrong settings in a failure. Tasks that fail beside them, as others end, tell nothing."""
    if isinstance(failure, SettingError):
        yield failure
    elif isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from _setting_errors(inner)
