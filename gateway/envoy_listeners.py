"""Envoy's listeners and their filter chains.

::

    rbac            refuses pages of other sites (envoy_browsers.py)
    cors            lets the pages of known hosts read the answers
    grpc_web        gRPC for browsers
    tokens          verifies tokens (envoy_access.py)
    header_mutation says that a stream over REST is one object per line
    transcoder      REST, from the google.api.http options of the contracts
    local_ratelimit the rate of calls of each token (envoy_access.py)
    roles           the roles that each method needs (envoy_access.py)
    fields, lua     route gRPC by the venue or process in the request (envoy_addressing.py)
    buffer          passes a request on once it is whole
    router          to the process (routes.py)
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway import envoy_access, envoy_addressing, envoy_browsers
from gateway.envoy_access_log import access_log
from gateway.envoy_clusters import ADMIN, BUFFER_BYTES, HTTP2
from gateway.envoy_errors import own_answers
from gateway.envoy_routes import CONFIGURATION_NAME
from gateway.service_contracts import ContractSet
from gateway.settings import GatewaySettings
from kit.base.access.roles import Role

TRANSCODER = "transcoder"
BODY_BYTES_MAX = 64 * 1024 * 1024
QUIET_CONNECTION_TIMEOUT = "3600s"
REQUEST_HEADERS_TIMEOUT = "10s"
FIRST_BYTES_TIMEOUT = "10s"
METRICS_PATH = "/metrics"
OWN_HEADERS = ("x-envoy-original-path",)
"""The path of a call over REST, by which it is routed and logged after the transcoder."""

UNCHANGED_REQUEST_ID = {
    "@type": "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
    # By default Envoy writes into an id whether its call is traced, and traces UUIDs only.
    "pack_trace_reason": False,
    "use_request_id_for_trace_sampling": False,
}

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions.filters"
INSPECTOR = f"{_TYPES}.listener.http_inspector.v3.HttpInspector"
EARLY_TYPE = (
    "type.googleapis.com/"
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
)
LIMIT_TYPE = f"{_TYPES}.http.local_ratelimit.v3.LocalRateLimit"
_TRANSCODER_TYPE = f"{_TYPES}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"


def public(
    host: str,
    settings: GatewaySettings,
    folder: Path,
    role_sets: Sequence[frozenset[Role]],
    tracing: Json,
) -> Json:
    """The listener of callers. ``role_sets``: those that methods need; empty: nobody is asked for a
    token. ``tracing``: options of its connection manager for traces."""
    verified, allowed = [], []
    if role_sets:
        verified = [_discovered(envoy_access.TOKENS, envoy_access.JWT_TYPE, folder)]
        limits = envoy_access.limits(settings.calls_per_second)
        allowed = [
            _filter("local_ratelimit", LIMIT_TYPE, **limits),
            _discovered(envoy_access.ROLES, envoy_access.RBAC_TYPE, folder),
        ]
    script = {"inline_string": envoy_addressing.header_script()}
    filters = [
        _filter("rbac", f"{_TYPES}.http.rbac.v3.RBAC", rules=envoy_browsers.refusals(settings)),
        _filter("cors", f"{_TYPES}.http.cors.v3.Cors"),
        _filter("grpc_web", f"{_TYPES}.http.grpc_web.v3.GrpcWeb"),
        *verified,
        # Before the transcoder, as answers pass the filters from last to first.
        _filter("header_mutation", f"{_TYPES}.http.header_mutation.v3.HeaderMutation"),
        _discovered(TRANSCODER, _TRANSCODER_TYPE, folder),
        *allowed,
        _discovered(envoy_addressing.FIELDS, envoy_addressing.FIELDS_TYPE, folder),
        _filter("lua", f"{_TYPES}.http.lua.v3.Lua", default_source_code=script),
        # A process may answer before the empty frame that ends a request. Envoy would then reset
        # the stream of a caller that is still reading the answer.
        _filter("buffer", f"{_TYPES}.http.buffer.v3.Buffer", max_request_bytes=BODY_BYTES_MAX),
    ]
    manager = _connection_manager("gateway", filters) | {
        "rds": {
            "route_config_name": CONFIGURATION_NAME,
            "config_source": file_source(folder, resource_file("routes")),
        },
        "http2_protocol_options": HTTP2 | {"max_concurrent_streams": 256},
        "request_headers_timeout": REQUEST_HEADERS_TIMEOUT,
        "normalize_path": True,
        # A caller may choose the id, and finds it in the answer and in the log of each process.
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {"typed_config": UNCHANGED_REQUEST_ID},
        "local_reply_config": {"mappers": own_answers(role_sets)},
        "access_log": [access_log()],
        "early_header_mutation_extensions": [_filter_of_own_headers()],
        **tracing,
    }
    return _listener("public", host, settings.public_port, manager)


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
            # Those of a body are refused by the process (kit/base/rest_body.py).
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


def pipe(path: str) -> Json:
    """A Unix socket that only its owner can use."""
    return {"pipe": {"path": path, "mode": 0o600}}


def socket_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def resource_file(name: str) -> str:
    """The file of some resources, in the folder of Envoy's configuration."""
    return f"{name}/{name}.json"


def file_source(folder: Path, name: str) -> Json:
    """A configuration source that is replaced by rename while Envoy runs."""
    file = folder / name
    return {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": str(file),
            "watched_directory": {"path": str(file.parent)},
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
        # Waits for the first bytes, and ends a connection that sends none: silent ones would soon
        # be all that the gateway accepts.
        "listener_filters": [
            {"name": "envoy.filters.listener.http_inspector", "typed_config": {"@type": INSPECTOR}}
        ],
        "listener_filters_timeout": FIRST_BYTES_TIMEOUT,
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


def _filter_of_own_headers() -> Json:
    """Removes from each call what only Envoy itself may say."""
    mutations = [{"remove": name} for name in OWN_HEADERS]
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {"@type": EARLY_TYPE, "mutations": mutations},
    }


def _filter(name: str, kind: str, **config: Any) -> Json:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": kind, **config}}


def _discovered(name: str, kind: str, folder: Path) -> Json:
    """A filter in a file of its own, so that a change does not end running streams."""
    source = file_source(folder, resource_file(name))
    return {"name": name, "config_discovery": {"config_source": source, "type_urls": [kind]}}
