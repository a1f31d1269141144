"""Envoy's routes: the cluster of each call.

A call finds its process in this order; the first that matches takes it::

    gRPC    /venuemesh.history.v1.History/…               a process that serves it
    gRPC    /venuemesh.admin.v1.Admin/…  + header         the process that the header names
    REST    /v1/venues/binance/instruments                the process that the path names
    either, of a contract, but nobody is there            the registry, which says so (unrouted.py)
    HTTP    /mcp, /ws                                       the process of that path (http_paths.py)
    gRPC    anything else: health, reflection             the registry
    HTTP    anything else                                 the pages (web.py)

Envoy matches REST paths before it transcodes them, so that the path may choose the cluster.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from gateway.envoy_browsers import MEANT, origin_matchers
from gateway.envoy_clusters import REGISTRY, WEB, RouteTarget
from gateway.http_paths import HttpTarget
from gateway.service_contracts import RpcMethod, ServiceContract
from gateway.settings import ANY_HOST, GatewaySettings
from gateway.sign_in_links import PATH as SIGN_IN
from gateway.unrouted_calls import UNROUTED_PREFIX
from kit.base.rpc import STREAM_WRITER

CONFIGURATION_NAME = "venuemesh"
REST_TIMEOUT = "60s"
NO_TIMEOUT = "0s"
CORS_MAX_AGE_S = "3600"
EXPOSED_HEADERS = "grpc-status,grpc-message,grpc-status-details-bin"
ALLOWED_HEADERS = (
    "content-type,authorization,x-grpc-web,x-user-agent,x-request-id,grpc-timeout,"
    f"{MEANT[0]},venuemesh-venue,venuemesh-service"
)

Json = dict[str, Any]

# Only if the process has certainly not started the call.
RETRY: Json = {
    "retry_on": "connect-failure,refused-stream",
    "num_retries": 2,
    # The retry goes to another process, if there is one.
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
                ".PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": "5",
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3"
            ".PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}
# The transcoder calls everything application/json. An error is one object, not lines.
LINES = "%CEL(response.headers[':status'] == '200' ? 'application/x-ndjson' : 'application/json')%"
BUFFER = "envoy.filters.http.buffer"
BUFFER_TYPE = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute"
UNBUFFERED: Json = {"typed_per_filter_config": {BUFFER: {"@type": BUFFER_TYPE, "disabled": True}}}
"""Reflection and websockets, whose requests are a stream."""
STREAM_OF_LINES: Json = {
    "typed_per_filter_config": {
        "envoy.filters.http.header_mutation": {
            "@type": "type.googleapis.com/"
            "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
            "mutations": {
                "response_mutations": [
                    {
                        "append": {
                            "header": {"key": "content-type", "value": LINES},
                            "append_action": "OVERWRITE_IF_EXISTS",
                        }
                    }
                ]
            },
        }
    }
}
REMOTE_ADDRESS = "x-venuemesh-remote-address"
"""Tells the pages where a call comes from. Only the other side of the connection is certain: a
caller may write anything into x-forwarded-for."""
ADDRESS: Json = {
    "header": {"key": REMOTE_ADDRESS, "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}
UNTRACED: Json = {"tracing": {"overall_sampling": {"numerator": 0}}}
"""A trace has the query, with the code of a link that is valid until it is used."""
WEBSOCKET: Json = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
UNROUTED: Json = {"pattern": {"regex": "^/"}, "substitution": UNROUTED_PREFIX}


def route_configuration(
    contracts: Sequence[ServiceContract],
    targets: Iterable[RouteTarget],
    servers: Iterable[HttpTarget],
    settings: GatewaySettings,
) -> Json:
    """All routes for these contracts and the registered processes."""
    routes: list[Json] = []
    for target in targets:
        routes += _routes_of(target.contract, target.key, target.cluster)
    for contract in contracts:
        for route in _routes_of(contract, "", REGISTRY, addressed=False):
            route["route"]["regex_rewrite"] = UNROUTED
            routes.append(route)
    routes += map(_http_route, servers)
    routes += [
        _route({"prefix": "/", "headers": [_grpc_content()]}, REGISTRY, NO_TIMEOUT) | UNBUFFERED,
        _route({"path": SIGN_IN}, WEB, REST_TIMEOUT)
        | {"request_headers_to_add": [ADDRESS]}
        | UNTRACED,
        _route({"prefix": "/"}, WEB, REST_TIMEOUT) | {"request_headers_to_add": [ADDRESS]},
    ]
    known = {
        "name": "known",
        "domains": _domains(settings.hosts),
        "routes": routes,
        "typed_per_filter_config": {"envoy.filters.http.cors": _cors(settings)},
    }
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": CONFIGURATION_NAME,
        # Only processes of the mesh may send it, and they call each other directly.
        "request_headers_to_remove": [STREAM_WRITER[0]],
        "virtual_hosts": [known] if ANY_HOST in settings.hosts else [known, _unknown_host()],
    }


def _routes_of(
    contract: ServiceContract, key: str, cluster: str, addressed: bool = True
) -> list[Json]:
    """Routes of one contract for gRPC and REST; without a key, for every key."""
    match: Json = {"prefix": f"/{contract.name}/"}
    if contract.address is not None and addressed:
        match["headers"] = [{"name": contract.address.header, "string_match": {"exact": key}}]
    # A gRPC caller sends its own deadline.
    return [_route(match, cluster, NO_TIMEOUT), *_rest_routes(contract, key, cluster)]


def _rest_routes(contract: ServiceContract, key: str, cluster: str) -> list[Json]:
    """One route for all paths with the same verb and timeout, to keep the list short."""
    field = contract.address.field if contract.address is not None else ""
    bound = sorted((method for method in contract.methods if method.binding), key=_kind)
    routes = []
    for (verb, streams), methods in groupby(bound, key=_kind):
        patterns = [method.binding.pattern(field, key) for method in methods if method.binding]
        match = {
            "safe_regex": {"regex": "|".join(patterns)},
            "headers": [{"name": ":method", "string_match": {"exact": verb}}],
        }
        route = _route(match, cluster, NO_TIMEOUT if streams else REST_TIMEOUT)
        routes.append(route | (STREAM_OF_LINES if streams else {}))
    return routes


def _http_route(server: HttpTarget) -> Json:
    path = server.path
    if path.is_websocket:
        route = _route({"path": path.path}, path.cluster, NO_TIMEOUT) | UNBUFFERED
        route["route"] |= WEBSOCKET
        return route
    return _route({"path": path.path}, path.cluster, REST_TIMEOUT) | {
        "typed_per_filter_config": {
            BUFFER: {"@type": BUFFER_TYPE, "buffer": {"max_request_bytes": path.body_bytes_max}}
        }
    }


def _kind(method: RpcMethod) -> tuple[str, bool]:
    return (method.binding.verb if method.binding else "", method.streams)


def _route(match: Json, cluster: str, timeout: str) -> Json:
    action: Json = {"cluster": cluster, "timeout": timeout, "retry_policy": RETRY}
    if timeout == NO_TIMEOUT:
        # A quiet instrument is not a dead stream; TCP and HTTP/2 keepalive detect dead ones.
        action["idle_timeout"] = NO_TIMEOUT
    return {"match": match, "route": action}


def _grpc_content() -> Json:
    return {"name": "content-type", "string_match": {"prefix": "application/grpc"}}


def _domains(hosts: Iterable[str]) -> list[str]:
    # Envoy rejects all routes if one is there twice.
    once = dict.fromkeys(hosts)
    return [ANY_HOST] if ANY_HOST in once else [*once, *(f"{host}:*" for host in once)]


def _cors(settings: GatewaySettings) -> Json:
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": origin_matchers(settings),
        "allow_methods": "GET,POST,OPTIONS",
        "allow_headers": ALLOWED_HEADERS,
        "expose_headers": EXPOSED_HEADERS,
        "max_age": CORS_MAX_AGE_S,
    }


def _unknown_host() -> Json:
    """Reject unknown host names: a hostile page could use one (DNS rebinding)."""
    text = "unknown host: call the gateway by one of the names in gateway.hosts"
    return {
        "name": "unknown",
        "domains": [ANY_HOST],
        "routes": [
            {
                "match": {"prefix": "/"},
                "direct_response": {"status": 403, "body": {"inline_string": text}},
            }
        ],
    }
