"""The steps of ``./venuemesh check``."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import copy, copytree, which

from ops.project import CODE, ROOT, tool

MAIN = "main"


@dataclass(frozen=True, slots=True)
class CheckOutcome:
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


PASSED = CheckOutcome("passed")


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step of the check."""

    name: str
    run: Callable[[], CheckOutcome]


def command(*arguments: str) -> Callable[[], CheckOutcome]:
    """A step that passes if the command ends with 0."""

    def run() -> CheckOutcome:
        done = subprocess.run(
            arguments,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return PASSED if done.returncode == 0 else CheckOutcome("failed", output=done.stdout)

    return run


def contracts_break() -> CheckOutcome:
    """Compare the contracts with those on main by ``buf breaking``."""
    if which("git") is None:
        return CheckOutcome("skipped", "git is not installed")
    archive = subprocess.run(
        ["git", "archive", MAIN, "proto/venuemesh"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode != 0:
        return CheckOutcome("skipped", f"there is no branch {MAIN} to compare with")
    with tempfile.TemporaryDirectory() as name:
        before = Path(name)
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
            files.extractall(before, filter="data")
        # Not compared: the configuration, and the contracts of others.
        copy(ROOT / "buf.yaml", before)
        for others in ("buf", "google"):
            copytree(ROOT / "proto" / others, before / "proto" / others)
        return command(tool("buf"), "breaking", "--against", name)()


def python(module: str, *arguments: str) -> Sequence[str]:
    """The command of a Python module."""
    return (sys.executable, "-m", module, *arguments)


STEPS = (
    CheckStep("format", command(tool("ruff"), "format", "--check", ".")),
    CheckStep("lint", command(tool("ruff"), "check", ".")),
    CheckStep("types", command(*python("mypy", "--no-error-summary", *CODE))),
    CheckStep("imports", command(tool("lint-imports"), "--no-cache")),
    CheckStep("proto format", command(tool("buf"), "format", "-d", "--exit-code", "proto")),
    CheckStep("proto lint", command(tool("buf"), "lint")),
    CheckStep("proto breaking", contracts_break),
    CheckStep("tidy", command(*python("pytest", "tests/tidy"))),
)
