"""``./venuemesh test``: the tests."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ops.project import ROOT
from ops.studio_build import StudioBuild

PYTEST = (sys.executable, "-m", "pytest")
STYLE = "tests/tidy"
"""Run by ``./venuemesh check``."""
LONGEST = (
    *("tests/conformance", "tests/simulation", "core/inspector/tests/test_crashes.py"),
    *("ops/tests/test_up.py", "ops/tests/test_supply_chain.py"),
)
FOLDERS = ("core", "venues", "kit", "gateway", "ops", "tests")
HALVES = (("core", "gateway", "ops"), ("kit", "venues", "tests"))
"""Folders that take the same time to collect."""
CHOSEN = (*LONGEST, *FOLDERS, "--ignore", STYLE)
"""The longest first, so that no worker is left with them at the end. Tests of whole meshes are
spread among the others by tests/integration/conftest.py."""
AT_ONCE = 6
"""Processes at once. Tests wait more than they work; whole meshes work more than others."""
SIDE_BY_SIDE = ("-n", str(AT_ONCE), "--dist", "loadfile", "--no-loadscope-reorder")
STUDIO_LOG = ROOT / "data" / "logs" / "studio.log"
LOG_SHOWN_MAX = 20_000
"""Characters of it."""
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
TESTS_FAILED = 1
AGAIN_MAX = 3
"""If more tests than this fail, none is played again."""
UNSTEADY = ROOT / "tests" / "unsteady.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*", help="of pytest")


def run(chosen: argparse.Namespace) -> int:
    """Run all tests. With arguments the process becomes pytest, so that pytest receives Ctrl-C and
    its exit code is returned."""
    os.chdir(ROOT)
    # Hundreds of processes are started; without bytecode each would compile everything again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if chosen.arguments:
        os.execv(sys.executable, [*PYTEST, *chosen.arguments])
    STUDIO_LOG.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1 + len(HALVES)) as beside:
        # Once, before several meshes would build it at the same time.
        built = beside.submit(lambda: asyncio.run(StudioBuild().build(STUDIO_LOG, print)))
        list(beside.map(_rewrite_asserts, HALVES))
        built.result()
        checked = beside.submit(lambda: asyncio.run(StudioBuild().check(STUDIO_LOG, print)))
        code = _judge(_play())
        if checked.result():
            return code
    print(f"the checks of Studio failed:\n{STUDIO_LOG.read_text()[-LOG_SHOWN_MAX:]}", flush=True)
    return code or TESTS_FAILED


def _rewrite_asserts(folders: Sequence[str]) -> None:
    """Fill pytest's cache of test files with rewritten asserts. Otherwise each worker of the first
    run would rewrite all of them."""
    command = [*PYTEST, "--collect-only", "-p", "no:cacheprovider", *folders]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


class _Played(NamedTuple):
    """The outcome of a pytest run."""

    code: int
    failed: list[str]
    """Names of tests."""


def _play() -> _Played:
    LAST_FAILED.unlink(missing_ok=True)
    code = subprocess.run([*PYTEST, *SIDE_BY_SIDE, *CHOSEN], check=False).returncode
    try:
        return _Played(code, sorted(json.loads(LAST_FAILED.read_text())))
    except OSError:
        return _Played(code, [])


def _judge(played: _Played) -> int:
    """The exit code of the run.

    A few failed tests are played once more, alone, to tell an unsteady test from a broken one. The
    run has failed in either case, unless tests/unsteady.toml names each test that passed then.
    """
    # The code of a process that was killed is negative.
    code, failed = abs(played.code), played.failed
    if code != TESTS_FAILED or not 0 < len(failed) <= AGAIN_MAX:
        return code
    print("played once more, alone: " + " ".join(failed), flush=True)
    again = subprocess.run([*PYTEST, *failed], check=False).returncode
    if again != 0:
        return again
    known = _known_unsteady()
    unknown = [name for name in failed if name not in known]
    for name in failed:
        reason = known.get(name, "not in tests/unsteady.toml: the run has failed")
        print(f"UNSTEADY, passed the second time: {name} ({reason})", flush=True)
    return TESTS_FAILED if unknown else 0


def _known_unsteady() -> dict[str, str]:
    """Names of tests, each with the reason why it may fail on a busy machine."""
    found: dict[str, str] = tomllib.loads(UNSTEADY.read_text())["unsteady"]
    return found
