"""Finding venues: folders beside us, and packages installed from elsewhere.

A venue folder is ``venues/<exchange>`` with a ``catalog.py``; a package from elsewhere is laid out
in the same way, and names its catalog under the entry-point group ``venuemesh.venues``.
"""

import importlib
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType

from kit.errors import SettingError
from kit.venue.contract import VenueFactory

ENTRY_POINT_GROUP = "venuemesh.venues"


def venues() -> dict[str, VenueFactory]:
    """By venue id."""
    found: dict[str, VenueFactory] = {}
    for module in _catalogs():
        found.update(module.VENUES)
    return found


def require(venue_id: str) -> VenueFactory:
    """One of them. Raises SettingError."""
    known = venues()
    if venue_id not in known:
        raise SettingError("venue", venue_id, f"known are {', '.join(sorted(known))}")
    return known[venue_id]


def packages() -> list[str]:
    """Names of the packages that bring venues: each has a ``catalog``, and may have a
    ``simulator``."""
    folder = importlib.import_module("venues")
    found = [
        f"venues.{entry.name}" for entry in pkgutil.iter_modules(folder.__path__) if entry.ispkg
    ]
    elsewhere = entry_points(group=ENTRY_POINT_GROUP)
    return found + [entry.module.removesuffix(".catalog") for entry in elsewhere]


def _catalogs() -> list[ModuleType]:
    return [importlib.import_module(f"{package}.catalog") for package in packages()]
