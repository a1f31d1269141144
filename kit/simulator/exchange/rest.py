"""REST: a table of routes, and one way of a call through authentication, limits and errors.

A venue states its routes and two functions that write answers. Handlers take an ``ApiCall`` and
return the result; they raise ``ApiError``, and let ``OrderRejected`` of the engine pass: the table
of rejections translates it.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.exchange.listings_and_prices import known_listings
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import ApiKey, MatchingEngine, OrderRejected, RejectCode
from kit.simulator.text_conversion import DIGITS_MAX, whole

ChoiceT = TypeVar("ChoiceT")
NO_KEY = ApiKey("", "", "", "")
"""The key of a call that needs none."""


class ApiError(Exception):
    """The exchange rejects a call."""

    def __init__(
        self, code: int | str, message: str = "", status: int = 200, **details: str
    ) -> None:
        """``status`` is the HTTP status of the answer; ``details`` are what the exchange adds."""
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiErrors:
    """The errors that every exchange has, as one exchange writes them."""

    rejections: Mapping[RejectCode, ApiError]
    """By the engine's reason to reject an order."""
    unavailable: ApiError
    """There are no accounts, as in a replay, or no book yet."""
    unknown_symbol: ApiError
    invalid: Callable[[str], ApiError]
    """For the name of a parameter that cannot be read."""

    def of(self, error: ApiError | OrderRejected) -> ApiError:
        """The error as the exchange writes it. A venue raises the same objects again and again, so
        they must not keep the frames of their last time."""
        if isinstance(error, OrderRejected):
            return self.rejections[error.refusal]
        error.__context__ = None
        return error.with_traceback(None)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call over REST or a websocket, and what it is answered from."""

    parameters: Mapping[str, str]
    market_view: MarketView
    errors: ApiErrors
    key: ApiKey = NO_KEY
    """The API key that signed the call."""
    body: bytes = b""

    @property
    def account(self) -> str:
        """The account of the key."""
        return self.key.account

    @property
    def engine(self) -> MatchingEngine:
        """Where orders are matched. Raises ApiError: a replay has no accounts."""
        return engine_of(self.market_view, self.errors)

    @property
    def now_ns(self) -> int:
        """The time of the market, ns since the Unix epoch."""
        return self.market_view.time_ns()

    @property
    def now_ms(self) -> int:
        """The time of the market, ms since the Unix epoch."""
        return self.now_ns // NANOSECONDS_PER_MILLISECOND

    @property
    def clock_ns(self) -> int:
        """The exchange's clock, ns since the Unix epoch."""
        return self.market_view.clock_ns()

    @property
    def clock_ms(self) -> int:
        """The exchange's clock, ms since the Unix epoch."""
        return self.clock_ns // NANOSECONDS_PER_MILLISECOND

    def signed_by(self, key: ApiKey) -> "ApiCall":
        """The same call of an account."""
        return replace(self, key=key)

    def having(self, parameters: Mapping[str, str]) -> "ApiCall":
        """The same call with more parameters, or others."""
        return replace(self, parameters={**self.parameters, **parameters})

    def text(self, name: str, default: str = "") -> str:
        """A parameter; the default when it is missing."""
        return self.parameters.get(name, default)

    def flag(self, name: str) -> bool:
        """Whether a parameter is ``true`` or ``1``."""
        return self.parameters.get(name, "").lower() in ("true", "1")

    def names(self, name: str) -> list[str]:
        """The items of a parameter that is a list with commas."""
        return [one for one in self.parameters.get(name, "").split(",") if one]

    def integer(
        self,
        name: str,
        default: int | None = None,
        maximum: int | None = None,
        digits_max: int = DIGITS_MAX,
    ) -> int:
        """A whole number, lowered to the maximum. Raises ApiError: it is none, or it is missing and
        has no default."""
        text = self.parameters.get(name) or ("" if default is None else str(default))
        number = whole(text, digits_max)
        if number is None:
            raise self.errors.invalid(name)
        return number if maximum is None else min(number, maximum)

    def choice(
        self, name: str, choices: Mapping[str, ChoiceT], error: ApiError | None = None
    ) -> ChoiceT:
        """What the table has for a parameter. Raises ApiError: nothing."""
        text = self.parameters.get(name, "")
        if text not in choices:
            raise error or self.errors.invalid(name)
        return choices[text]

    def limit(self, default: int, maximum: int, name: str = "limit") -> int:
        """How many rows a page has, at least 1. Raises ApiError."""
        return max(1, self.integer(name, default, maximum))

    def listing(self, name: str = "symbol") -> Listing:
        """The listed instrument that a parameter names. Raises ApiError."""
        return listing_named(self.text(name), self.market_view, self.errors)

    def listings(self, name: str = "symbol") -> list[Listing]:
        """The instrument that a parameter names, or all when it is missing. Raises ApiError."""
        if self.parameters.get(name):
            wanted = self.listing(name).symbol
            return [one for one in self.market_view.listings() if one.symbol == wanted]
        return list(self.market_view.listings())

    def traded(self, symbol: str) -> Listing:
        """The listing of an order's symbol, also when it was delisted since. Raises ApiError."""
        found = known_listings(self.market_view).get(symbol)
        if found is None:
            raise self.errors.unknown_symbol
        return found


