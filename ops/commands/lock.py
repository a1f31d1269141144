"""``./venuemesh lock``: pin the dependencies again, with hashes."""

import argparse

from ops.output import print_json
from ops.project import IMAGES
from ops.temporary_tools import installed, output

PACKAGE = "uv"
LOCKS = ("requirements", "requirements-dev", *(f"requirements/{image}" for image in IMAGES))
"""Each NAME.in becomes NAME.lock; the first constrains all others."""
OPTIONS = (
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    # A lock names packages, not the registry they come from.
    "--no-emit-index-url",
    "--no-emit-find-links",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upgrade", action="store_true", help="take newer versions if allowed")


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if all locks were written. Raises OperationsError with what uv or pip says."""
    with installed(PACKAGE) as programs:
        for lock in LOCKS:
            compile_command = [str(programs / "uv"), "pip", "compile", *OPTIONS]
            if chosen.upgrade:
                compile_command.append("--upgrade")
            output([*compile_command, f"{lock}.in", "--output-file", f"{lock}.lock"])
            if chosen.json:
                print_json({"written": f"{lock}.lock"})
            else:
                print(f"{lock}.lock is written")
    return 0
