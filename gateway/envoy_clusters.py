"""Envoy's clusters: the processes that serve each contract."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from venuemesh.registry.v1 import registry_pb2

from gateway.service_contracts import ServiceContract
from kit.base.admin import INSTANCE_SEPARATOR
from kit.base.directory import stands_by
from kit.base.hosts import is_ip

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
    service_ids: tuple[str, ...]
    """The services that their certificates may name."""

    @property
    def cluster(self) -> str:
        return f"{self.contract.name}/{self.key}" if self.key else self.contract.name


def targets(
    contracts: Iterable[ServiceContract], services: Sequence[registry_pb2.Service]
) -> list[RouteTarget]:
    """All targets that can be called, by contract and key."""
    found: list[RouteTarget] = []
    instances = Counter(service.instance.service_id for service in services)
    for contract in contracts:
        groups: dict[str, list[registry_pb2.Service]] = {}
        for service in services:
            if contract.name in service.instance.grpc_services:
                for key in _keys(contract, service, instances[service.instance.service_id]):
                    groups.setdefault(key, []).append(service)
        found += [
            RouteTarget(
                contract,
                key,
                _in_turn(groups[key], contract.is_of_one_process),
                tuple(sorted({service.instance.service_id for service in groups[key]})),
            )
            for key in sorted(groups)
        ]
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


def http_cluster(name: str, endpoints: Sequence[Endpoint]) -> Json:
    """A cluster of HTTP/1.1 servers."""
    return _cluster(name, endpoints)


def socket_cluster(name: str, path: str) -> Json:
    """A cluster of one HTTP/1.1 server at a Unix socket."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return _cluster(name, []) | {"load_assignment": assignment}


def _cluster(name: str, endpoints: Sequence[Endpoint]) -> Json:
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC" if all(is_ip(endpoint.host) for endpoint in endpoints) else "STRICT_DNS",
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


def _keys(contract: ServiceContract, service: registry_pb2.Service, instances: int) -> list[str]:
    """By what a process is called: each of several instances of a service also by its own name,
    where a caller addresses a process."""
    instance = service.instance
    keys: list[str] = []
    if not stands_by(service):
        address = contract.address
        keys.append("" if address is None else getattr(instance, address.instance_field))
    if contract.is_of_one_process and instances > 1:
        keys.append(f"{instance.service_id}{INSTANCE_SEPARATOR}{instance.instance_id}")
    return keys


def _in_turn(
    services: Sequence[registry_pb2.Service], is_of_one_process: bool
) -> tuple[Endpoint, ...]:
    """Endpoints by priority: of two processes of a venue, the one with the lower epoch is called
    while it is available, because cursors of one are not valid at the other; where a caller means
    one process, the one that has run for longest."""
    if len({service.instance.epoch for service in services}) == 1 and not is_of_one_process:
        return tuple(map(_endpoint, services))
    elders = sorted(services, key=_age)
    return tuple(replace(_endpoint(one), priority=place) for place, one in enumerate(elders))


def _age(service: registry_pb2.Service) -> tuple[int, int, str, str]:
    one = service.instance
    return (one.epoch, one.start_time_ns, one.service_id, one.instance_id)


def _endpoint(service: registry_pb2.Service) -> Endpoint:
    lost = service.status.state == registry_pb2.SERVICE_STATE_LOST
    return Endpoint.parse(service.instance.address, healthy=not lost)
