"""Which venues there are, and on which ports they are served."""

from kit.venue import discovery
from kit.venue.contract import Place

LIVE = "live"
NO_SIMULATOR = ""


def known_ports() -> dict[str, int]:
    """The usual port of every venue, by venue id, as the venues' own catalogs say."""
    factories = discovery.venues()
    return {venue_id: make(Place(LIVE, NO_SIMULATOR)).port for venue_id, make in factories.items()}
