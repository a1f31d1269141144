"""Which venues there are, told by their folders."""

import importlib
import importlib.util
import pkgutil


def known_ports() -> dict[str, int]:
    """The usual port of every venue that a folder of ``venues`` has in its catalog, by venue id."""
    found: dict[str, int] = {}
    for folder in pkgutil.iter_modules(importlib.import_module("venues").__path__):
        name = f"venues.{folder.name}.catalog"
        if folder.ispkg and importlib.util.find_spec(name) is not None:
            catalog = importlib.import_module(name).VENUES
            found.update({venue_id: entry.port for venue_id, entry in catalog.items()})
    return found or {"binance": 5060}
