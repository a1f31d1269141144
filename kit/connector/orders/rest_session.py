"""Calls of one account to one venue through ccxt, and what is known after each.

ccxt signs, sends and understands errors. Its raw methods are used, not its unified ones: what goes
out is the text that the venue is to get, digit for digit, and what comes in is the venue's own
text. Numbers without quotes are kept as texts too. ccxt repeats nothing, and does not pace itself:
the process's budget does (kit/connector/orders/rate_limited.py).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import (
    CredentialsRejected,
    RateLimited,
    VenuemeshError,
    VenueUnavailable,
)
from kit.connector.orders.errors import WORDS_MAX, ErrorTable
from kit.connector.rest import ccxt_client
from kit.execution.contract import Credentials, OutcomeUnknown, Rejected, RejectReason, Verdict

TIMEOUT_MS = 10_000
KEEP_ALIVE_MS = 15_000
"""ccxt pings some venues every three minutes only."""
UNREADABLE = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError)
"""What reading an answer raises that is not as it should be."""

RETRYING = "_retry_connection"
"""Of aiohttp's session: whether it sends a GET, PUT or DELETE again when the connection breaks. It
has no other name; Deribit takes orders by GET."""

exact = msgspec.json.Decoder(float_hook=str)
"""JSON with its fractional numbers as texts."""


@dataclass(slots=True)
class Attempt:
    """How far one call has come."""

    sent: bool = False
    status: int = 0
    """Of the answer; 0: there was none."""
    body: str = ""


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a raw method of ccxt and what it is given, amounts as texts."""

    method: str
    params: Any = field(default_factory=dict)
    """An object, or a list of them where the venue wants one."""
    path: str = ""
    """For what ccxt has no method of: then ``method`` is the verb and the section of ccxt's
    addresses, for example "PUT private"."""
    operation: str = ""
    """What the venue's order websocket calls it; empty: it is made by REST only."""
    said: Any = None
    """What it is given there, where that is not ``params``."""


class Absent(Exception):
    """The venue knows no such order."""


