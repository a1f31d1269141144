"""``./venuemesh config``: check a file of settings, and print an example."""

import argparse
import os
from pathlib import Path

from kit.base import settings
from kit.base.errors import SettingError
from kit.base.settings import SETTINGS_FILE
from ops import configuration
from ops.arguments import add_verbs
from ops.errors import EXIT_FAILED, OperationsError
from ops.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    check = verbs.add_parser("check", help="find what is wrong in a file and in the environment")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help=SETTINGS_FILE)
    verbs.add_parser("example", help="print every setting with its default and its meaning")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if something is wrong."""
    if chosen.verb == "example":
        text = configuration.example()
        if chosen.json:
            print_json({"example": text})
        else:
            print(text, end="")
        return 0
    return _check(chosen)


def _check(chosen: argparse.Namespace) -> int:
    if chosen.file is not None and not chosen.file.is_file():
        raise OperationsError(f"no file {chosen.file}")
    file = chosen.file or Path(SETTINGS_FILE)
    try:
        content = settings.read_file(file)
        found = list(configuration.problems(content, os.environ))
    except SettingError as unreadable:
        found = [unreadable]
    if chosen.json:
        problems = [_json(error) for error in found]
        print_json({"file": str(file), "problems": problems})
    else:
        for error in found:
            print(f"{file}: {error}")
        if not found:
            print(f"{file}: nothing is wrong" if file.exists() else f"no {file}: defaults are used")
    return EXIT_FAILED if found else 0


def _json(error: SettingError) -> dict[str, str]:
    return {"key": error.key, "value": str(error.value), "allowed": error.allowed}
