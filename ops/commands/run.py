"""``./venuemesh run SERVICE``: one service in the foreground, as a container runs it."""

import argparse
import importlib
import importlib.util
import pkgutil

from kit.base.suggestions import did_you_mean
from ops.completion import complete_with
from ops.errors import OperationsError

OUTSIDE_CORE = {"registry": "gateway.app", "simulator": "kit.simulator.app"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    service = parser.add_argument("service", metavar="SERVICE", help=", ".join(services()))
    complete_with(service, services)


def run(chosen: argparse.Namespace) -> int:
    """Returns the exit code of the service."""
    name, known = chosen.service, services()
    if name not in known:
        text = f"no service {name!r}; known are {', '.join(sorted(known))}"
        raise OperationsError(text + did_you_mean(name, known))
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
