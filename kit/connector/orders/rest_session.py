"""REST calls of one account through ccxt, and what is known after each.

ccxt signs and sends; the venue's error table says what an error means. ccxt's raw methods are used,
not its unified ones: the request is the text that the venue must get, digit for digit, and the
answer is the venue's own text. Numbers without quotes are kept as texts too. ccxt repeats no call,
and does not pace them: the request budget does (kit/base/request_budget.py).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import SystemClock
from kit.base.errors import (
    CredentialsRejected,
    RateLimited,
    VenuemeshError,
    VenueUnavailable,
)
from kit.base.request_budget import Priority, RequestBudget, Scope
from kit.connector.orders.call_sequence import (
    CHANGE_ARRIVES_S,
    QUESTION_ARRIVES_S,
    CallSequence,
)
from kit.connector.orders.errors import DETAIL_MAX, ErrorTable
from kit.connector.orders.server_time import ServerTimeQuery
from kit.connector.rest import ccxt_loader
from kit.execution import venue_calls
from kit.execution.account_configuration import ClockOffset
from kit.execution.contract import (
    Credentials,
    OutcomeUnknown,
    RejectReason,
    RequestRejected,
    Verdict,
)

TIMEOUT_MS = 10_000
ERROR_STATUS = 300
"""The lowest HTTP status of an answer that is no success."""
KEEP_ALIVE_MS = 15_000
"""ccxt pings some venues every three minutes only."""
UNREADABLE = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError)
"""Errors of code that reads an answer which is not as it should be."""

RETRYING = "_retry_connection"
"""An attribute of aiohttp's session: whether it repeats a GET, PUT or DELETE when the connection
breaks. There is no public name for it; Deribit takes orders by GET."""

RowT = TypeVar("RowT")

_clock = SystemClock()

exact = msgspec.json.Decoder(float_hook=str)
"""Decodes JSON and keeps fractional numbers as texts."""


@dataclass(slots=True)
class _Attempt:
    """How far one call has come."""

    sent: bool = False
    status: int = 0
    """HTTP status of the answer; 0: there was no answer."""
    body: str = ""
    sent_time_ns: int = 0
    """When it was sent, ns since the Unix epoch by our clock."""
    received_time_ns: int = 0
    """When its answer had come."""


_ATTEMPT: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)
"""ccxt's raw methods take no argument of ours, so its hooks find the attempt here."""


@dataclass(frozen=True, slots=True)
class OrderApiRequest:
    """A request that changes orders: for REST, and for the order websocket where it takes it."""

    method: str
    """A raw method of ccxt."""
    params: Any = field(default_factory=dict)
    """An object, or a list of objects where the venue wants one. Amounts are texts."""
    path: str = ""
    """For a call that ccxt has no method for: then ``method`` is the HTTP verb and the section of
    ccxt's addresses, for example "PUT private"."""
    operation: str = ""
    """The name of the request on the order websocket; empty: it goes by REST only."""
    socket_params: Any = None
    """Its parameters there, where they differ from ``params``."""


@dataclass(frozen=True, slots=True)
class CcxtPrivateApi:
    """A venue's private API as ccxt knows it."""

    exchange_id: str
    """The class in ccxt.pro."""
    errors: ErrorTable
    config: Mapping[str, Any] = field(default_factory=dict)
    """ccxt's configuration, without secrets."""
    in_sequence: bool = False
    """Whether calls must arrive in the order in which they were signed."""
    sequence_error: str = ""
    """Part of the error for a call that arrived after one that was signed later."""


class OrderNotFound(Exception):
    """The venue knows no such order."""


