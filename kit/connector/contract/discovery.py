"""Finding venues: folders beside us, and packages installed from elsewhere.

A venue folder is ``venues/<exchange>`` with a ``catalog.py``; a package from elsewhere is laid out
in the same way, and names its catalog under the entry-point group ``venuemesh.venues``.

A catalog may have a family of venues besides those that it lists: they are found by name only, as
"ccxt:gate", whose venue id is "ccxt_gate". It has a function ``named`` for the part after the
colon.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from importlib.metadata import entry_points
from types import ModuleType

from kit.base.errors import SettingError
from kit.base.suggestions import did_you_mean
from kit.connector.contract.venue import VenueFactory

ENTRY_POINT_GROUP = "venuemesh.venues"
FAMILY_MARK = ":"


def venues(among: Iterable[str] | None = None) -> dict[str, VenueFactory]:
    """The venues of these packages, by default of all."""
    found: dict[str, VenueFactory] = {}
    for module in _catalogs(among):
        found.update(module.VENUES)
    return found


def venue_id(name: str) -> str:
    """What a venue is called in keys, routes, file names and settings: without a colon."""
    return name.replace(FAMILY_MARK, "_", 1)


def require(name: str) -> VenueFactory:
    """One of them, or one of a family. Raises SettingError."""
    known = venues()
    wanted = venue_id(name)
    if wanted in known:
        return known[wanted]
    for module in _catalogs():
        family = module.__name__.removesuffix(".catalog").rpartition(".")[2]
        if hasattr(module, "named") and wanted.startswith(f"{family}_"):
            found: VenueFactory = module.named(wanted.removeprefix(f"{family}_"))
            return found
    allowed = f"known are {', '.join(sorted(known))}{did_you_mean(name, known)}"
    raise SettingError("venue", name, allowed)


def packages() -> list[str]:
    """Names of the packages that bring venues: each has a ``catalog``, and may have a
    ``simulator``."""
    folder = importlib.import_module("venues")
    found = [
        f"venues.{entry.name}" for entry in pkgutil.iter_modules(folder.__path__) if entry.ispkg
    ]
    elsewhere = entry_points(group=ENTRY_POINT_GROUP)
    return found + [entry.module.removesuffix(".catalog") for entry in elsewhere]


def _catalogs(among: Iterable[str] | None = None) -> list[ModuleType]:
    chosen = packages() if among is None else among
    return [importlib.import_module(f"{package}.catalog") for package in chosen]
