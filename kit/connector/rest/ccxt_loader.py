"""Loads one exchange of ccxt without the hundred others, and makes calls with it.

``import ccxt`` loads every exchange: 0.8 s and 100 MB for each venue process. Here the packages'
own ``__init__`` files are skipped and only the modules of one exchange are loaded, which takes half
of both. The names that those modules import from the package are added by hand.
"""

import importlib
import importlib.util
import math
import pkgutil
import re
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from kit.base.errors import RateLimited, UnknownInstrument, VenuemeshError, VenueUnavailable
from kit.base.request_budget import Priority, RequestBudget, Scope, turn
from kit.connector.rest import retry_after

AnswerT = TypeVar("AnswerT")

QUERY = re.compile(r"(?<=\w)\?\w+=\S*")
"""The query of an address."""

_SCOPE: ContextVar[Scope] = ContextVar("scope", default=Scope.MARKET_DATA)
"""ccxt's raw methods take no argument of ours, so its hooks find the scope of a call here."""


def load(exchange_id: str) -> Any:
    """Return the class of an exchange in ccxt.async_support, for example "binance". Its attribute
    ``request_budget`` is suspended when the venue states a rate limit or a ban."""
    return _load(f"ccxt.async_support.{exchange_id}", exchange_id)


def load_streaming(exchange_id: str) -> Any:
    """Return the class of an exchange in ccxt.pro, which has websockets too; otherwise as
    ``load``."""
    return _load(f"ccxt.pro.{exchange_id}", exchange_id)


def streaming_ids() -> list[str]:
    """Return the names of the exchanges in ccxt.pro without loading them. Raises ImportError."""
    folder = f"{_folder()}/pro"
    return sorted(entry.name for entry in pkgutil.iter_modules([folder]) if not entry.ispkg)


async def call(
    venue_id: str,
    budget: RequestBudget | None,
    priority: Priority,
    function: Callable[[], Awaitable[AnswerT]],
    scope: Scope = Scope.MARKET_DATA,
) -> AnswerT:
    """Await one call to ccxt in its turn. Raises UnknownInstrument, RateLimited and
    VenueUnavailable for ccxt's errors and for answers that cannot be read."""
    async with turn(budget, priority, scope):
        before = _SCOPE.set(scope)
        try:
            return await _call(venue_id, budget, function)
        finally:
            _SCOPE.reset(before)


async def _call(
    venue_id: str, budget: RequestBudget | None, function: Callable[[], Awaitable[AnswerT]]
) -> AnswerT:
    # An exchange is often loaded within the call only, and this import must not load all others.
    _install_bare_packages()
    from ccxt.base import errors

    try:
        return await function()
    except errors.BadSymbol as error:
        raise UnknownInstrument(_text(error), venue=venue_id, symbol="") from error
    except (errors.RateLimitExceeded, errors.DDoSProtection) as error:
        raise RateLimited(
            _text(error),
            venue=venue_id,
            retry_after_ms=math.ceil(retry_after.suspension_s(budget, _SCOPE.get()) * 1000),
        ) from error
    except errors.BaseError as error:
        raise VenueUnavailable(
            f"{venue_id} gave no answer: {_text(error)}",
            venue=venue_id,
            detail=type(error).__name__,
        ) from error
    except VenuemeshError:
        raise
    except (ValueError, LookupError, TypeError) as error:
        # A parser raises these for an HTML page or a truncated body.
        raise VenueUnavailable(
            f"{venue_id} gave an answer that cannot be read", venue=venue_id, detail=repr(error)
        ) from error


def _text(error: Exception) -> str:
    """The text of an error of ccxt without the query of the address, which may be signed."""
    return QUERY.sub("", str(error))[:200]


class _RateLimitObserver:
    """A base class put before an exchange of ccxt; it sees status and headers of each answer."""

    request_budget: RequestBudget | None = None

    def on_rest_response(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        *rest: Any,
    ) -> str:
        retry_after.observe(self.request_budget, _SCOPE.get(), code, headers, body)
        answer: str = super().on_rest_response(  # type: ignore[misc]  # of the exchange
            code, reason, url, method, headers, body, *rest
        )
        return answer


def _load(module: str, exchange_id: str) -> Any:
    _install_bare_packages()
    loaded = getattr(importlib.import_module(module), exchange_id)
    return type(exchange_id, (_RateLimitObserver, loaded), {})


def _folder() -> str:
    """Where ccxt is installed. Raises ImportError."""
    if "ccxt" in sys.modules:
        return next(iter(sys.modules["ccxt"].__path__))
    spec = importlib.util.find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("ccxt is not installed")
    return spec.submodule_search_locations[0]


def _install_bare_packages() -> None:
    if "ccxt" in sys.modules:
        return
    folder = _folder()
    package = _bare("ccxt", folder)
    for name in ("async_support", "pro"):
        setattr(package, name, _bare(f"ccxt.{name}", f"{folder}/{name}"))
    errors = importlib.import_module("ccxt.base.errors")
    for name, value in vars(errors).items():
        if isinstance(value, type):
            setattr(package, name, value)
    base = importlib.import_module("ccxt.base.exchange")
    package.Exchange = base.Exchange  # type: ignore[attr-defined]


class _BarePackage(types.ModuleType):
    """A package of ccxt without its ``__init__``. As in the real package, the name of an exchange
    is its class and not its module; it is loaded on first use."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, getattr(value, name, value))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            importlib.import_module(f"{self.__name__}.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(name) from error
        return self.__dict__[name]


def _bare(name: str, folder: str) -> types.ModuleType:
    module = _BarePackage(name)
    module.__path__ = [folder]
    sys.modules[name] = module
    return module
