"""The known venues and their default ports."""

from collections.abc import Iterable
from contextlib import suppress

from kit.base.errors import SettingError
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment

LIVE = "live"
NO_SIMULATOR = ""


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
