"""One exchange of ccxt, without the hundred others.

``import ccxt`` loads every exchange: 0.8 s and 100 MB for each venue process. The packages' own
``__init__`` files are left out here, and only the modules of the wanted exchange are loaded: half
of both. The names that those modules take from the package are put there by hand.
"""

import importlib
import importlib.util
import math
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kit.errors import RateLimited, UnknownInstrument, VenuemeshError, VenueUnavailable
from kit.venue.budget import spending

UNSAID_RETRY_S = 10.0
"""To leave a venue alone that wants it and does not say for how long."""
RETRY_S_MAX = 24 * 3600.0
SLOW_DOWN, BANNED = 429, 418


def load(exchange_id: str) -> Any:
    """The class of an exchange in ccxt.async_support, for example "binance". When the venue says
    429 or 418, it closes the budget of the call."""
    if "ccxt" not in sys.modules:
        _install_bare_packages()
    module = importlib.import_module(f"ccxt.async_support.{exchange_id}")
    return type(exchange_id, (_Listening, getattr(module, exchange_id)), {})


async def call(venue_id: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Await one call to ccxt, with its errors as ours. It waits for its turn where the code that
    asks for it spends from a budget."""
    account = spending()
    if account is None:
        return await _call(venue_id, function, *arguments)
    async with account.budget.turn(account.priority):
        return await _call(venue_id, function, *arguments)


async def _call(venue_id: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    from ccxt.base import errors

    try:
        return await function(*arguments)
    except errors.BadSymbol as error:
        raise UnknownInstrument(str(error)[:200], venue=venue_id, symbol="") from error
    except (errors.RateLimitExceeded, errors.DDoSProtection) as error:
        raise RateLimited(
            str(error)[:200], venue=venue_id, retry_after_ms=math.ceil(_left_alone_s() * 1000)
        ) from error
    except errors.BaseError as error:
        raise VenueUnavailable(
            f"{venue_id} gave no answer: {str(error)[:200]}",
            venue=venue_id,
            detail=type(error).__name__,
        ) from error
    except VenuemeshError:
        raise
    except (ValueError, LookupError, TypeError) as error:
        # What an HTML page or a truncated body does to a parser.
        raise VenueUnavailable(
            f"{venue_id} gave an answer that cannot be read", venue=venue_id, detail=repr(error)
        ) from error


class _Listening:
    """Before an exchange of ccxt: hears the status and headers of each answer."""

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, headers: Mapping[str, str], *rest: Any
    ) -> str:
        account = spending()
        if code in (SLOW_DOWN, BANNED) and account is not None:
            account.budget.close(_retry_after_s(headers))
        answer: str = super().on_rest_response(  # type: ignore[misc]  # of the exchange
            code, reason, url, method, headers, *rest
        )
        return answer


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """In seconds; the header may also hold a date, or nonsense."""
    said = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    return min(float(said), RETRY_S_MAX) if said.isdecimal() else UNSAID_RETRY_S


def _left_alone_s() -> float:
    """How long to wait after a refusal, which may have come as an ordinary answer."""
    account = spending()
    if account is None:
        return UNSAID_RETRY_S
    if not account.budget.closed_s():
        account.budget.close(UNSAID_RETRY_S)
    return account.budget.closed_s()


def _install_bare_packages() -> None:
    spec = importlib.util.find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("ccxt is not installed")
    folder = spec.submodule_search_locations[0]
    package = _bare("ccxt", folder)
    _bare("ccxt.async_support", f"{folder}/async_support")
    errors = importlib.import_module("ccxt.base.errors")
    for name, value in vars(errors).items():
        if isinstance(value, type):
            setattr(package, name, value)
    base = importlib.import_module("ccxt.base.exchange")
    package.Exchange = base.Exchange  # type: ignore[attr-defined]


def _bare(name: str, folder: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module
    return module
