"""Calls signed as clients sign them."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

from kit.simulator.dialect import RestRequest
from kit.simulator.matching.tests.fake_engine import NOW_MS


def signature(text: str, secret: str = "demo-secret") -> str:
    """Of a text."""
    made = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode()


def signed(
    method: str, path: str, content: object = None, at_ms: int = NOW_MS, **changes: str
) -> RestRequest:
    """A call as a client sends it. ``changes``: other headers, or without their text none."""
    path = f"/api/v5/{path}"
    query = urlencode(content) if method == "GET" and isinstance(content, dict) else ""
    body = json.dumps(content) if method == "POST" and content is not None else ""
    moment = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    time = moment.replace("+00:00", "Z")
    whole = f"{path}?{query}" if query else path
    headers = {
        "OK-ACCESS-KEY": "demo-key",
        "OK-ACCESS-PASSPHRASE": "demo-password",
        "OK-ACCESS-TIMESTAMP": time,
        "OK-ACCESS-SIGN": signature(f"{time}{method}{whole}{body}"),
    }
    for name, text in changes.items():
        headers[f"OK-ACCESS-{name.upper()}"] = text
    asked = content if isinstance(content, dict) and query else {}
    return RestRequest(method, path, asked, body.encode(), query, headers)


def login(at_ms: int = NOW_MS, **changes: str) -> dict:
    """What a client logs in with."""
    seconds = str(at_ms // 1_000)
    fields = {
        "apiKey": "demo-key",
        "passphrase": "demo-password",
        "timestamp": seconds,
        "sign": signature(f"{seconds}GET/users/self/verify"),
    }
    return {"op": "login", "args": [fields | changes]}
