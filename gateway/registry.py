"""The running processes, in memory. A process is known while it sends heartbeats.

::

    register ──▶ known ──(no heartbeat for 5 s)──▶ LOST ──(none for 60 s)──▶ forgotten
                   ▲                                │
                   └──────────── heartbeat ─────────┘

A process is an instance of a service, from a start on: a later start of the same instance replaces
the earlier one, and what the earlier one says afterwards changes nothing. Of a service that must
not run twice, one instance is called and the others stand by.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from venuemesh.registry.v1 import registry_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import BadRequest, InstanceReplaced, TooManySubscribers, UnknownService
from kit.base.settings import INSTANCE_ID
from kit.base.telemetry import logger

HEARTBEAT_INTERVAL_MS = 1_000
LOST_AFTER_S = 5.0
FORGOTTEN_AFTER_S = 60.0
SWEEP_INTERVAL_S = 0.5
HELD_S_MAX = 1.0
"""How late a sweep may be before the registry counts itself as held."""
SERVICES_MAX = 1_000
GRPC_SERVICES_MAX = 64
SHARED_KINDS = frozenset({"bars", "bridge", "history", "ingest", "mcp", "push", "recorder"})
"""All instances of one service are called. They only read, or share their work by leases; of all
others two would write the same."""

SERVED_BY = {
    "events": ("audit",),
    "live": ("bridge",),
    "marketdata": ("venue",),
    "tradeflow": ("venue",),
    "catalog": ("registry",),
    "access": ("registry",),
}
"""The kinds of processes that serve a contract, by its package. Of others, the kind is that of the
package; Admin is served by all."""
ADMIN = "venuemesh.admin.v1.Admin"
PACKAGE_PLACE = 1
"""In the name of a contract: venuemesh.history.v1.History."""

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?:([0-9]{1,5})")
PORT_MAX = 65_535

_log = logger("registry")

Service = registry_pb2.Service
ServiceInstance = registry_pb2.ServiceInstance
ServiceStatus = registry_pb2.ServiceStatus


@dataclass(frozen=True, slots=True)
class _Departure:
    start_time_ns: int
    monotonic_ns: int


class ProcessId(NamedTuple):
    """One process of a service."""

    service_id: str
    instance_id: str = ""

    @classmethod
    def of(cls, instance: ServiceInstance) -> "ProcessId":
        return cls(instance.service_id, instance.instance_id)


@dataclass(slots=True)
class _Entry:
    service: Service
    beat_monotonic_ns: int
    reported: "registry_pb2.ServiceState.ValueType" = registry_pb2.SERVICE_STATE_STARTING
    """The state that the process has reported. ``service`` shows what callers may expect."""
    is_lost: bool = False

    @property
    def start_time_ns(self) -> int:
        return self.service.instance.start_time_ns


class ServiceRegistry:
    """The processes of the mesh.

    ``revision`` grows whenever a process registers, leaves or changes its state.
    """

    def __init__(self, clock: Clock) -> None:
        self.revision = 0
        self._clock = clock
        self._entries: dict[ProcessId, _Entry] = {}
        self._active: dict[str, str] = {}
        """Which instance of a service is called, of those of which only one is."""
        self._expected: dict[ProcessId, Service] = {}
        self._departed: dict[ProcessId, _Departure] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Number of known processes, including lost ones."""
        return len(self._entries)

    def register(self, instance: ServiceInstance) -> None:
        """Register a process, in place of an earlier start. Raises BadRequest, InstanceReplaced."""
        check(instance)
        process = ProcessId.of(instance)
        self._refuse_outdated(process, instance.start_time_ns)
        if process not in self._entries and len(self._entries) >= SERVICES_MAX:
            raise TooManySubscribers("the registry is full", limit=SERVICES_MAX)
        service = Service(
            instance=instance,
            status=ServiceStatus(state=registry_pb2.SERVICE_STATE_STARTING),
            heartbeat_time_ns=self._clock.time_ns(),
        )
        self._entries[process] = _Entry(service, self._clock.monotonic_ns())
        self._expected.pop(process, None)
        _log.info("registered", extra={**process._asdict(), "address": instance.address})
        self._change(process.service_id)

    def heartbeat(self, process: ProcessId, status: ServiceStatus, start_time_ns: int = 0) -> None:
        """Record the status of a process. ``start_time_ns``: 0 for any. Raises UnknownService."""
        entry = self._entries.get(process)
        if entry is None or start_time_ns not in (0, entry.start_time_ns):
            text = f"{process.service_id!r} is not registered as this instance and start"
            raise UnknownService(text, name=process.service_id)
        before = entry.service.status.state
        entry.service.status.CopyFrom(status)
        entry.service.heartbeat_time_ns = self._clock.time_ns()
        entry.beat_monotonic_ns = self._clock.monotonic_ns()
        entry.reported = status.state
        entry.is_lost = False
        self._show(process, entry)
        if before != entry.service.status.state:
            self._change(process.service_id)

    def stands_by(self, process: ProcessId) -> bool:
        """Whether another instance of its service is called instead of a process."""
        entry = self._entries.get(process)
        return entry is not None and self._stands_by(process, entry)

    def unregister(self, process: ProcessId, start_time_ns: int = 0) -> bool:
        """Remove a process, unless it is unknown or another start of it is registered. Returns
        whether another instance is called from now on."""
        entry = self._entries.get(process)
        if entry is None and self._expected.pop(process, None) is not None:
            self._change(process.service_id)
        if entry is None or start_time_ns not in (0, entry.start_time_ns):
            return entry is not None
        was_called = entry.service.status.state != registry_pb2.SERVICE_STATE_STANDBY
        del self._entries[process]
        self._departed[process] = _Departure(entry.start_time_ns, self._clock.monotonic_ns())
        _log.info("unregistered", extra=process._asdict())
        self._change(process.service_id)
        others = self._instances(process.service_id)
        return was_called and any(not other.is_lost for other in others.values())

    def forget(self, service_id: str) -> None:
        """Remove all processes of a service, which are known to have ended."""
        for process in [*self._entries, *self._expected]:
            if process.service_id == service_id:
                self.unregister(process)

    def expect(self, services: Iterable[Service]) -> None:
        """Until they come back, keep the place of the processes that an earlier registry process
        had: another instance must not take it by being the first to register. None: give their
        places up."""
        waited_for = {process.service_id for process in self._expected}
        self._expected = {ProcessId.of(service.instance): service for service in services}
        for process in self._expected:
            if process.service_id not in waited_for:
                self._active[process.service_id] = process.instance_id
        for service_id in waited_for:
            self._change(service_id)

    @property
    def expected(self) -> list[Service]:
        """The processes of an earlier registry process that have not come back yet."""
        return list(self._expected.values())

    def services(self, kind: str = "") -> list[Service]:
        """Processes of a kind, or all, in order. Do not modify the objects."""
        found = [
            entry.service
            for entry in self._entries.values()
            if kind in ("", entry.service.instance.kind)
        ]
        return sorted(found, key=order)

    async def wait_for_change(self, seen_revision: int, timeout_s: float | None = None) -> None:
        """Return when the revision differs from ``seen_revision``, or after the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.revision == seen_revision:
                    await self._changed.wait()
        except TimeoutError:
            return

    def sweep(self) -> None:
        """Mark processes without heartbeats as lost, and later remove them."""
        now_ns = self._clock.monotonic_ns()
        for process, entry in list(self._entries.items()):
            silent_s = (now_ns - entry.beat_monotonic_ns) / NANOSECONDS_PER_SECOND
            if silent_s >= FORGOTTEN_AFTER_S:
                _log.warning("forgotten", extra=process._asdict())
                del self._entries[process]
                self._change(process.service_id)
            elif silent_s >= LOST_AFTER_S and not entry.is_lost:
                _log.warning("lost", extra=process._asdict())
                entry.is_lost = True
                self._change(process.service_id)
        bound_ns = now_ns - FORGOTTEN_AFTER_S * NANOSECONDS_PER_SECOND
        departed = self._departed.items()
        self._departed = {who: left for who, left in departed if left.monotonic_ns > bound_ns}

    async def run(self) -> None:
        """Sweep at an interval, endlessly."""
        while True:
            before_ns = self._clock.monotonic_ns()
            await self._clock.sleep(SWEEP_INTERVAL_S)
            waited_s = (self._clock.monotonic_ns() - before_ns) / NANOSECONDS_PER_SECOND
            if waited_s > SWEEP_INTERVAL_S + HELD_S_MAX:
                # This process did not run, so it has read no heartbeat: that shows no loss.
                self._allow_s(waited_s)
            self.sweep()

    def _allow_s(self, seconds: float) -> None:
        """Do not count this time as silence of the processes."""
        _log.warning("held", extra={"seconds": round(seconds, 1)})
        for entry in self._entries.values():
            entry.beat_monotonic_ns += int(seconds * NANOSECONDS_PER_SECOND)

    def _refuse_outdated(self, process: ProcessId, start_time_ns: int) -> None:
        """Raise InstanceReplaced for a start that a later one has followed, or that has left."""
        entry, left = self._entries.get(process), self._departed.get(process)
        if entry is not None and not entry.is_lost and start_time_ns < entry.start_time_ns:
            text = "a later start of this instance is registered; end this one"
        elif left is not None and 0 < start_time_ns <= left.start_time_ns:
            text = "this start has unregistered"
        else:
            return
        text = f"{process.service_id} {process.instance_id}: {text}"
        raise InstanceReplaced(text, name=process.service_id, instance=process.instance_id)

    def _instances(self, service_id: str) -> dict[ProcessId, _Entry]:
        return {who: entry for who, entry in self._entries.items() if who.service_id == service_id}

    def _elect(self, service_id: str) -> None:
        """Choose the instance that is called. One that is there and not lost stays the one."""
        found = self._instances(service_id)
        living = [process.instance_id for process, entry in found.items() if not entry.is_lost]
        active = self._active.get(service_id)
        if active not in living and ProcessId(service_id, active or "") not in self._expected:
            if living:
                self._active[service_id] = living[0]
            elif not found:
                self._active.pop(service_id, None)
        for process, entry in found.items():
            self._show(process, entry)

    def _show(self, process: ProcessId, entry: _Entry) -> None:
        """Set the state that callers may expect."""
        status = entry.service.status
        if entry.is_lost:
            status.state, status.detail = registry_pb2.SERVICE_STATE_LOST, "no heartbeat"
        elif self._stands_by(process, entry):
            status.state = registry_pb2.SERVICE_STATE_STANDBY
            status.detail = f"{self._active[process.service_id]} is called".strip()
        else:
            if status.state == registry_pb2.SERVICE_STATE_STANDBY:
                status.detail = ""
            status.state = entry.reported

    def _stands_by(self, process: ProcessId, entry: _Entry) -> bool:
        if entry.service.instance.kind in SHARED_KINDS:
            return False
        return self._active.get(process.service_id) != process.instance_id

    def _change(self, service_id: str) -> None:
        self._elect(service_id)
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()


def check(instance: ServiceInstance) -> None:
    """Raise BadRequest for an instance that Envoy could not route to."""
    for field, value, allowed in _faults(instance):
        raise BadRequest(
            f"{field} is wrong", field=f"instance.{field}", value=value, allowed=allowed
        )


def _faults(instance: ServiceInstance) -> Iterator[tuple[str, object, str]]:
    for field in ("service_id", "kind", "name"):
        value = getattr(instance, field)
        if not NAME.fullmatch(value):
            yield field, value, "1 to 64 of a-z 0-9 _ . -, the first a letter or digit"
    if instance.instance_id and not INSTANCE_ID.fullmatch(instance.instance_id):
        allowed = "1 to 63 of a-z A-Z 0-9 _ . -, the first a letter or digit"
        yield "instance_id", instance.instance_id, allowed
    if not _is_address(instance.address):
        yield "address", instance.address, "host:port"
    if instance.http_address and not _is_address(instance.http_address):
        yield "http_address", instance.http_address, "host:port, or nothing"
    if len(instance.grpc_services) > GRPC_SERVICES_MAX:
        yield "grpc_services", len(instance.grpc_services), f"at most {GRPC_SERVICES_MAX}"
    # Calls to a name, and with them tokens of callers, go to who has registered it.
    if instance.service_id != instance.name and not instance.service_id.startswith(
        f"{instance.name}-"
    ):
        yield "name", instance.name, f"the service_id {instance.service_id}, or what it begins with"
    for service in instance.grpc_services:
        if not _may_serve(instance.kind, service):
            yield "grpc_services", service, f"contracts that a process of kind {instance.kind} has"


def _is_address(text: str) -> bool:
    address = ADDRESS.fullmatch(text)
    return address is not None and 1 <= int(address[2]) <= PORT_MAX


def _may_serve(kind: str, service: str) -> bool:
    if service == ADMIN:
        return True
    package = service.split(".")[PACKAGE_PLACE : PACKAGE_PLACE + 1]
    return any(kind in SERVED_BY.get(name, (name,)) for name in package)


def order(service: Service) -> list[int | str]:
    """Sorts processes by kind, name, id and instance."""
    instance = service.instance
    return [instance.kind, instance.name, instance.service_id, instance.instance_id]
