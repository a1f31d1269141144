"""Combines the supervisor's and the registry's view into one row per service."""

from collections.abc import Iterable, Mapping, Sequence

import grpc
import msgspec
from venuemesh.registry.v1 import registry_pb2

from kit.base.directory import ServiceDirectory
from ops.supervisor.memory import proportional_bytes
from ops.supervisor.state import ChildState

REGISTRY_STATES = {
    registry_pb2.SERVICE_STATE_STARTING: "starting",
    registry_pb2.SERVICE_STATE_SERVING: "serving",
    registry_pb2.SERVICE_STATE_DEGRADED: "degraded",
    registry_pb2.SERVICE_STATE_DRAINING: "draining",
    registry_pb2.SERVICE_STATE_LOST: "lost",
    registry_pb2.SERVICE_STATE_STANDBY: "standby",
}
NOT_CALLED = (registry_pb2.SERVICE_STATE_LOST, registry_pb2.SERVICE_STATE_STANDBY)
RUNNING = "running"


class ServiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """The state and figures of one service. Unknown values are 0 or None."""

    service: str
    state: str
    detail: str = ""
    since: float
    """s since the Unix epoch."""
    events_per_second: float | None = None
    events_total: int | None = None
    lag_ms: float | None = None
    lag_entries: int | None = None
    gaps_total: int | None = None
    memory_bytes: int = 0
    restarts: int = 0
    pid: int | None = None
    address: str = ""


async def read_registry(directory: ServiceDirectory) -> dict[str, registry_pb2.Service]:
    """Return registered services by id, empty while the registry is away."""
    try:
        services = await directory.services()
    except grpc.aio.AioRpcError:
        return {}
    return by_id(services)


def by_id(services: Iterable[registry_pb2.Service]) -> dict[str, registry_pb2.Service]:
    """Services by id. Of several instances, the first that is called has the id alone, and the
    others are "history@host-8114", as Admin addresses them."""
    found: dict[str, registry_pb2.Service] = {}
    for service in sorted(services, key=_age):
        one = service.instance
        several = one.service_id in found
        found[f"{one.service_id}@{one.instance_id}" if several else one.service_id] = service
    return found


def _age(service: registry_pb2.Service) -> tuple[bool, int]:
    return (service.status.state in NOT_CALLED, service.instance.start_time_ns)


def rows(
    children: Sequence[ChildState], registered: Mapping[str, registry_pb2.Service]
) -> list[ServiceRow]:
    """Return rows of supervised services in order, then of others."""
    memory = proportional_bytes(child.pid for child in children if child.pid is not None)
    supervised = {child.service for child in children}
    return [
        *(
            _supervised(child, registered.get(child.service), memory.get(child.pid or 0, 0))
            for child in children
        ),
        *(
            msgspec.structs.replace(_registered(service), service=service_id)
            for service_id, service in registered.items()
            if service_id not in supervised
        ),
    ]


def _supervised(
    child: ChildState, service: registry_pb2.Service | None, memory_bytes: int
) -> ServiceRow:
    row = ServiceRow(
        service=child.service,
        state=child.state,
        detail=child.detail,
        since=child.since,
        memory_bytes=memory_bytes,
        restarts=child.restarts,
        pid=child.pid,
    )
    if service is None or child.state != RUNNING:
        return row
    row = _registered(service)
    return msgspec.structs.replace(
        row, since=child.since, memory_bytes=memory_bytes, restarts=child.restarts, pid=child.pid
    )


def _registered(service: registry_pb2.Service) -> ServiceRow:
    status = service.status
    return ServiceRow(
        service=service.instance.service_id,
        state=REGISTRY_STATES.get(status.state, RUNNING),
        detail=status.detail,
        since=service.instance.start_time_ns / 1e9,
        events_per_second=status.events_per_second,
        events_total=status.events_total,
        lag_ms=status.lag_ms,
        lag_entries=status.lag_entries,
        gaps_total=status.gaps_total,
        memory_bytes=status.memory_bytes,
        address=service.instance.address,
    )
