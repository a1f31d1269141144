"""Envoy's clusters: the processes that serve each contract."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from venuemesh.registry.v1 import registry_pb2

from gateway.service_contracts import ServiceContract

CONNECT_TIMEOUT = "1s"
BUFFER_BYTES = 32 * 1024
STREAM_WINDOW_BYTES = 64 * 1024
CONNECTION_WINDOW_BYTES = 1024 * 1024
STREAMS_MAX = 1024

REGISTRY = "registry"
WEB = "web"
ADMIN = "envoy-admin"

Json = dict[str, Any]

# For a reader that does not read, Envoy buffers at most about one connection window.
HTTP2: Json = {
    "initial_stream_window_size": STREAM_WINDOW_BYTES,
    "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
    # Detects a process that is gone without closing its connection, as after a power failure.
    "connection_keepalive": {"interval": "10s", "timeout": "5s"},
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address of one process."""

    host: str
    port: int
    healthy: bool = True
    priority: int = 0
    """Used only while all endpoints of a lower number are unhealthy."""

    @classmethod
    def parse(cls, address: str, healthy: bool = True) -> "Endpoint":
        host, _, port = address.rpartition(":")
        return cls(host, int(port), healthy)


@dataclass(frozen=True, slots=True)
class RouteTarget:
    """A contract, the venue or service it is served for, and the processes that serve it."""

    contract: ServiceContract
    key: str
    """The venue or service id. Empty if the contract has no address."""
    endpoints: tuple[Endpoint, ...]

    @property
    def cluster(self) -> str:
        return f"{self.contract.name}/{self.key}" if self.key else self.contract.name


def targets(
    contracts: Iterable[ServiceContract], services: Sequence[registry_pb2.Service]
) -> list[RouteTarget]:
    """All targets that can be called, by contract and key."""
    found: list[RouteTarget] = []
    for contract in contracts:
        groups: dict[str, list[registry_pb2.Service]] = {}
        for service in services:
            if contract.name in service.instance.grpc_services:
                groups.setdefault(_key(contract, service.instance), []).append(service)
        found += [RouteTarget(contract, key, _in_turn(groups[key])) for key in sorted(groups)]
    return found


def grpc_cluster(name: str, endpoints: Sequence[Endpoint]) -> Json:
    """A cluster of gRPC servers."""
    return {
        **_cluster(name, endpoints),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/"
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": HTTP2},
            }
        },
    }


def http_cluster(name: str, endpoint: Endpoint) -> Json:
    """A cluster of one HTTP/1.1 server."""
    return _cluster(name, [endpoint])


def _cluster(name: str, endpoints: Sequence[Endpoint]) -> Json:
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC" if all(_is_ip(endpoint.host) for endpoint in endpoints) else "STRICT_DNS",
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "LEAST_REQUEST",
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        # The registry's state is the health check. If no process is healthy, the call fails at once
        # instead of waiting for a process that is known to be unavailable.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {
            "thresholds": [{"max_requests": STREAMS_MAX, "max_connections": STREAMS_MAX}]
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": _by_priority(endpoints),
        },
    }


def _by_priority(endpoints: Sequence[Endpoint]) -> list[Json]:
    groups: dict[int, list[Json]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.priority, []).append(_lb_endpoint(endpoint))
    return [
        {"lb_endpoints": group, **({"priority": priority} if priority else {})}
        for priority, group in groups.items()
    ] or [{"lb_endpoints": []}]


def _lb_endpoint(endpoint: Endpoint) -> Json:
    address = {"address": endpoint.host, "port_value": endpoint.port}
    return {
        "health_status": "HEALTHY" if endpoint.healthy else "UNHEALTHY",
        "endpoint": {"address": {"socket_address": address}},
    }


def _key(contract: ServiceContract, instance: registry_pb2.ServiceInstance) -> str:
    if contract.address is None:
        return ""
    key: str = getattr(instance, contract.address.instance_field)
    return key


def _in_turn(services: Sequence[registry_pb2.Service]) -> tuple[Endpoint, ...]:
    """Endpoints by priority: of two processes of a venue, the one with the lower epoch is called
    while it is available, because cursors of one are not valid at the other."""
    if len({service.instance.epoch for service in services}) == 1:
        return tuple(map(_endpoint, services))
    elders = sorted(services, key=lambda one: (one.instance.epoch, one.instance.service_id))
    return tuple(replace(_endpoint(one), priority=place) for place, one in enumerate(elders))


def _endpoint(service: registry_pb2.Service) -> Endpoint:
    lost = service.status.state == registry_pb2.SERVICE_STATE_LOST
    return Endpoint.parse(service.instance.address, healthy=not lost)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
