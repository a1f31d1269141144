"""The demo accounts of the simulated exchange."""

import importlib
import importlib.util
from collections.abc import Mapping

from kit.connector.contract import discovery
from kit.simulator.matching.contract import KEYS


def credentials(venue_id: str, account: str) -> Mapping[str, str] | None:
    """The credentials of a simulated account, by ccxt's names; None: the venue takes no orders,
    or has no such account."""
    key = next((key for key in KEYS if key.account == account and not key.may_withdraw), None)
    for package in discovery.packages():
        name = f"{package}.simulator"
        if key is None or importlib.util.find_spec(name) is None:
            continue
        if venue_id not in importlib.import_module(name).DIALECTS:
            continue
        for module in (f"{name}.authentication", f"{name}.private.keys"):
            if _exists(module):
                found: Mapping[str, str] = importlib.import_module(module).credentials(key)
                return found
    return None


def _exists(module: str) -> bool:
    package = module.rpartition(".")[0]
    return (
        importlib.util.find_spec(package) is not None
        and importlib.util.find_spec(module) is not None
    )
