"""Envoy's own error responses for calls that it refuses or cannot forward: as gRPC, as gRPC-web and
as JSON."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.envoy_access import REVOKED, UNLISTED, caller_claim, rule_name
from gateway.envoy_browsers import MEANT, NOT_MEANT
from gateway.http_paths import HTTP_PATHS, HttpPath
from kit.base.access.roles import Role
from kit.base.error_details import trailing_metadata
from kit.base.errors import (
    DOMAIN,
    BadRequest,
    CallerLimited,
    OriginNotAllowed,
    RoleMissing,
    ServiceUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    VenuemeshError,
)

WRONG_REQUEST = BadRequest("%LOCAL_REPLY_BODY%")
FOREIGN_PAGE = OriginNotAllowed(
    "web pages of this origin may not call the gateway; see the settings gateway.hosts and "
    "gateway.origins"
)
NOT_MEANT_CALL = OriginNotAllowed(
    f'a call by the cookie of a session needs the header "{": ".join(MEANT)}"'
)
NO_TOKEN = TokenMissing('this call needs a token: send "authorization: Bearer TOKEN"')
EXPIRED = TokenExpired("the token has expired: get a new one")
REVOKED_TOKEN = TokenRevoked("the token was revoked: get a new one")
TOKEN_ID = caller_claim("jti")
CALLED = "%REQ(:PATH)%"
"""Behind the transcoder: the path of the method, also of a call over REST."""
WRONG_TOKEN = TokenInvalid("the token is not valid here: get one that this mesh issued")
LIMITED = CallerLimited("too many calls with this token: see the setting gateway.calls_per_second")
AWAY = ServiceUnavailable("the process does not answer; it may be restarting or overloaded")
LATE = ServiceUnavailable("the process did not answer in time")
INVALID_REQUEST = -32600
"""An error code of JSON-RPC."""
UNKNOWN_METHOD = "no such method: reflection lists all"

PAGE_PATH = "%PATH(NQ)%"
"""Without the query, whose & would end it."""
NAVIGATION = {"name": "sec-fetch-mode", "string_match": {"exact": "navigate"}}
GRPC = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
# The transcoder turns a REST call into a gRPC call, but its caller expects JSON.
REST = {"name": "x-envoy-original-path", "present_match": True}
# The content type of such a call is replaced before.
GRPC_WEB = {"name": "x-grpc-web", "present_match": True}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What Envoy answers in one case."""

    when: Json
    error: VenuemeshError
    status: int
    """HTTP status, from which Envoy derives the gRPC status."""
    has_grpc: bool = True
    """Whether callers of gRPC may get it."""
    found: Mapping[str, str] = field(default_factory=dict)
    """Metadata that Envoy finds in the call. It can write them as JSON only."""
    text: str = ""
    """The message with what Envoy finds in the call, if it has more than that of the error."""

    @property
    def message(self) -> str:
        return self.text or self.error.message


def own_answers(role_sets: Iterable[frozenset[Role]]) -> list[Json]:
    """Mappers; Envoy uses the first that matches. ``role_sets``: those that methods need."""
    answers = [
        OwnAnswer(_details("Jwt_is_missing"), NO_TOKEN, 401),
        OwnAnswer(_details("Jwt_is_expired"), EXPIRED, 401),
        OwnAnswer(_details("jwt_authn_access_denied"), WRONG_TOKEN, 401),
        OwnAnswer(
            _rule(REVOKED),
            REVOKED_TOKEN,
            401,
            found={"token_id": TOKEN_ID},
            text=f"the token {TOKEN_ID} was revoked: get a new one",
        ),
        *map(_role_missing, role_sets),
        OwnAnswer(_rule(NOT_MEANT), NOT_MEANT_CALL, 403),
        OwnAnswer(_status_is(400), WRONG_REQUEST, 400, has_grpc=False),
        OwnAnswer(_status_is(403), FOREIGN_PAGE, 403),
        OwnAnswer(_status_is(429), LIMITED, 429),
        OwnAnswer(_status_is(503), AWAY, 503),
        OwnAnswer(_status_is(504), LATE, 504, has_grpc=False),
    ]
    # Envoy turns 404 into UNIMPLEMENTED for callers of gRPC.
    unlisted = {
        "filter": _rule(UNLISTED),
        "status_code": 404,
        "body_format_override": {"text_format_source": {"inline_string": UNKNOWN_METHOD}},
    }
    large = (_too_large(path) for path in HTTP_PATHS if not path.is_websocket)
    return [unlisted, *large, *(mapper for answer in answers for mapper in _mappers(answer))]


