"""Asks a language model at a server with the interface of OpenAI (``/chat/completions``)."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from core.advisor.synthesis.completion import ChatFailed, Completion, ModelFault, read
from core.advisor.synthesis.prompt import SCHEMA, ModelPrompt
from kit.base.outside_text import cleaned
from kit.base.secret_files import read_secret

BODY_BYTES_MAX = 256 * 1024
CHUNK_BYTES = 16 * 1024
HTTP_OK = 200
SHOWN_MAX = 200
CONNECTIONS_MAX = 256
RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
}


@dataclass(frozen=True)
class ModelEndpoint:
    """A model and where it is served."""

    url: str
    """The base of the addresses, for example ``https://host/v1``."""
    model: str
    api_key_file: str = ""
    """Read at each request. Empty: the server wants no key."""
    answer_tokens_max: int = 2_000

    @property
    def parameters(self) -> dict[str, Any]:
        """Of each request, besides the messages and the schema."""
        return {"temperature": 0, "seed": 0, "max_completion_tokens": self.answer_tokens_max}


class ChatClient:
    """Asks one model; requests do not wait for each other."""

    def __init__(self, endpoint: ModelEndpoint) -> None:
        self.endpoint = endpoint
        self._url = endpoint.url.rstrip("/") + "/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, prompt: ModelPrompt, seconds_max: float) -> Completion:
        """Raises ChatFailed, also if the answer is not complete in time."""
        key = self._key()
        try:
            body = await self._post(prompt, key, seconds_max)
            said = read(body)
        except TimeoutError:
            detail = f"no answer in {seconds_max:.3g} s"
            raise ChatFailed(ModelFault.TIMED_OUT, detail) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"
            raise ChatFailed(ModelFault.FAILED, _shown(detail, key)) from None
        except ChatFailed as error:
            raise ChatFailed(error.fault, _shown(str(error), key)) from None
        if key and (key in said.model or key.encode() in said.text):
            raise ChatFailed(ModelFault.INVALID, "the answer repeats the key of the server")
        return said

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, prompt: ModelPrompt, key: str, seconds_max: float) -> bytes:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(connector=connector)
        request = {
            **self.endpoint.parameters,
            "model": self.endpoint.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "response_format": RESPONSE_FORMAT,
        }
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        async with self._session.post(
            self._url,
            data=msgspec.json.encode(request),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds_max),
        ) as response:
            body = await _bounded(response.content)
            if response.status != HTTP_OK:
                text = body[:1_000].decode(errors="replace")
                raise ChatFailed(ModelFault.FAILED, f"HTTP status {response.status}: {text}")
            return body

    def _key(self) -> str:
        if not self.endpoint.api_key_file:
            return ""
        try:
            return read_secret(self.endpoint.api_key_file)
        except OSError as error:
            detail = f"the key cannot be read: {error.strerror or error}"
            raise ChatFailed(ModelFault.FAILED, detail) from None


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """Raises ChatFailed when there is more than BODY_BYTES_MAX."""
    found = bytearray()
    async for chunk in content.iter_chunked(CHUNK_BYTES):
        found += chunk
        if len(found) > BODY_BYTES_MAX:
            raise ChatFailed(ModelFault.INVALID, f"more than {BODY_BYTES_MAX} bytes")
    return bytes(found)


def _shown(text: str, key: str) -> str:
    """Text of a server for a report: bounded, and without the key, which a server may repeat."""
    return cleaned(text.replace(key, "…") if key else text)[:SHOWN_MAX]
