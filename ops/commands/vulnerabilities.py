"""``./venuemesh vulnerabilities``: compare the pinned packages with the known vulnerabilities."""

import argparse
import json
from typing import Any

from ops.errors import EXIT_FAILED, OperationsError
from ops.output import print_json
from ops.project import ROOT
from ops.temporary_tools import installed, output

PACKAGE = "pip-audit==2.10.1"
LOCK = "requirements.lock"
EXIT_FOUND = 1
"""Of both programs, also when they cannot work; then there is no report."""

Found = dict[str, list[str]]
"""Ids or titles of the vulnerabilities of each package."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--skip-npm", action="store_true", help="Python only, without Studio")


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if no package has a known vulnerability, 1 if one has. Raises OperationsError if
    that cannot be found out, for example without a network."""
    found = python_packages() | ({} if chosen.skip_npm else npm_packages())
    if chosen.json:
        print_json({"vulnerable": found})
    else:
        lines = [f"{package}: {', '.join(ids)}" for package, ids in sorted(found.items())]
        print("\n".join(lines) or "no known vulnerability")
    return EXIT_FAILED if found else 0


def python_packages() -> Found:
    """Ask for the packages of the lock, with the embedded servers."""
    options = ["--format", "json", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    with installed(PACKAGE) as programs:
        program = str(programs / "pip-audit")
        text = _report([program, *options, "--requirement", LOCK], "")
    packages = _read(text, "pip-audit")["dependencies"]
    return {
        f"{found['name']} {found['version']}": [known["id"] for known in found["vulns"]]
        for found in packages
        if found.get("vulns")
    }


def npm_packages() -> Found:
    """Ask for the packages of Studio."""
    report = _read(
        _report(["npm", "audit", "--json", "--package-lock-only"], "studio"), "npm audit"
    )
    if "vulnerabilities" not in report:
        raise OperationsError(f"npm audit failed: {report.get('message', report)}")
    return {
        f"{name} {found['range']}": [
            via["title"] if isinstance(via, dict) else via for via in found["via"]
        ]
        for name, found in report["vulnerabilities"].items()
    }


def _report(command: list[str], folder: str) -> str:
    return output(command, ROOT / folder, exit_codes=(0, EXIT_FOUND))


def _read(text: str, program: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise OperationsError(
            f"{program} has no answer: it needs the network, to ask the registry"
        ) from None