class RestSession:
    """The REST calls of one account."""

    def __init__(
        self,
        venue_id: str,
        api: CcxtPrivateApi,
        credentials: Credentials,
        budget: RequestBudget | None = None,
    ) -> None:
        """Without a budget calls go out at once."""
        self.venue_id = venue_id
        self.errors = api.errors
        self.budget = budget
        self._api = api
        self._credentials = credentials
        self._sequence = CallSequence(SystemClock()) if api.in_sequence else None
        self._exchange: Any = None

    @property
    def exchange(self) -> Any:
        """ccxt's object, made on first use."""
        if self._exchange is None:
            loaded = ccxt_loader.load_streaming(self._api.exchange_id)
            observed = type(self._api.exchange_id, (_AttemptObserver, loaded), {})
            defaults = {
                "enableRateLimit": False,
                "timeout": TIMEOUT_MS,
                "options": {"maxRetriesOnFailure": 0},
            }
            secrets = dict(self._credentials.secrets)
            self._exchange = observed(loaded.deep_extend(defaults, self._api.config, secrets))
            self._exchange.request_budget = self.budget
            self._exchange.on_json_response = exact.decode
            self._exchange.streaming["keepAlive"] = KEEP_ALIVE_MS
        return self._exchange

    async def send(
        self, request: OrderApiRequest, priority: Priority, read: Callable[[Any], Verdict]
    ) -> Verdict:
        """Send a request that changes something, once. ``read`` makes a verdict of the answer.

        A cancel that the venue turned away because it arrived out of sequence is signed and sent a
        second time, as to cancel twice does no harm."""
        verdict = await self._send(request, priority, read)
        late = self._api.sequence_error
        if (
            priority is Priority.CANCEL
            and late
            and isinstance(verdict, RequestRejected)
            and late in verdict.detail
        ):
            verdict = await self._send(request, priority, read)
        return verdict

    async def _send(
        self, request: OrderApiRequest, priority: Priority, read: Callable[[Any], Verdict]
    ) -> Verdict:
        attempt = _Attempt()
        scope = Scope.CANCEL if priority is Priority.CANCEL else Scope.ORDER_ENTRY
        try:
            answer = await self._call(request, priority, scope, attempt)
            error = self.errors.find_error(answer)
            if error is None and attempt.status < ERROR_STATUS:
                return read(answer)
            return self.errors.verdict(attempt.status, error, attempt.body)
        except VenuemeshError as failure:
            return self._verdict_of_failure(failure, attempt)
        except UNREADABLE as failure:
            return OutcomeUnknown(f"the answer cannot be read: {failure!r}"[:DETAIL_MAX])

    async def send_many(
        self, request: OrderApiRequest, priority: Priority, rows: Callable[[Any], Sequence[RowT]]
    ) -> Sequence[RowT] | Verdict:
        """Send a request that changes several orders, once. Returns the rows of the answer, or the
        verdict on all orders if the answer has none."""
        attempt = _Attempt()
        scope = Scope.CANCEL if priority is Priority.CANCEL else Scope.ORDER_ENTRY
        try:
            await self._call(request, priority, scope, attempt)
        except VenuemeshError as failure:
            # ccxt raises for the error of one row too.
            return _rows(attempt, rows) or self._verdict_of_failure(failure, attempt)
        found = _rows(attempt, rows)
        if found:
            return found
        return self.errors.verdict(attempt.status, self.errors.decode(attempt.body), attempt.body)

    async def ask(
        self, method: str, params: Any, priority: Priority, scope: Scope = Scope.ACCOUNT
    ) -> Any:
        """Make a call that changes no order now. Raises VenueUnavailable, RateLimited,
        UnknownInstrument, CredentialsRejected, and OrderNotFound."""
        attempt = _Attempt()
        try:
            answer = await self._call(OrderApiRequest(method, params), priority, scope, attempt)
            venue_calls.answered()
            return answer
        except VenuemeshError as error:
            found = self.errors.decode(attempt.body) if attempt.status else None
            if found is not None and found.code in self.errors.not_found:
                raise OrderNotFound(str(found)) from error
            if "AuthenticationError" in class_names(error.__cause__):
                raise self.credentials_rejected(str(error.__cause__)) from error
            raise

    async def clock_offset(self, query: ServerTimeQuery, priority: Priority) -> ClockOffset:
        """Return how far the venue's clock is ahead of ours. Raises VenueUnavailable, RateLimited,
        and LookupError, ValueError and the like for an answer that is not as it should be."""
        attempt = _Attempt()
        request = OrderApiRequest(query.method)
        answer = await self._call(request, priority, Scope.ACCOUNT, attempt)
        return query.offset(answer, attempt.sent_time_ns, attempt.received_time_ns)

    def credentials_rejected(self, detail: str) -> CredentialsRejected:
        """The error for a key that the venue rejects."""
        account = self._credentials.account
        message = f"{self.venue_id} rejects the key of the account {account}"
        return CredentialsRejected(message, account=account, detail=self._redacted(detail)[:200])

    def unreadable(self, error: Exception) -> VenueUnavailable:
        """The error for an answer that is not as it should be."""
        message = f"{self.venue_id} gave an answer that cannot be read"
        return VenueUnavailable(message, venue=self.venue_id, detail=repr(error)[:200])

    async def close(self) -> None:
        if self._exchange is not None:
            await self._exchange.close()

    async def _call(
        self, request: OrderApiRequest, priority: Priority, scope: Scope, attempt: _Attempt
    ) -> Any:
        async def send() -> Any:
            async with self._in_sequence(priority, scope):
                if not request.path:
                    return await getattr(self.exchange, request.method)(request.params)
                verb, section = request.method.split()
                return await self.exchange.request(request.path, [section], verb, request.params)

        before = _ATTEMPT.set(attempt)
        try:
            return await ccxt_loader.call(self.venue_id, self.budget, priority, send, scope)
        finally:
            _ATTEMPT.reset(before)

    def _in_sequence(self, priority: Priority, scope: Scope) -> AbstractAsyncContextManager[None]:
        if self._sequence is None:
            return nullcontext()
        arrives_s = QUESTION_ARRIVES_S if scope is Scope.ACCOUNT else CHANGE_ARRIVES_S
        return self._sequence.turn(priority, arrives_s)

    def _verdict_of_failure(self, error: VenuemeshError, attempt: _Attempt) -> Verdict:
        detail = self._redacted(error.message)[:DETAIL_MAX]
        if not attempt.sent:
            # The budget is suspended, or ccxt does not accept the parameters.
            return RequestRejected(_reason_not_sent(error), detail)
        if not attempt.status:
            if never_connected(error):
                return RequestRejected(orders_pb2.REJECT_REASON_NEVER_ARRIVED, detail)
            return OutcomeUnknown(detail)
        found = self.errors.decode(attempt.body)
        return self.errors.verdict(attempt.status, found, attempt.body)

    def _redacted(self, text: str) -> str:
        """Without secrets: ccxt writes the address of a call into its errors."""
        for secret in self._credentials.secrets.values():
            if secret:
                text = text.replace(secret, "…")
        return text


