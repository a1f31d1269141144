"""REST calls of one account through ccxt, and what is known after each.

ccxt signs and sends; the venue's error table says what an error means. ccxt's raw methods are used,
not its unified ones: the request is the text that the venue must get, digit for digit, and the
answer is the venue's own text. Numbers without quotes are kept as texts too. ccxt repeats no call,
and does not pace them: the request budget does (kit/base/request_budget.py).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.clock import SystemClock
from kit.base.errors import (
    CredentialsRejected,
    RateLimited,
    VenuemeshError,
    VenueUnavailable,
)
from kit.base.request_budget import Priority, RequestBudget, Scope
from kit.connector.orders.attempts import ATTEMPT, Attempt, AttemptObserver
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

_log = telemetry.logger("orders.rest_session")

RowT = TypeVar("RowT")


exact = msgspec.json.Decoder(float_hook=str)
"""Decodes JSON and keeps fractional numbers as texts."""


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
    orders: int = 1
    """How many orders it is about. Venues that take batches count each order as a call."""
    send_by_s: float = 0
    """A time of the event loop, after which it must not be sent; 0: at any time."""

    def too_late(self) -> RequestRejected | None:
        """Return why it must not be sent any more: its turn came too late."""
        if not 0 < self.send_by_s <= asyncio.get_running_loop().time():
            return None
        detail = "not sent: its approval expired while it waited for its turn"
        return RequestRejected(orders_pb2.REJECT_REASON_NEVER_ARRIVED, detail)

    def in_time(self) -> "OrderApiRequest":
        """Return itself. Raises TooLate if it must not be sent any more."""
        if (late := self.too_late()) is not None:
            raise TooLate(late)
        return self


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


class TooLate(Exception):
    """The turn of a request came too late."""

    def __init__(self, verdict: RequestRejected) -> None:
        super().__init__(verdict.detail)
        self.verdict = verdict


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
            observed = type(self._api.exchange_id, (AttemptObserver, loaded), {})
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
        if await self.correct_clock(verdict) and priority is Priority.CANCEL:
            verdict = await self._send(request, priority, read)
        return verdict

    async def correct_clock(self, verdict: Verdict) -> bool:
        """After a rejection for the time of a request: ask for the venue's time, by which later
        requests are signed. Returns whether it is known now."""
        if not (
            isinstance(verdict, RequestRejected)
            and verdict.reason == orders_pb2.REJECT_REASON_CLOCK
            # A nonce that must grow may not go back.
            and not self._api.in_sequence
            and "timeDifference" in self.exchange.options
        ):
            return False
        load = self.exchange.load_time_difference
        try:
            await ccxt_loader.call(self.venue_id, self.budget, Priority.PROTECT, load)
        except VenuemeshError as error:
            _log.warning("time not known", extra={"venue": self.venue_id, "detail": error.message})
            return False
        return True

    async def _send(
        self, request: OrderApiRequest, priority: Priority, read: Callable[[Any], Verdict]
    ) -> Verdict:
        attempt = Attempt()
        scope = Scope.CANCEL if priority is Priority.CANCEL else Scope.ORDER_ENTRY
        try:
            answer = await self._call(request.in_time, priority, scope, attempt)
            error = self.errors.find_error(answer)
            if error is None and attempt.status < ERROR_STATUS:
                return read(answer)
            return self.errors.verdict(attempt.status, error, attempt.body)
        except TooLate as failure:
            return failure.verdict
        except VenuemeshError as failure:
            return self._verdict_of_failure(failure, attempt)
        except UNREADABLE as failure:
            return OutcomeUnknown(f"the answer cannot be read: {failure!r}"[:DETAIL_MAX])

    async def send_many(
        self,
        make: Callable[[], OrderApiRequest],
        priority: Priority,
        rows: Callable[[Any], Sequence[RowT]],
    ) -> Sequence[RowT] | Verdict:
        """Send a request that changes several orders, once. ``make`` returns it when its turn has
        come, or raises TooLate. Returns the rows of the answer, or the verdict on all orders if the
        answer has none."""
        attempt = Attempt()
        scope = Scope.CANCEL if priority is Priority.CANCEL else Scope.ORDER_ENTRY
        try:
            await self._call(make, priority, scope, attempt)
        except TooLate as failure:
            return failure.verdict
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
        attempt = Attempt()
        try:
            request = OrderApiRequest(method, params)
            answer = await self._call(request.in_time, priority, scope, attempt)
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
        attempt = Attempt()
        request = OrderApiRequest(query.method)
        answer = await self._call(request.in_time, priority, Scope.ACCOUNT, attempt)
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
        self,
        make: Callable[[], OrderApiRequest],
        priority: Priority,
        scope: Scope,
        attempt: Attempt,
    ) -> Any:
        """``make`` returns the request when its turn has come, or raises TooLate."""

        async def send() -> Any:
            async with self._in_sequence(priority, scope):
                request = make()
                if self.budget is not None:
                    self.budget.spend(request.orders - 1)
                if not request.path:
                    return await getattr(self.exchange, request.method)(request.params)
                verb, section = request.method.split()
                return await self.exchange.request(request.path, [section], verb, request.params)

        before = ATTEMPT.set(attempt)
        try:
            return await ccxt_loader.call(self.venue_id, self.budget, priority, send, scope)
        finally:
            ATTEMPT.reset(before)

    def _in_sequence(self, priority: Priority, scope: Scope) -> AbstractAsyncContextManager[None]:
        if self._sequence is None:
            return nullcontext()
        arrives_s = QUESTION_ARRIVES_S if scope is Scope.ACCOUNT else CHANGE_ARRIVES_S
        return self._sequence.turn(priority, arrives_s)

    def _verdict_of_failure(self, error: VenuemeshError, attempt: Attempt) -> Verdict:
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


def _rows(attempt: Attempt, rows: Callable[[Any], Sequence[RowT]]) -> Sequence[RowT]:
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
