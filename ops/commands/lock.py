"""``./venuemesh lock``: pin the dependencies again, with hashes."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ops.arguments import OneLineErrorParser
from ops.errors import OperationsError
from ops.project import ROOT

LOCKS = ("requirements", "requirements-dev")
"""Each NAME.in becomes NAME.lock; the second is constrained by the first."""
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


def run(arguments: Sequence[str]) -> int:
    """Return 0 if all locks were written. Raises OperationsError with the message of uv."""
    parser = OneLineErrorParser("lock", "Pin the dependencies again, with hashes.")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions if allowed")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        uv = _install_uv(Path(name))
        for lock in LOCKS:
            compile_command = [str(uv), "pip", "compile", *OPTIONS]
            if chosen.upgrade:
                compile_command.append("--upgrade")
            _run([*compile_command, f"{lock}.in", "--output-file", f"{lock}.lock"])
            print(f"{lock}.lock is written")
    return 0


def _install_uv(folder: Path) -> Path:
    """Install uv in a temporary environment, because the project does not need it."""
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = str(folder / "bin" / "pip")
    _run([pip, "install", "--quiet", "--disable-pip-version-check", "uv"])
    return folder / "bin" / "uv"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OperationsError(f"{Path(command[0]).name} failed:\n{done.stderr.strip()}")
