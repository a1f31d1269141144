"""Paths of the gateway that processes serve over HTTP themselves, beside their gRPC."""

from collections.abc import Sequence
from dataclasses import dataclass

from venuemesh.registry.v1 import registry_pb2

from gateway.envoy_clusters import Endpoint
from kit.base.directory import stands_by

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpPath:
    """A path and the kind of process behind it."""

    kind: str
    path: str
    body_bytes_max: int = 0
    """Of a request. A larger one is cut off while it is sent, so that few clients see the reason:
    the process itself refuses earlier."""

    is_websocket: bool = False

    @property
    def cluster(self) -> str:
        return f"http/{self.kind}"


HTTP_PATHS = (
    HttpPath("mcp", "/mcp", body_bytes_max=16 * MEBIBYTE),
    HttpPath("push", "/ws", is_websocket=True),
)
KINDS = frozenset(path.kind for path in HTTP_PATHS)


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """A path and the processes that serve it now."""

    path: HttpPath
    endpoints: tuple[Endpoint, ...]
    service_ids: tuple[str, ...]
    """The services that their certificates may name."""


def targets(services: Sequence[registry_pb2.Service]) -> list[HttpTarget]:
    """One for each path, also for one that no process serves."""
    found = []
    for path in HTTP_PATHS:
        serving = [
            service
            for service in services
            if service.instance.kind == path.kind
            and service.instance.http_address
            and not stands_by(service)
        ]
        endpoints = tuple(map(_endpoint, serving))
        names = tuple(sorted({service.instance.service_id for service in serving}))
        found.append(HttpTarget(path, endpoints, names))
    return found


def _endpoint(service: registry_pb2.Service) -> Endpoint:
    lost = service.status.state == registry_pb2.SERVICE_STATE_LOST
    return Endpoint.parse(service.instance.http_address, healthy=not lost)
