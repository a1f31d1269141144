"""One exchange of ccxt, without the hundred others.

``import ccxt`` loads every exchange: 0.8 s and 100 MB for each venue process. The packages' own
``__init__`` files are left out here, and only the modules of the wanted exchange are loaded: half
of both. The names that those modules take from the package are put there by hand.
"""

import importlib
import importlib.util
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

from kit.errors import RateLimited, UnknownInstrument, VenuemeshError, VenueUnavailable

RETRY_AFTER_MS = 60_000


def load(exchange_id: str) -> Any:
    """The class of an exchange in ccxt.async_support, for example "binance"."""
    if "ccxt" not in sys.modules:
        _install_bare_packages()
    module = importlib.import_module(f"ccxt.async_support.{exchange_id}")
    return getattr(module, exchange_id)


async def call(venue_id: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Await one call to ccxt, with its errors as ours."""
    from ccxt.base import errors

    try:
        return await function(*arguments)
    except errors.BadSymbol as error:
        raise UnknownInstrument(str(error)[:200], venue=venue_id, symbol="") from error
    except (errors.RateLimitExceeded, errors.DDoSProtection) as error:
        raise RateLimited(
            str(error)[:200], venue=venue_id, retry_after_ms=RETRY_AFTER_MS
        ) from error
    except errors.BaseError as error:
        raise VenueUnavailable(
            f"{venue_id} gave no answer: {str(error)[:200]}",
            venue=venue_id,
            detail=type(error).__name__,
        ) from error
    except VenuemeshError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        # What an HTML page or a truncated body does to a parser.
        raise VenueUnavailable(
            f"{venue_id} gave an answer that cannot be read", venue=venue_id, detail=repr(error)
        ) from error


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
