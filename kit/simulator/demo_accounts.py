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
        if importlib.util.find_spec(f"{name}.authentication") is None:
            return None
        authentication = importlib.import_module(f"{name}.authentication")
        found: Mapping[str, str] = authentication.credentials(key)
        return found
    return None
