"""Which venues there are, and on which ports they are served."""

from collections.abc import Iterable
from contextlib import suppress

from kit.base.errors import SettingError
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment

LIVE = "live"
NO_SIMULATOR = ""


def known_ports(names: Iterable[str] = ()) -> dict[str, int]:
    """The usual port of every venue, by venue id, as the venues' own catalogs say; and of those
    among these names that are listed nowhere, such as "ccxt:gate"."""
    factories = discovery.venues()
    for name in names:
        # What is unknown altogether is refused by whoever was asked for it.
        with suppress(SettingError):
            factories.setdefault(discovery.venue_id(name), discovery.require(name))
    return {
        venue_id: make(Environment(LIVE, NO_SIMULATOR)).port for venue_id, make in factories.items()
    }
