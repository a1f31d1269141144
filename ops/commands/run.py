"""``./venuemesh run SERVICE``: one service in the foreground, as a container runs it."""

import argparse
import importlib

from kit.base.suggestions import did_you_mean
from ops.completion import complete_with
from ops.errors import OperationsError
from ops.service_modules import services


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