@dataclass(frozen=True, slots=True)
class RestQuerySession:
    """Calls that change nothing, at one priority."""

    session: RestSession
    priority: Priority

    @property
    def exchange(self) -> Any:
        """ccxt's object, which knows the time, addresses and keys."""
        return self.session.exchange

    async def ask(self, method: str, params: Any = None) -> Any:
        """Call a raw method of ccxt. Raises as RestSession.ask."""
        return await self.session.ask(method, {} if params is None else params, self.priority)


def _rows(attempt: _Attempt, rows: Callable[[Any], Sequence[RowT]]) -> Sequence[RowT]:
    """The rows of an answer; none of one that is not as it should be."""
    if not 0 < attempt.status < ERROR_STATUS:
        return ()
    try:
        return rows(exact.decode(attempt.body))
    except UNREADABLE:
        return ()


def class_names(error: BaseException | None) -> list[str]:
    """Return the names of an error's classes, the nearest first."""
    return [] if error is None else [one.__name__ for one in type(error).__mro__]


def never_connected(error: BaseException | None) -> bool:
    """Whether no connection was made, so that nothing can have been sent."""
    import aiohttp

    while error is not None:
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return True
        error = error.__cause__
    return False


def _reason_not_sent(error: VenuemeshError) -> RejectReason:
    if isinstance(error, RateLimited):
        return orders_pb2.REJECT_REASON_RATE_LIMIT
    if isinstance(error, VenueUnavailable):
        return orders_pb2.REJECT_REASON_NEVER_ARRIVED
    return orders_pb2.REJECT_REASON_OTHER


class _AttemptObserver:
    """A base class put before an exchange of ccxt. It records how far a call has come, and keeps
    ccxt from making other calls."""

    def open(self, *arguments: Any, **named: Any) -> None:
        super().open(*arguments, **named)  # type: ignore[misc]  # of the exchange
        session = getattr(self, "session", None)
        if session is not None:
            setattr(session, RETRYING, False)

    async def fetch(self, *arguments: Any, **named: Any) -> Any:
        attempt = _ATTEMPT.get()
        if attempt is not None:
            attempt.sent, attempt.sent_time_ns = True, _clock.time_ns()
        return await super().fetch(*arguments, **named)  # type: ignore[misc]  # of the exchange

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any
    ) -> str:
        attempt = _ATTEMPT.get()
        if attempt is not None:
            attempt.status, attempt.body = code, body
            attempt.received_time_ns = _clock.time_ns()
        answer: str = super().on_rest_response(  # type: ignore[misc]  # of the exchange
            code, reason, url, method, headers, body, *rest
        )
        return answer

    async def load_markets(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Raw calls need no markets, and loading them would take calls and seconds."""
        await asyncio.sleep(0)
        return {}
