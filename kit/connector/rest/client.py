"""REST calls to an exchange that ccxt does not know; for one that it knows see ccxt_client.

Answers are read into a msgspec type, whose numbers are texts (``str``), or ``Decimal`` where the
venue writes bare numbers: both are exact.
"""

import math
from collections.abc import Mapping
from typing import TypeVar

import aiohttp
import msgspec

from kit.base.errors import RateLimited, UnknownInstrument, VenueUnavailable
from kit.base.request_budget import spending
from kit.connector.rest import retry_after

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
OK, NOT_FOUND = 200, 404

AnswerT = TypeVar("AnswerT")


class RestClient:
    """GET and its errors. Connections are made when first needed."""

    def __init__(self, venue_id: str, base_url: str) -> None:
        self._venue_id = venue_id
        self._base_url = base_url
        self._made: aiohttp.ClientSession | None = None

    async def get(
        self, path: str, answer: type[AnswerT], query: Mapping[str, str | int], symbol: str = ""
    ) -> AnswerT:
        """One call, read as ``answer``. It waits for its turn where the code that asks for it
        spends from a budget. ``symbol``: whom it is about, so that a 404 means that there is no
        such instrument. Raises RateLimited, UnknownInstrument, VenueUnavailable."""
        account = spending()
        if account is None:
            status, body = await self._fetch(path, query)
        else:
            async with account.budget.turn(account.priority):
                status, body = await self._fetch(path, query)
        if status != OK:
            raise self._refusal(status, body, symbol)
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = f"{self._venue_id} gave an answer that cannot be read"
            raise VenueUnavailable(text, venue=self._venue_id, detail=repr(error)) from error

    async def close(self) -> None:
        """End the connections."""
        if self._made is not None:
            await self._made.close()

    async def _fetch(self, path: str, query: Mapping[str, str | int]) -> tuple[int, bytes]:
        if self._made is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._made = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._made.get(self._base_url + path, params=query) as response:
                retry_after.heard(response.status, response.headers)
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        raise self._unavailable("more than can be read", "ANSWER_BYTES_MAX")
                return response.status, bytes(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error), type(error).__name__) from error

    def _refusal(self, status: int, body: bytes, symbol: str) -> Exception:
        said = body[:200].decode(errors="replace")
        if status in (retry_after.SLOW_DOWN, retry_after.BANNED):
            wait_ms = math.ceil(retry_after.left_alone_s() * 1000)
            return RateLimited(said, venue=self._venue_id, retry_after_ms=wait_ms)
        if status == NOT_FOUND and symbol:
            return UnknownInstrument(said, venue=self._venue_id, symbol=symbol)
        return self._unavailable(said, f"HTTP {status}")

    def _unavailable(self, said: str, detail: str) -> VenueUnavailable:
        text = f"{self._venue_id} gave no answer: {said}"
        return VenueUnavailable(text, venue=self._venue_id, detail=detail)
