"""REST calls to an exchange that ccxt does not know; for one that it knows see ccxt_rest_client.

Answers are decoded into a msgspec type, whose numbers are texts (``str``), or ``Decimal`` where the
venue writes bare numbers: both are exact.
"""

import math
from collections.abc import Mapping
from typing import TypeVar

import aiohttp
import msgspec

from kit.base.errors import RateLimited, UnknownInstrument, VenueUnavailable
from kit.base.request_budget import Priority, RequestBudget, Scope, market_scope, turn
from kit.connector.rest import retry_after

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
TEXT_LENGTH_MAX = 4096
"""Bytes of an answer in which the text of a rate limit or a ban is looked for."""
OK, NOT_FOUND = 200, 404

AnswerT = TypeVar("AnswerT")


class RestClient:
    """GET calls, and their errors. Connections are made on first use."""

    def __init__(self, venue_id: str, base_url: str, budget: RequestBudget | None = None) -> None:
        """Without a budget calls go out at once."""
        self._venue_id = venue_id
        self._base_url = base_url
        self._budget = budget
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self,
        path: str,
        answer: type[AnswerT],
        query: Mapping[str, str | int],
        priority: Priority = Priority.QUESTION,
        *,
        symbol: str = "",
    ) -> AnswerT:
        """Make one call in its turn, decoded as ``answer``. ``symbol``: the instrument that the
        call is about, so that a 404 means that it is unknown. Raises RateLimited,
        UnknownInstrument, VenueUnavailable."""
        scope = market_scope(priority)
        async with turn(self._budget, priority, scope):
            status, body = await self._fetch(path, query, scope)
        if status != OK:
            raise self._error(status, body, symbol, scope)
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = f"{self._venue_id} gave an answer that cannot be read"
            raise VenueUnavailable(text, venue=self._venue_id, detail=repr(error)) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _fetch(
        self, path: str, query: Mapping[str, str | int], scope: Scope
    ) -> tuple[int, bytes]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.get(self._base_url + path, params=query) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        raise self._unavailable("it is too long", "ANSWER_BYTES_MAX")
                text = body[:TEXT_LENGTH_MAX].decode(errors="replace")
                retry_after.observe(self._budget, scope, response.status, response.headers, text)
                return response.status, bytes(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error), type(error).__name__) from error

    def _error(self, status: int, body: bytes, symbol: str, scope: Scope) -> Exception:
        text = body[:200].decode(errors="replace")
        if status in (retry_after.TOO_MANY_REQUESTS, retry_after.BANNED):
            wait_ms = math.ceil(retry_after.suspension_s(self._budget, scope) * 1000)
            return RateLimited(text, venue=self._venue_id, retry_after_ms=wait_ms)
        if status == NOT_FOUND and symbol:
            return UnknownInstrument(text, venue=self._venue_id, symbol=symbol)
        return self._unavailable(text, f"HTTP {status}")

    def _unavailable(self, reason: str, detail: str) -> VenueUnavailable:
        text = f"{self._venue_id} gave no answer: {reason}"
        return VenueUnavailable(text, venue=self._venue_id, detail=detail)