class RestSession:
    """One account's way to the venue."""

    def __init__(
        self,
        venue_id: str,
        exchange: str,
        config: Mapping[str, Any],
        credentials: Credentials,
        errors: ErrorTable,
        one_at_a_time: bool = False,
    ) -> None:
        """``exchange``: the class of ccxt.pro; ``config``: what it is given, without secrets."""
        self._turn: AbstractAsyncContextManager[object] = (
            asyncio.Lock() if one_at_a_time else nullcontext()
        )
        self.venue_id = venue_id
        self.errors = errors
        self._exchange = exchange
        self._config = config
        self._credentials = credentials
        self._made: Any = None

    @property
    def api(self) -> Any:
        """ccxt's object, made when first needed."""
        if self._made is None:
            loaded = ccxt_client.load_streaming(self._exchange)
            listening = type(self._exchange, (_Attempting, loaded), {})
            usual = {
                "enableRateLimit": False,
                "timeout": TIMEOUT_MS,
                "options": {"maxRetriesOnFailure": 0},
            }
            chosen = loaded.deep_extend(usual, self._config, dict(self._credentials.secrets))
            self._made = listening(chosen)
            self._made.on_json_response = exact.decode
            self._made.streaming["keepAlive"] = KEEP_ALIVE_MS
        return self._made

    async def act(self, call: Call, read: Callable[[Any], Verdict]) -> Verdict:
        """Make a call that does something, once. ``read`` makes a receipt of the answer."""
        attempt = Attempt()
        try:
            return read(await self._call(call, attempt))
        except VenuemeshError as error:
            return self._receipt(error, attempt)
        except UNREADABLE as error:
            return OutcomeUnknown(f"an answer that cannot be read: {error!r}"[:WORDS_MAX])

    async def ask(self, call: Call) -> Any:
        """Make a call that does nothing. Raises VenueUnavailable, RateLimited, UnknownInstrument,
        CredentialsRejected, and Absent where the venue knows no such order."""
        attempt = Attempt()
        try:
            return await self._call(call, attempt)
        except VenuemeshError as error:
            said = self.errors.find(attempt.body) if attempt.status else None
            if said is not None and said.code in self.errors.absent:
                raise Absent(said.words) from error
            if "AuthenticationError" in classes_of(error.__cause__):
                raise self.refused(str(error.__cause__)) from error
            raise

    def refused(self, detail: str) -> CredentialsRejected:
        """The venue does not take the key."""
        account = self._credentials.account
        message = f"{self.venue_id} refuses the key of the account {account}"
        return CredentialsRejected(message, account=account, detail=self._veiled(detail)[:200])

    def unreadable(self, error: Exception) -> VenueUnavailable:
        """An answer is not as it should be."""
        message = f"{self.venue_id} gave an answer that cannot be read"
        return VenueUnavailable(message, venue=self.venue_id, detail=repr(error)[:200])

    def verdict(self, status: int, body: Any) -> Verdict:
        """What an answer means that is an error, and did not come by REST. ``body``: as by REST,
        decoded."""
        text = msgspec.json.encode(body).decode()
        classes: list[str] = []
        try:
            self.api.handle_errors(status, "", "", "POST", {}, text, body, {}, "")
        except Exception as error:  # whatever ccxt makes of it
            classes = classes_of(error)
        return self.errors.verdict(status, text, classes)

    async def close(self) -> None:
        """End the connections."""
        if self._made is not None:
            await self._made.close()

    async def _call(self, call: Call, attempt: Attempt) -> Any:
        async def now(*arguments: Any) -> Any:
            async with self._turn:
                return await method(*arguments)

        before = ATTEMPT.set(attempt)
        try:
            if call.path:
                verb, section = call.method.split()
                method = self.api.request
                arguments = (call.path, [section], verb, call.params)
                return await ccxt_client.call(self.venue_id, now, *arguments)
            method = getattr(self.api, call.method)
            return await ccxt_client.call(self.venue_id, now, call.params)
        finally:
            ATTEMPT.reset(before)

    def _receipt(self, error: VenuemeshError, attempt: Attempt) -> Verdict:
        words = self._veiled(error.message)[:WORDS_MAX]
        if not attempt.sent:
            # The budget is closed, or ccxt does not take what it was given.
            return Rejected(self._unsent(error), words)
        if not attempt.status:
            if never_connected(error):
                return Rejected(orders_pb2.REJECT_REASON_NEVER_ARRIVED, words)
            return OutcomeUnknown(words)
        return self.errors.verdict(attempt.status, attempt.body, classes_of(error.__cause__))

    def _unsent(self, error: VenuemeshError) -> RejectReason:
        if isinstance(error, RateLimited):
            return orders_pb2.REJECT_REASON_RATE_LIMIT
        known = (name for name in classes_of(error.__cause__) if name in self.errors.classes)
        name = next(known, "InvalidOrder")
        return self.errors.classes[name]

    def _veiled(self, text: str) -> str:
        """Without secrets: ccxt writes the address of a call into its errors."""
        for secret in self._credentials.secrets.values():
            if secret:
                text = text.replace(secret, "…")
        return text


def classes_of(error: BaseException | None) -> list[str]:
    """The names of an error's classes, the nearest first."""
    return [] if error is None else [one.__name__ for one in type(error).__mro__]


def never_connected(error: BaseException | None) -> bool:
    """Whether no connection was made, so that nothing can have been sent."""
    import aiohttp

    while error is not None:
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return True
        error = error.__cause__
    return False


class _Attempting:
    """Before an exchange of ccxt: notes how far a call has come, and loads nothing besides."""

    def open(self, *arguments: Any, **named: Any) -> None:
        super().open(*arguments, **named)  # type: ignore[misc]  # of the exchange
        session = getattr(self, "session", None)
        if session is not None:
            setattr(session, RETRYING, False)

    async def fetch(self, *arguments: Any, **named: Any) -> Any:
        attempt = ATTEMPT.get()
        if attempt is not None:
            attempt.sent = True
        return await super().fetch(*arguments, **named)  # type: ignore[misc]  # of the exchange

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any
    ) -> str:
        attempt = ATTEMPT.get()
        if attempt is not None:
            attempt.status, attempt.body = code, body
        answer: str = super().on_rest_response(  # type: ignore[misc]  # of the exchange
            code, reason, url, method, headers, body, *rest
        )
        return answer

    async def load_markets(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Raw calls need no markets, and asking for them would take seconds and calls."""
        await asyncio.sleep(0)
        return {}
