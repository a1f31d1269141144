"""Calls of the REST API through the gateway, as the caller of a tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from gateway.envoy_browsers import MEANT
from kit.base.access.call_guard import FOR_MODEL
from kit.base.access.credentials import AUTHORIZATION
from kit.base.request_id import REQUEST_ID

FORWARDED = (AUTHORIZATION, "cookie", MEANT[0], REQUEST_ID)
"""Headers of the caller's request that say who calls, and which call it is."""
TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024
READ_BYTES = 64 * 1024
HTTP_OK = 200

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One call."""

    verb: str
    path: str
    """With the values of its fields."""
    query: Query = ()
    body: Json | None = None


class CallFailed(Exception):
    """The call was refused, or failed. ``reason`` is one of those of errors.proto."""

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str]) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


class GatewayClient:
    """The gateway at one URL."""

    def __init__(self, url: str, calls_at_once: int) -> None:
        self._url = url
        self._calls_at_once = calls_at_once
        self._opened: aiohttp.ClientSession | None = None

    async def call(self, request: RestRequest, headers: Mapping[str, str]) -> Any:
        """The decoded answer. Raises CallFailed."""
        query = f"?{urlencode(request.query)}" if request.query else ""
        shown = {name: headers[name] for name in FORWARDED if name in headers}
        shown |= dict([FOR_MODEL])
        body = None if request.body is None else msgspec.json.encode(request.body)
        if body is not None:
            shown["content-type"] = "application/json"
        try:
            async with self._session.request(
                request.verb, f"{self._url}{request.path}{query}", headers=shown, data=body
            ) as response:
                content = await _content(response)
                answer = msgspec.json.decode(content) if content else {}
                if response.status == HTTP_OK:
                    return answer
        except TimeoutError:
            text = f"no answer within {TIMEOUT_S:.0f} s"
            raise CallFailed("SERVICE_UNAVAILABLE", text, {}) from None
        except (aiohttp.ClientError, msgspec.DecodeError) as error:
            text = f"the gateway does not answer: {type(error).__name__}"
            raise CallFailed("SERVICE_UNAVAILABLE", text, {}) from None
        raise _failure(response.status, answer)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._calls_at_once),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened


def path_with(path: str, values: Mapping[str, str]) -> str:
    """A path of the API with the values of its fields."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(READ_BYTES):
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            text = f"the answer has more than {ANSWER_BYTES_MAX} bytes: ask for less"
            raise CallFailed("BAD_REQUEST", text, {})
    return bytes(content)


def _failure(status: int, answer: Any) -> CallFailed:
    if not isinstance(answer, dict):
        return CallFailed("", f"HTTP status {status}", {})
    details = answer.get("details") or [{}]
    found = details[0]
    message = str(answer.get("message") or f"HTTP status {status}")
    return CallFailed(str(found.get("reason", "")), message, found.get("metadata") or {})
