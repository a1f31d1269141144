"""The running processes, in memory. A process is known while it sends heartbeats.

::

    register ──▶ known ──(no heartbeat for 5 s)──▶ LOST ──(none for 60 s)──▶ forgotten
                   ▲                                │
                   └──────────── heartbeat ─────────┘
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

from venuemesh.registry.v1 import registry_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import BadRequest, TooManySubscribers, UnknownService
from kit.base.telemetry import logger

HEARTBEAT_INTERVAL_MS = 1_000
LOST_AFTER_S = 5.0
FORGOTTEN_AFTER_S = 60.0
SWEEP_INTERVAL_S = 0.5
SERVICES_MAX = 1_000
GRPC_SERVICES_MAX = 64

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?:([0-9]{1,5})")
PORT_MAX = 65_535

_log = logger("registry")

Service = registry_pb2.Service
ServiceInstance = registry_pb2.ServiceInstance
ServiceStatus = registry_pb2.ServiceStatus


@dataclass(slots=True)
class _Entry:
    service: Service
    beat_monotonic_ns: int


class ServiceRegistry:
    """The processes of the mesh.

    ``revision`` grows whenever a process registers, leaves or changes its state.
    """

    def __init__(self, clock: Clock) -> None:
        self.revision = 0
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Number of known processes, including lost ones."""
        return len(self._entries)

    def register(self, instance: ServiceInstance) -> None:
        """Register a process and replace an earlier one with the same id. Raises BadRequest."""
        check(instance)
        if instance.service_id not in self._entries and len(self._entries) >= SERVICES_MAX:
            raise TooManySubscribers("the registry is full", limit=SERVICES_MAX)
        service = Service(
            instance=instance,
            status=ServiceStatus(state=registry_pb2.SERVICE_STATE_STARTING),
            heartbeat_time_ns=self._clock.time_ns(),
        )
        self._entries[instance.service_id] = _Entry(service, self._clock.monotonic_ns())
        _log.info(
            "registered", extra={"service_id": instance.service_id, "address": instance.address}
        )
        self._change()

    def heartbeat(self, service_id: str, status: ServiceStatus) -> None:
        """Record the status of a process. Raises UnknownService."""
        entry = self._entries.get(service_id)
        if entry is None:
            raise UnknownService(f"{service_id!r} is not registered", name=service_id)
        before = entry.service.status.state
        entry.service.status.CopyFrom(status)
        entry.service.heartbeat_time_ns = self._clock.time_ns()
        entry.beat_monotonic_ns = self._clock.monotonic_ns()
        if before != status.state:
            self._change()

    def unregister(self, service_id: str) -> None:
        """Remove a process. Does nothing if it is not known."""
        if self._entries.pop(service_id, None) is not None:
            _log.info("unregistered", extra={"service_id": service_id})
            self._change()

    def services(self, kind: str = "") -> list[Service]:
        """Processes of a kind, or all, by kind, name and id. Do not modify the objects."""
        found = [
            entry.service
            for entry in self._entries.values()
            if kind in ("", entry.service.instance.kind)
        ]
        return sorted(found, key=_order)

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
        for service_id, entry in list(self._entries.items()):
            silent_s = (now_ns - entry.beat_monotonic_ns) / NANOSECONDS_PER_SECOND
            status = entry.service.status
            if silent_s >= FORGOTTEN_AFTER_S:
                _log.warning("forgotten", extra={"service_id": service_id})
                del self._entries[service_id]
                self._change()
            elif silent_s >= LOST_AFTER_S and status.state != registry_pb2.SERVICE_STATE_LOST:
                _log.warning("lost", extra={"service_id": service_id})
                status.state = registry_pb2.SERVICE_STATE_LOST
                status.detail = "no heartbeat"
                self._change()

    async def run(self) -> None:
        """Sweep at an interval, endlessly."""
        while True:
            await self._clock.sleep(SWEEP_INTERVAL_S)
            self.sweep()

    def _change(self) -> None:
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
    address = ADDRESS.fullmatch(instance.address)
    if address is None or not 1 <= int(address[2]) <= PORT_MAX:
        yield "address", instance.address, "host:port"
    if len(instance.grpc_services) > GRPC_SERVICES_MAX:
        yield "grpc_services", len(instance.grpc_services), f"at most {GRPC_SERVICES_MAX}"


def _order(service: Service) -> tuple[str, str, str]:
    instance = service.instance
    return instance.kind, instance.name, instance.service_id