Handler = Callable[[ApiCall], object]
"""Returns the result, or an awaitable of it. Raises ApiError and OrderRejected."""


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API."""

    handle: Handler
    signed: bool = False
    """Whether the caller must authenticate."""
    recorded: bool = False
    """Whether a replay answers with the body in the capture, if there is one."""
    weight: int = 1
    """What the call costs, where the exchange counts."""
    orders: int = 0
    """How many orders it places, where the exchange counts."""
    reads: frozenset[str] | None = None
    """The parameters that it knows; None: it ignores others."""


def public(handlers: Mapping[str, Handler], recorded: bool = False) -> dict[str, Route]:
    """Routes that need no key."""
    return {pattern: Route(handle, recorded=recorded) for pattern, handle in handlers.items()}


def private(handlers: Mapping[str, Handler]) -> dict[str, Route]:
    """Routes that need a key."""
    return {pattern: Route(handle, signed=True) for pattern, handle in handlers.items()}


def no_limits(route: Route, call: ApiCall) -> None:
    """The exchange counts nothing."""


def no_headers(route: Route, call: ApiCall) -> Mapping[str, str]:
    """The exchange shows no limits."""
    return {}


def query_of(request: RestRequest) -> Mapping[str, str]:
    """The parameters of a call that has them in its query."""
    return request.query


@dataclass(frozen=True, slots=True, kw_only=True)
class RestApi:
    """The REST API of an exchange."""

    routes: Mapping[str, Route]
    """By method and path: ``"GET /v5/market/time"``. A part of the path in braces is a parameter:
    ``"GET /products/{product_id}/book"``."""
    errors: ApiErrors
    accept: Callable[[ApiCall, object], RestResponse]
    """The answer with a result."""
    reject: Callable[[ApiCall, ApiError], RestResponse]
    """The answer with an error."""
    unknown: RestResponse
    """The answer at a path without a route."""
    authenticate: Callable[[RestRequest, ApiCall], ApiKey] | None = None
    """The key that signed a call. Raises ApiError."""
    parameters: Callable[[RestRequest], Mapping[str, str]] = query_of
    """Raises ApiError."""
    charge: Callable[[Route, ApiCall], None] = no_limits
    """Counts an authenticated call against the limits. Raises ApiError."""
    headers: Callable[[Route, ApiCall], Mapping[str, str]] = no_headers
    """The headers of every answer, which say what is left of the limits."""
    _patterns: dict[re.Pattern[str], Route] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for pattern, route in self.routes.items():
            if "{" in pattern:
                self._patterns[_compiled(pattern)] = route

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        """The answer to one call."""
        route, in_path = self._route(f"{request.method} {request.path}")
        if route is None:
            return self.unknown
        body = market_view.recorded(request.path) if route.recorded else None
        if body is not None:
            return RestResponse(body)
        call = ApiCall({}, market_view, self.errors, body=request.body)
        try:
            call = call.having({**self.parameters(request), **in_path})
            if route.signed and self.authenticate is not None:
                call = call.signed_by(self.authenticate(request, call))
            self.charge(route, call)
            result = route.handle(call)
            if inspect.isawaitable(result):
                result = await result
            answer = self.accept(call, result)
        except (ApiError, OrderRejected) as error:
            answer = self.reject(call, self.errors.of(error))
        headers = self.headers(route, call)
        return replace(answer, headers={**answer.headers, **headers}) if headers else answer

    def _route(self, asked: str) -> tuple[Route | None, Mapping[str, str]]:
        route = self.routes.get(asked)
        if route is None:
            for pattern, one in self._patterns.items():
                found = pattern.fullmatch(asked)
                if found is not None:
                    return one, found.groupdict()
        return route, {}


def engine_of(market_view: MarketView, errors: ApiErrors) -> MatchingEngine:
    """Where orders are matched. Raises ApiError: a replay has no accounts."""
    if market_view.engine is None:
        raise errors.unavailable
    return market_view.engine


def listing_named(symbol: str, market_view: MarketView, errors: ApiErrors) -> Listing:
    """The listed instrument with this symbol. Raises ApiError."""
    for listing in market_view.listings():
        if listing.symbol == symbol:
            return listing
    raise errors.unknown_symbol


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    names = (f"(?P<{one}>[^/]+)" if at % 2 else re.escape(one) for at, one in enumerate(parts))
    return re.compile("".join(names))
