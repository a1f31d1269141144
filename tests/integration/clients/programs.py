"""The commands of the READMEs, which prepare a client and run its examples."""

import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.integration.mesh import ROOT

CLIENTS = ROOT / "clients"
COMMAND = re.compile(r"^(?:go|node|npm|python3 -m venv|clients/python/\S+) .*$", re.MULTILINE)
COMMAND_SECONDS_MAX = 240


@dataclass(frozen=True, slots=True)
class Example:
    """A command that runs an example."""

    language: str
    name: str
    """book, trades, history or order."""
    command: str

    def __str__(self) -> str:
        return f"{self.language} {self.name}"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a program gets to know of a mesh."""

    gateway: str
    token: str


def languages() -> list[str]:
    """The folders of clients."""
    return sorted(readme.parent.name for readme in CLIENTS.glob("*/README.md"))


def commands(language: str) -> tuple[list[str], list[Example]]:
    """The commands of a README: those that prepare, and those that run an example."""
    preparing, examples = [], []
    for command in COMMAND.findall((CLIENTS / language / "README.md").read_text()):
        if "/examples/" not in command:
            preparing.append(command)
            continue
        name = Path(shlex.split(command)[-3]).stem
        examples.append(Example(language, name, command))
    return preparing, examples


def examples(*names: str) -> list[Example]:
    """The examples of all languages, or those with a name."""
    each = [example for language in languages() for example in commands(language)[1]]
    return [example for example in each if not names or example.name in names]


def prepare(language: str) -> None:
    """Run the commands that prepare a client. Skips the test where it cannot be had."""
    for command in commands(language)[0]:
        words = shlex.split(command)
        if shutil.which(words[0], path=f"{os.environ['PATH']}:{ROOT}") is None:
            pytest.skip(f"{words[0]} is not installed")
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0 and words[1] in ("ci", "install"):
            pytest.skip(f"packages cannot be downloaded: {done.stderr[-500:]}")
        assert done.returncode == 0, done.stdout + done.stderr


class Program:
    """A running example."""

    def __init__(self, example: Example, shown: Shown) -> None:
        words = shlex.split(example.command)
        if shutil.which(words[0]) is None and not (ROOT / words[0]).exists():
            pytest.skip(f"{words[0]} is not installed")
        self._process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment(VENUEMESH_GATEWAY=shown.gateway, VENUEMESH_TOKEN=shown.token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def line(self) -> str:
        """The next line that it prints. Raises AssertionError if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.result()
        return line.rstrip("\n")

    def line_like(self, pattern: str) -> str:
        """The next line that is like this."""
        while not re.fullmatch(pattern, line := self.line()):
            continue
        return line

    def result(self) -> tuple[int, list[str], str]:
        """Once it has ended: the exit code, the lines, and the errors."""
        printed, errors = self._process.communicate(timeout=COMMAND_SECONDS_MAX)
        return self._process.returncode, printed.splitlines(), errors

    def end(self) -> None:
        """Leave nothing running: `go run` has a child."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()


def environment(**more: str) -> dict[str, str]:
    """That of a shell in a clone: no module of the mesh is on the path."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more
