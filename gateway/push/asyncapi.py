"""The websocket as an AsyncAPI 3 document, from the channels and the messages of clients."""

from typing import Any

import msgspec

from gateway.push.channels import CHANNELS, ChannelSpec
from gateway.push.encoding import Encoding
from gateway.push.requests import Subscribe, Unsubscribe
from kit.base.version import VERSION

Json = dict[str, Any]

SCHEMAS = "#/components/schemas/"
MESSAGES = "#/components/messages/"
CHANNEL = "#/channels/ws"
TEXT: Json = {"type": "string"}
CURSOR: Json = {
    "type": ["string", "null"],
    "description": "After which a lossless subscription can resume; null where nothing is resumed.",
}
ROWS: Json = {
    "type": "array",
    "items": {"type": "object"},
    "description": "Events or states, with the fields that they have in REST.",
}
GAPS: Json = {"type": "array", "items": {"type": "object"}, "description": "What is missing."}
ERROR: Json = {
    "type": "object",
    "description": "An error, as in REST.",
    "properties": {
        "code": {"type": "integer"},
        "message": TEXT,
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "reason": TEXT,
                    "domain": TEXT,
                    "metadata": {"type": "object", "additionalProperties": TEXT},
                },
                "required": ["reason", "domain", "metadata"],
            },
        },
    },
    "required": ["code", "message", "details"],
}
TOPICS: Json = {"type": "array", "items": TEXT, "description": "Names of subscriptions."}
REQUEST_ID: Json = {"type": "string", "description": "That of the request."}
DATA: dict[str, Json] = {"topic": TEXT, "cursor": CURSOR, "rows": ROWS}
SENT: dict[str, tuple[str, dict[str, Json], dict[str, Json]]] = {
    "welcome": (
        "The first message of a connection",
        {
            "version": {"type": "integer"},
            "channels": {"type": "array", "items": TEXT},
            "heartbeat_interval_ms": {"type": "integer"},
        },
        {},
    ),
    "subscribed": ("Subscriptions have begun", {"request_id": REQUEST_ID, "topics": TOPICS}, {}),
    "unsubscribed": ("Subscriptions have ended", {"request_id": REQUEST_ID, "topics": TOPICS}, {}),
    "snapshot": ("What is known at the beginning of a subscription", DATA, {"gaps": GAPS}),
    "data": ("What has changed", DATA, {"gaps": GAPS}),
    "ended": (
        "A subscription has ended by itself",
        {"topic": TEXT, "cursor": CURSOR, "error": ERROR},
        {},
    ),
    "heartbeat": ("The connection is alive", {"time_ns": TEXT}, {}),
    "error": (
        "A request was not done, or the connection ends",
        {"request_id": REQUEST_ID, "error": ERROR},
        {},
    ),
}
"""The messages of the gateway: what they mean, their fields, and those that may be left out."""
DESCRIPTION = (
    "One connection for what is live. A client subscribes to any mix of channels and gets each "
    "message as JSON in text frames, or as MessagePack in binary frames. Amounts are exact decimal "
    "text, 64-bit numbers are text."
)


def document() -> Json:
    """The document as a JSON object."""
    (subscribe, unsubscribe), received = msgspec.json.schema_components(
        (Subscribe, Unsubscribe), ref_template=f"{SCHEMAS}{{name}}"
    )
    received["Subscription"]["properties"]["channel"] |= {
        "enum": list(CHANNELS),
        "description": "\n".join(f"- {name}: {_text(spec)}" for name, spec in CHANNELS.items()),
    }
    messages = {
        "subscribe": _message("Begin subscriptions: all of them, or none", subscribe),
        "unsubscribe": _message("End subscriptions", unsubscribe),
    }
    for name, (title, fields, optional) in SENT.items():
        messages[name] = _message(title, _payload(name, fields, optional))
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Venuemesh", "version": VERSION, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "{host}",
                "protocol": "ws",
                "variables": {"host": {"default": "127.0.0.1:8081"}},
                "security": [
                    {"$ref": "#/components/securitySchemes/bearer"},
                    {"$ref": "#/components/securitySchemes/session"},
                ],
            }
        },
        "channels": {
            "ws": {
                "address": "/ws",
                "messages": {name: {"$ref": f"{MESSAGES}{name}"} for name in messages},
                "bindings": {"ws": {"query": _query()}},
            }
        },
        "operations": {
            "request": _operation("receive", ("subscribe", "unsubscribe")),
            "stream": _operation("send", SENT),
        },
        "components": {
            "messages": messages,
            "schemas": received,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "session": {
                    "type": "httpApiKey",
                    "in": "cookie",
                    "name": "venuemesh_session_8081",
                    "description": "The session of a browser; the number is the gateway's port.",
                },
            },
        },
    }


def _text(spec: ChannelSpec) -> str:
    needs = ", ".join(spec.needed) or "nothing"
    may = f", may have {', '.join(spec.optional)}" if spec.optional else ""
    return f"needs {needs}{may}; {' or '.join(spec.deliveries)}"


def _message(title: str, payload: Json) -> Json:
    return {"title": title, "payload": payload}


def _payload(name: str, fields: dict[str, Json], optional: dict[str, Json]) -> Json:
    return {
        "type": "object",
        "properties": {"type": {"const": name}, **fields, **optional},
        "required": ["type", *fields],
        "additionalProperties": False,
    }


def _query() -> Json:
    values = [encoding.value for encoding in Encoding]
    encoding = {"type": "string", "enum": values, "default": Encoding.JSON.value}
    return {"type": "object", "properties": {"encoding": encoding}}


def _operation(action: str, names: "tuple[str, ...] | dict[str, Any]") -> Json:
    return {
        "action": action,
        "channel": {"$ref": CHANNEL},
        "messages": [{"$ref": f"{CHANNEL}/messages/{name}"} for name in names],
    }
