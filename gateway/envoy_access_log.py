"""Envoy's log of calls: one line of JSON for each, at its end; also for each stream."""

from typing import Any

from gateway.envoy_access import caller_claim, caller_roles
from gateway.sign_in_links import PATH as SIGN_IN

# The server's fault: 13 is INTERNAL, 14 UNAVAILABLE, 15 DATA_LOSS. Where the HTTP status is not
# 200, Envoy derives a gRPC status of its own.
FAILED = "response.code >= 500 || (response.code == 200 && response.grpc_status in [13, 14, 15])"

# Without its query where that has the code of a link, which is valid until it is used.
PATH = (
    "%CEL('x-envoy-original-path' in request.headers ? request.headers['x-envoy-original-path'] : "
    f"request.path.startsWith('{SIGN_IN}') ? request.url_path : request.path)%"
)

Json = dict[str, Any]


def access_log() -> Json:
    """The log, to standard error."""
    line = {
        "time": "%START_TIME%",
        "level": f"%CEL({FAILED} ? 'warning' : 'info')%",
        "service": "gateway",
        "event": f"%CEL({FAILED} ? 'call failed' : 'call')%",
        "caller": caller_claim("sub"),
        "token_id": caller_claim("jti"),
        "roles": caller_roles(),
        "method": "%REQ(:METHOD)%",
        "path": PATH,
        "rpc": "%CEL(request.url_path)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "address": "%UPSTREAM_HOST%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "detail": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
        "received_bytes": "%BYTES_RECEIVED%",
        "sent_bytes": "%BYTES_SENT%",
    }
    return {
        "name": "envoy.access_loggers.stderr",
        "typed_config": {
            "@type": "type.googleapis.com/"
            "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
            "log_format": {"json_format": line},
        },
    }
