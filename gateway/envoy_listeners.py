"""Envoy's listeners and their filter chains.

::

    rbac            refuses pages of other hosts
    cors            lets the pages of known hosts read the answers
    grpc_web        gRPC for browsers
    transcoder      REST, from the google.api.http options of the contracts
    router          to the process (routes.py)
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.envoy_clusters import ADMIN, BUFFER_BYTES, HTTP2
from gateway.envoy_errors import own_answers
from gateway.envoy_routes import ANY_HOST, CONFIGURATION_NAME, origin_pattern
from gateway.service_contracts import ContractSet

TRANSCODER = "transcoder"
BODY_BYTES_MAX = 64 * 1024 * 1024
QUIET_CONNECTION_TIMEOUT = "3600s"
REQUEST_HEADERS_TIMEOUT = "10s"
METRICS_PATH = "/metrics"
GRPC_FAILURES = ("INTERNAL", "UNAVAILABLE", "DATA_LOSS")
HTTP_OK = 200
HTTP_FAILURE = 500

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions.filters"
_TRANSCODER_TYPE = f"{_TYPES}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"


def public(host: str, port: int, hosts: Sequence[str], folder: Path) -> Json:
    filters = [
        _filter("rbac", f"{_TYPES}.http.rbac.v3.RBAC", rules=_foreign_pages(hosts)),
        _filter("cors", f"{_TYPES}.http.cors.v3.Cors"),
        _filter("grpc_web", f"{_TYPES}.http.grpc_web.v3.GrpcWeb"),
        {
            "name": TRANSCODER,
            # By discovery, so that a change of the contracts does not end running streams.
            "config_discovery": {
                "config_source": file_source(folder, "transcoder.yaml"),
                "type_urls": [_TRANSCODER_TYPE],
            },
        },
    ]
    manager = _connection_manager("gateway", filters) | {
        "rds": {
            "route_config_name": CONFIGURATION_NAME,
            "config_source": file_source(folder, "routes.yaml"),
        },
        "http2_protocol_options": HTTP2 | {"max_concurrent_streams": 256},
        "request_headers_timeout": REQUEST_HEADERS_TIMEOUT,
        "normalize_path": True,
        "local_reply_config": {"mappers": own_answers()},
        "access_log": [_failure_log()],
    }
    return _listener("public", host, port, manager)


def metrics(host: str, port: int) -> Json:
    """Envoy's metrics for Prometheus; no other path of its admin interface."""
    rewrite = {"cluster": ADMIN, "prefix_rewrite": "/stats/prometheus"}
    manager = _connection_manager("metrics", []) | {
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "metrics",
                    "domains": ["*"],
                    "routes": [{"match": {"path": METRICS_PATH}, "route": rewrite}],
                }
            ]
        },
    }
    return _listener("metrics", host, port, manager)


def transcoder(contracts: ContractSet) -> Json:
    """The transcoder from REST to gRPC."""
    descriptor = base64.b64encode(contracts.transcoder_descriptors).decode()
    return {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": TRANSCODER,
        "typed_config": {
            "@type": _TRANSCODER_TYPE,
            "proto_descriptor_bin": descriptor,
            "services": [contract.name for contract in contracts.services],
            # Routes match the path before transcoding, because it names the process.
            "match_incoming_request_route": True,
            "convert_grpc_status": True,
            "request_validation_options": {"reject_unknown_query_parameters": True},
            "max_request_body_size": BODY_BYTES_MAX,
            "max_response_body_size": BODY_BYTES_MAX,
            "print_options": {
                "preserve_proto_field_names": True,
                "always_print_primitive_fields": True,
                "stream_newline_delimited": True,
            },
        },
    }


def connection_limit(connections_max: int) -> Json:
    """Limit of all public connections; a connection beyond it is closed at once."""
    kind = (
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    )
    return {
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"type.googleapis.com/{kind}",
                    "max_active_downstream_connections": connections_max,
                },
            }
        ]
    }


def socket_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def file_source(folder: Path, name: str) -> Json:
    """A configuration source that is replaced by rename while Envoy runs."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": str(folder / name),
            "watched_directory": {"path": str(folder)},
        },
    }


def _listener(name: str, host: str, port: int, manager: Json) -> Json:
    network_filter = {"name": "envoy.filters.network.http_connection_manager"}
    return {
        "name": name,
        "address": socket_address(host, port),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        # Detects a reader that is gone without closing its connection.
        "tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 10, "keepalive_probes": 3},
        "filter_chains": [{"filters": [network_filter | {"typed_config": manager}]}],
    }


def _connection_manager(name: str, filters: Sequence[Json]) -> Json:
    router = _filter("router", f"{_TYPES}.http.router.v3.Router")
    return {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "common_http_protocol_options": {"idle_timeout": QUIET_CONNECTION_TIMEOUT},
        "http_filters": [*filters, router],
    }


def _filter(name: str, kind: str, **config: Any) -> Json:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": kind, **config}}


def _failure_log() -> Json:
    """Log a line to standard error for each call that failed on the server's side."""
    # Only if the HTTP status is 200: otherwise Envoy derives a gRPC status of its own.
    grpc_failed = [_status("LE", HTTP_OK), {"grpc_status_filter": {"statuses": GRPC_FAILURES}}]
    either = [_status("GE", HTTP_FAILURE), {"and_filter": {"filters": grpc_failed}}]
    line = {
        "time": "%START_TIME%",
        "level": "warning",
        "service": "gateway",
        "event": "call failed",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "address": "%UPSTREAM_HOST%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "detail": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
    }
    return {
        "name": "envoy.access_loggers.stderr",
        "filter": {"or_filter": {"filters": either}},
        "typed_config": {
            "@type": "type.googleapis.com/"
            "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
            "log_format": {"json_format": line},
        },
    }


def _status(comparison: str, status: int) -> Json:
    value = {"default_value": status, "runtime_key": "unused"}
    return {"status_code_filter": {"comparison": {"op": comparison, "value": value}}}


def _foreign_pages(hosts: Sequence[str]) -> Json:
    """Reject calls of web pages whose origin is not a known host."""
    if ANY_HOST in hosts:
        return {"action": "DENY"}
    known = {"string_match": {"safe_regex": {"regex": origin_pattern(hosts)}}}
    foreign = {
        "and_ids": {
            "ids": [
                {"header": {"name": "origin", "present_match": True}},
                {"header": {"name": "origin", "invert_match": True, **known}},
            ]
        }
    }
    policy = {"permissions": [{"any": True}], "principals": [foreign]}
    return {"action": "DENY", "policies": {"foreign pages": policy}}
