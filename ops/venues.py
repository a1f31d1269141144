"""The known venues and their default ports."""

import argparse
from collections.abc import Iterable
from contextlib import suppress

from kit.base.errors import SettingError
from kit.base.suggestions import did_you_mean
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from ops.completion import complete_with
from ops.errors import OperationsError

LIVE = "live"
NO_SIMULATOR = ""


def unknown_venue(name: str, known: Iterable[str], which: str = "known are") -> OperationsError:
    """The error for a venue that is not among the known ones."""
    names = sorted(known)
    text = f"no venue {name!r}; {which} {', '.join(names)}{did_you_mean(name, names)}"
    return OperationsError(text, reason="UNKNOWN_VENUE")


def complete(action: argparse.Action) -> None:
    """Complete an argument with the ids of venues."""
    complete_with(action, discovery.venues)


def require(name: str) -> None:
    """Raise OperationsError for a venue that no catalog lists."""
    known = discovery.venues()
    if name not in known:
        raise unknown_venue(name, known)


def known_ports(names: Iterable[str] = ()) -> dict[str, int]:
    """The default port of every venue, by venue id, from the venues' catalogs. ``names`` may add
    venues that no catalog lists, such as "ccxt:gate"."""
    factories = discovery.venues()
    for name in names:
        # An unknown name is rejected by the command that uses it.
        with suppress(SettingError):
            factories.setdefault(discovery.venue_id(name), discovery.require(name))
    return {
        venue_id: make(Environment(LIVE, NO_SIMULATOR)).port for venue_id, make in factories.items()
    }
