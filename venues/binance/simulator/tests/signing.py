"""Calls signed as clients sign them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kit.simulator.dialect import RestRequest
from kit.simulator.matching.tests.fake_engine import NOW_MS


def signed(
    method: str, path: str, secret: str = "demo-secret", key: str = "demo-key", **fields: object
) -> RestRequest:
    """A call as a client sends it."""
    params = {"timestamp": NOW_MS} | fields
    text = urlencode({name: str(value) for name, value in params.items()})
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    text += f"&signature={signature}"
    headers = {"X-MBX-APIKEY": key} if key else {}
    if method in ("GET", "DELETE"):
        return RestRequest(method, path, {}, b"", text, headers)
    return RestRequest(method, path, {}, text.encode(), "", headers)


def by_ed25519(pem: str, params: Mapping[str, object]) -> str:
    """The signature of a request to the websocket API."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    private = load_pem_private_key(pem.encode(), None)
    return base64.b64encode(private.sign(payload.encode())).decode()
