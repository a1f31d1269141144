"""``./venuemesh run SERVICE``: one service in the foreground, as a container runs it."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence

from ops.arguments import OneLineErrorParser
from ops.errors import OperationsError

OUTSIDE_CORE = {"registry": "gateway.app", "simulator": "kit.simulator.app"}


def run(arguments: Sequence[str]) -> int:
    """Returns the exit code of the service."""
    parser = OneLineErrorParser("run", "Run one service in the foreground.")
    parser.add_argument("service", metavar="SERVICE", help=", ".join(services()))
    name = parser.parse_args(arguments).service
    known = services()
    if name not in known:
        raise OperationsError(f"no service {name!r}; known are {', '.join(sorted(known))}")
    return int(importlib.import_module(known[name]).main())


def services() -> dict[str, str]:
    """The modules of all services, by name."""
    core = importlib.import_module("core").__path__
    found = {
        folder.name: f"core.{folder.name}.app"
        for folder in pkgutil.iter_modules(core)
        if folder.ispkg and importlib.util.find_spec(f"core.{folder.name}.app") is not None
    }
    return found | OUTSIDE_CORE
