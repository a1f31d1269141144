"""Calls and logins with the signatures of a client."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

from kit.simulator.dialect import RestRequest
from kit.simulator.matching.tests.fake_engine import NOW_MS


def signature(text: str, secret: str = "demo-secret") -> str:
    """The signature of a text."""
    made = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode()


def signed(
    method: str, path: str, content: object = None, at_ms: int = NOW_MS, **changes: str
) -> RestRequest:
    """A signed call. ``changes`` are other headers, or empty ones."""
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
    parameters = content if isinstance(content, dict) and query else {}
    return RestRequest(method, path, parameters, body.encode(), query, headers)


def login(at_ms: int = NOW_MS, **changes: str) -> dict:
    """A login message."""
    seconds = str(at_ms // 1_000)
    fields = {
        "apiKey": "demo-key",
        "passphrase": "demo-password",
        "timestamp": seconds,
        "sign": signature(f"{seconds}GET/users/self/verify"),
    }
    return {"op": "login", "args": [fields | changes]}
