"""One exchange of ccxt, without the hundred others.

``import ccxt`` loads every exchange: 0.8 s and 100 MB for each venue process. The packages' own
``__init__`` files are left out here, and only the modules of the wanted exchange are loaded: half
of both. The names that those modules take from the package are put there by hand.
"""

import importlib
import importlib.util
import math
import pkgutil
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kit.base.errors import RateLimited, UnknownInstrument, VenuemeshError, VenueUnavailable
from kit.base.request_budget import spending
from kit.connector.rest import retry_after


def load(exchange_id: str) -> Any:
    """The class of an exchange in ccxt.async_support, for example "binance". When the venue says
    429 or 418, it closes the budget of the call."""
    _install_bare_packages()
    module = importlib.import_module(f"ccxt.async_support.{exchange_id}")
    return type(exchange_id, (_Listening, getattr(module, exchange_id)), {})


def load_streaming(exchange_id: str) -> Any:
    """The class of an exchange in ccxt.pro, which has websockets too; otherwise as ``load``."""
    _install_bare_packages()
    module = importlib.import_module(f"ccxt.pro.{exchange_id}")
    return type(exchange_id, (_Listening, getattr(module, exchange_id)), {})


def streaming_ids() -> list[str]:
    """The exchanges of ccxt.pro by name, without loading any of it. Raises ImportError."""
    folder = f"{_folder()}/pro"
    return sorted(entry.name for entry in pkgutil.iter_modules([folder]) if not entry.ispkg)


async def call(venue_id: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Await one call to ccxt, with its errors as ours. It waits for its turn where the code that
    asks for it spends from a budget."""
    account = spending()
    if account is None:
        return await _call(venue_id, function, *arguments)
    async with account.budget.turn(account.priority):
        return await _call(venue_id, function, *arguments)


async def _call(venue_id: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    # An exchange is often loaded within the call only, and this import must not load all others.
    _install_bare_packages()
    from ccxt.base import errors

    try:
        return await function(*arguments)
    except errors.BadSymbol as error:
        raise UnknownInstrument(str(error)[:200], venue=venue_id, symbol="") from error
    except (errors.RateLimitExceeded, errors.DDoSProtection) as error:
        raise RateLimited(
            str(error)[:200],
            venue=venue_id,
            retry_after_ms=math.ceil(retry_after.left_alone_s() * 1000),
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
        retry_after.heard(code, headers)
        answer: str = super().on_rest_response(  # type: ignore[misc]  # of the exchange
            code, reason, url, method, headers, *rest
        )
        return answer


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


class _Bare(types.ModuleType):
    """A package of ccxt without its ``__init__``. As in the real one, the name of an exchange is
    its class and not its module; it is loaded when first needed."""

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
    module = _Bare(name)
    module.__path__ = [folder]
    sys.modules[name] = module
    return module
