"""Envoy's own error responses for calls that it cannot forward, as gRPC and as JSON."""

import base64
from typing import Any

from kit.base.errors import (
    DOMAIN,
    BadRequest,
    OriginNotAllowed,
    ServiceUnavailable,
    VenuemeshError,
    trailing_metadata,
)

WRONG_REQUEST = BadRequest("%LOCAL_REPLY_BODY%")
FOREIGN_PAGE = OriginNotAllowed(
    "web pages of this host may not call the gateway; see the setting gateway.hosts"
)
AWAY = ServiceUnavailable("the process does not answer; it may be restarting or overloaded")
LATE = ServiceUnavailable("the process did not answer in time")

Json = dict[str, Any]


def own_answers() -> list[Json]:
    """Mappers by HTTP status, the gRPC form first; Envoy uses the first that matches."""
    return [
        _json_answer(400, WRONG_REQUEST),
        _grpc_answer(403, FOREIGN_PAGE),
        _json_answer(403, FOREIGN_PAGE),
        _grpc_answer(503, AWAY),
        _json_answer(503, AWAY),
        _json_answer(504, LATE),
    ]


def _grpc_answer(status: int, error: VenuemeshError) -> Json:
    (key, details), *_ = trailing_metadata(error)
    header = {"key": key, "value": base64.b64encode(details).decode().rstrip("=")}
    is_grpc = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    # The transcoder turns a REST call into a gRPC call, but its caller expects JSON.
    is_rest = {"name": "x-envoy-original-path", "present_match": True}
    conditions: list[Json] = [
        _status_is(status),
        {"header_filter": {"header": is_grpc}},
        {"header_filter": {"header": is_rest | {"invert_match": True}}},
    ]
    return {
        "filter": {"and_filter": {"filters": conditions}},
        "headers_to_add": [{"header": header}],
        "body_format_override": {"text_format_source": {"inline_string": error.message}},
    }


def _json_answer(status: int, error: VenuemeshError) -> Json:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason,
        "domain": DOMAIN,
    }
    body = {"code": error.code.value[0], "message": error.message, "details": [info]}
    return {"filter": _status_is(status), "body_format_override": {"json_format": body}}


def _status_is(status: int) -> Json:
    value = {"default_value": status, "runtime_key": "unused"}
    return {"status_code_filter": {"comparison": {"value": value}}}