def _too_large(path: HttpPath) -> Json:
    """What a path that takes JSON-RPC answers to a request that is larger than it takes."""
    message = f"the request has more than {path.body_bytes_max} bytes: send less"
    error = {"code": INVALID_REQUEST, "message": message}
    here = _header({"name": ":path", "string_match": {"prefix": path.path}})
    return {
        "filter": _both(_status_is(413), here),
        "status_code": 413,
        "body_format_override": {"json_format": {"jsonrpc": "2.0", "id": None, "error": error}},
    }


def _mappers(answer: OwnAnswer) -> Iterator[Json]:
    """The first that matches the caller's protocol is taken."""
    if answer.status == 401:
        yield _sign_in(answer)
    if answer.has_grpc:
        yield _grpc_web(answer)
        yield _grpc(answer)
    yield _json(answer)


def _sign_in(answer: OwnAnswer) -> Json:
    """A person who opens a page is sent to the page for signing in."""
    return {
        "filter": _both(answer.when, _header(NAVIGATION)),
        "status_code": 303,
        "headers_to_add": [_added("location", f"/sign-in?next={PAGE_PATH}")],
        "body_format_override": {"text_format_source": {"inline_string": answer.message}},
    }


def _grpc(answer: OwnAnswer) -> Json:
    error = answer.error
    conditions = (answer.when, _header(GRPC), _header(REST | {"invert_match": True}))
    return {
        "filter": _both(*conditions),
        "status_code": answer.status,
        "headers_to_add": [_details_header(error)],
        "body_format_override": {"text_format_source": {"inline_string": answer.message}},
    }


def _grpc_web(answer: OwnAnswer) -> Json:
    """Envoy does not take such a call for gRPC, so its status has to be put together here."""
    error = answer.error
    return {
        "filter": _both(answer.when, _header(GRPC_WEB)),
        "status_code": 200,
        "headers_to_add": [
            _added("grpc-status", str(error.code.value[0])),
            _added("grpc-message", answer.message),
            _details_header(error),
        ],
        "body_format_override": {
            "text_format_source": {"inline_string": ""},
            "content_type": "application/grpc-web+proto",
        },
    }


def _json(answer: OwnAnswer) -> Json:
    error = answer.error
    info: Json = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason,
        "domain": DOMAIN,
        "metadata": {**error.metadata, **answer.found, "request_id": "%REQ(X-REQUEST-ID)%"},
    }
    body = {"code": error.code.value[0], "message": answer.message, "details": [info]}
    return {
        "filter": answer.when,
        "status_code": answer.status,
        "body_format_override": {"json_format": body},
    }


def _role_missing(needed: frozenset[Role]) -> OwnAnswer:
    names = ", ".join(sorted(needed))
    text = f"needs the role {names}, and the token does not have it"
    error = RoleMissing(f"this call {text}", roles=names)
    # Not one for each method: a mapper takes 80 kB of Envoy's memory.
    return OwnAnswer(
        _rule(rule_name(needed)), error, 403, found={"method": CALLED}, text=f"{CALLED} {text}"
    )


def _details_header(error: VenuemeshError) -> Json:
    (key, details), *_ = trailing_metadata(error)
    return _added(key, base64.b64encode(details).decode().rstrip("="))


def _added(key: str, value: str) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _both(*conditions: Json) -> Json:
    return {"and_filter": {"filters": list(conditions)}}


def _header(matcher: Json) -> Json:
    return {"header_filter": {"header": matcher}}


def _rule(name: str) -> Json:
    """The rule of the filter of roles that refused the call."""
    return _details(f"matched_policy[{name.replace(' ', '_')}]")


def _details(text: str) -> Json:
    """Envoy's text for its reason contains this."""
    kind = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": kind,
                "expression": f"response.code_details.contains('{text}')",
            },
        }
    }


def _status_is(status: int) -> Json:
    value = {"default_value": status, "runtime_key": "unused"}
    return {"status_code_filter": {"comparison": {"value": value}}}
