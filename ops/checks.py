"""The steps of ``./venuemesh check``."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import copytree, which

from ops.project import CODE, ROOT, tool

MAIN = "main"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a step."""

    word: str
    """passed, failed or skipped."""
    text: str = ""
    """Why it was skipped."""
    output: str = ""
    """The output of a failed step."""

    @property
    def failed(self) -> bool:
        """Whether the whole check has failed."""
        return self.word == "failed"


PASSED = Outcome("passed")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the check."""

    name: str
    run: Callable[[], Outcome]


def command(*arguments: str) -> Callable[[], Outcome]:
    """A step that passes if the command ends with 0."""

    def run() -> Outcome:
        done = subprocess.run(
            arguments,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return PASSED if done.returncode == 0 else Outcome("failed", output=done.stdout)

    return run


def contracts_break() -> Outcome:
    """Compare the contracts with those on main by ``buf breaking``."""
    if which("git") is None:
        return Outcome("skipped", "git is not installed")
    archive = subprocess.run(
        ["git", "archive", MAIN, "proto", "buf.yaml"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode != 0:
        return Outcome("skipped", f"there is no branch {MAIN} to compare with")
    with tempfile.TemporaryDirectory() as name:
        before = Path(name)
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
            files.extractall(before, filter="data")
        # Generated files are not on the branch.
        copytree(ROOT / "gen" / "third_party", before / "gen" / "third_party")
        return command(tool("buf"), "breaking", "--against", name)()


def python(module: str, *arguments: str) -> Sequence[str]:
    """The command of a Python module."""
    return (sys.executable, "-m", module, *arguments)


STEPS = (
    Step("format", command(tool("ruff"), "format", "--check", ".")),
    Step("lint", command(tool("ruff"), "check", ".")),
    Step("types", command(*python("mypy", "--no-error-summary", *CODE))),
    Step("imports", command(tool("lint-imports"), "--no-cache")),
    Step("proto format", command(tool("buf"), "format", "-d", "--exit-code", "proto")),
    Step("proto lint", command(tool("buf"), "lint")),
    Step("proto breaking", contracts_break),
    Step("tidy", command(*python("pytest", "tests/tidy"))),
)
