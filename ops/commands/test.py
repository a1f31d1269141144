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
WHOLE_MESHES = "tests/integration"
STYLE = "tests/tidy"
"""Run by ``./venuemesh check``."""
LONGEST = (
    *("tests/conformance", "tests/simulation", "core/inspector/tests/test_crashes.py"),
    *("ops/tests/test_up.py", "ops/tests/test_supply_chain.py"),
)
OTHERS = (*LONGEST, "core", "venues", "kit", "gateway", "ops", "tests")
"""All other tests, the longest first, so that no worker is left with them at the end."""
HALVES = (("core", "gateway", "ops"), ("kit", "venues", "tests"))
"""Folders that take the same time to collect."""
SIDE_BY_SIDE = ("--dist", "loadfile", "--no-loadscope-reorder")
AT_ONCE, MESHES_AT_ONCE = 6, 3
"""Processes at once. Tests wait more than they work; whole meshes work more than others."""
STUDIO_LOG = ROOT / "data" / "logs" / "studio.log"
LOG_SHOWN_MAX = 20_000
"""Characters of it."""
CACHE = ROOT / ".pytest_cache"
TESTS_FAILED = 1
AGAIN_MAX = 3
"""If more tests than this fail, none is played again."""
UNSTEADY = ROOT / "tests" / "unsteady.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*", help="of pytest")


def run(chosen: argparse.Namespace) -> int:
    """Run all tests, those with whole meshes last. With arguments the process becomes pytest, so
    that pytest receives Ctrl-C and its exit code is returned."""
    os.chdir(ROOT)
    # Hundreds of processes are started; without bytecode each would compile everything again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if chosen.arguments:
        os.execv(sys.executable, [*PYTEST, *chosen.arguments])
    with ThreadPoolExecutor(len(HALVES)) as beside:
        list(beside.map(_rewrite_asserts, HALVES))
        studio = beside.submit(lambda: asyncio.run(_build_and_check_studio()))
        others = _play("others", AT_ONCE, [*OTHERS, "--ignore", WHOLE_MESHES, "--ignore", STYLE])
    meshes = _play("meshes", MESHES_AT_ONCE, [WHOLE_MESHES])
    code = _judge([others, meshes])
    if not studio.result():
        print(
            f"the checks of Studio failed:\n{STUDIO_LOG.read_text()[-LOG_SHOWN_MAX:]}", flush=True
        )
        return code or TESTS_FAILED
    return code


async def _build_and_check_studio() -> bool:
    """Build Studio once, before several meshes would build it at the same time, then check it.
    Returns whether the checks passed."""
    STUDIO_LOG.parent.mkdir(parents=True, exist_ok=True)
    await StudioBuild().build(STUDIO_LOG, print)
    return await StudioBuild().check(STUDIO_LOG, print)


def _rewrite_asserts(folders: Sequence[str]) -> None:
    """Fill pytest's cache of test files with rewritten asserts. Otherwise each worker of the first
    run would rewrite all of them."""
    command = [*PYTEST, "--collect-only", "-p", "no:cacheprovider", *folders]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


class _Played(NamedTuple):
    """The outcome of one pytest run."""

    code: int
    failed: list[str]
    """Names of tests."""


def _play(name: str, at_once: int, chosen: Sequence[str]) -> _Played:
    last_failed = CACHE / name / "v" / "cache" / "lastfailed"
    last_failed.unlink(missing_ok=True)
    options = ("-n", str(at_once), "-o", f"cache_dir={CACHE / name}")
    code = subprocess.run([*PYTEST, *options, *SIDE_BY_SIDE, *chosen], check=False).returncode
    try:
        return _Played(code, sorted(json.loads(last_failed.read_text())))
    except OSError:
        return _Played(code, [])


def _judge(played: Sequence[_Played]) -> int:
    """The exit code of the run.

    A few failed tests are played once more, alone, to tell an unsteady test from a broken one. The
    run has failed in either case, unless tests/unsteady.toml names each test that passed then.
    """
    failed = [name for one in played for name in one.failed]
    # The code of a process that was killed is negative.
    code = max(abs(one.code) for one in played)
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
