"""Programs of packages that the project does not need: installed for one command, then removed."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ops.errors import OperationsError
from ops.project import ROOT


@contextmanager
def installed(package: str) -> Iterator[Path]:
    """The folder with the programs of a package, in an environment of its own.

    Raises OperationsError if it cannot be installed, for example without a network.
    """
    with tempfile.TemporaryDirectory() as name:
        output([sys.executable, "-m", "venv", name])
        pip = str(Path(name, "bin", "pip"))
        try:
            output([pip, "install", "--quiet", "--disable-pip-version-check", package])
        except OperationsError as error:
            reason = str(error).splitlines()[-1]
            text = f"{package} cannot be installed, which needs a package registry: {reason}"
            raise OperationsError(text) from None
        yield Path(name, "bin")


def output(command: Sequence[str], folder: Path = ROOT, exit_codes: Sequence[int] = (0,)) -> str:
    """What a program writes to standard output. Raises OperationsError for other exit codes, with
    the last lines of standard error."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise OperationsError(f"{command[0]} is missing: install it") from None
    if done.returncode not in exit_codes:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-10:]
        program = " ".join([Path(command[0]).name, *command[1:3]])
        raise OperationsError("\n".join([f"{program} failed:", *words]))
    return done.stdout
