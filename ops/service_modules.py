"""The modules of the services that ``./venuemesh run`` starts."""

import importlib
import importlib.util
import pkgutil

OUTSIDE_CORE = {
    "registry": "gateway.app",
    "mcp": "gateway.mcp.app",
    "push": "gateway.push.app",
    "simulator": "kit.simulator.app",
}
VENUE_APP = "kit.connector.process.app"
"""Of every venue."""


def services() -> dict[str, str]:
    """The modules of all services, by name."""
    core = importlib.import_module("core").__path__
    found = {
        folder.name: f"core.{folder.name}.app"
        for folder in pkgutil.iter_modules(core)
        if folder.ispkg and importlib.util.find_spec(f"core.{folder.name}.app") is not None
    }
    return found | OUTSIDE_CORE
