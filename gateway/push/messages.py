"""The messages that clients get, apart from their encoding."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc

from gateway.push.updates import Position, Row, Update, position_text
from kit.base.errors import DOMAIN, VenuemeshError, error_info

VERSION = 1
CLOSE_REASON_BYTES_MAX = 123
"""Of a websocket."""

Message: TypeAlias = dict[str, Any]
ErrorFields: TypeAlias = Mapping[str, Any]


def welcome(channels: Iterable[str], heartbeat_interval_ms: int) -> Message:
    """The first message of a connection."""
    return {
        "type": "welcome",
        "version": VERSION,
        "channels": list(channels),
        "heartbeat_interval_ms": heartbeat_interval_ms,
    }


def subscribed(request_id: str, topics: Sequence[str]) -> Message:
    """The topics of the subscriptions of a request, in their order."""
    return {"type": "subscribed", "request_id": request_id, "topics": topics}


def unsubscribed(request_id: str, topics: Sequence[str]) -> Message:
    return {"type": "unsubscribed", "request_id": request_id, "topics": topics}


def snapshot(
    topic: str, rows: Sequence[Row], position: Position | None, gaps: Sequence[Row] = ()
) -> Message:
    """What is known when a subscription begins."""
    return _rows("snapshot", topic, rows, position, gaps)


def data(topic: str, update: Update) -> Message:
    return _rows("data", topic, update.rows, update.position, update.gaps)


def ended(topic: str, position: Position | None, error: ErrorFields) -> Message:
    """The last message of a subscription, with the cursor after which it can be resumed."""
    return {
        "type": "ended",
        "topic": topic,
        "cursor": position_text(position),
        "error": error,
    }


def heartbeat(time_ns: int) -> Message:
    return {"type": "heartbeat", "time_ns": str(time_ns)}


def failure(error: ErrorFields, request_id: str = "") -> Message:
    """Why a request was not done. None of its subscriptions has begun."""
    return {"type": "error", "request_id": request_id, "error": error}


def error_fields(error: VenuemeshError | grpc.aio.AioRpcError) -> ErrorFields:
    """The error as in REST: the number of its gRPC status, its text and its details."""
    if isinstance(error, VenuemeshError):
        return _error(error.code, error.message, error.reason, error.metadata)
    info = error_info(error)
    reason, metadata = ("", {}) if info is None else (info.reason, dict(info.metadata))
    return _error(error.code(), error.details() or "", reason, metadata)


def _error(
    code: grpc.StatusCode, message: str, reason: str, metadata: Mapping[str, str]
) -> ErrorFields:
    detail = {"reason": reason, "domain": DOMAIN, "metadata": dict(metadata)}
    return {"code": code.value[0], "message": message, "details": [detail]}


def _rows(
    kind: str,
    topic: str,
    rows: Sequence[Row],
    position: Position | None,
    gaps: Sequence[Row],
) -> Message:
    message = {
        "type": kind,
        "topic": topic,
        "cursor": position_text(position),
        "rows": rows,
    }
    return message | {"gaps": gaps} if gaps else message
