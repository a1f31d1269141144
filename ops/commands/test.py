"""``./venuemesh test``: the tests."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ops.project import ROOT
from ops.studio import Studio

PYTEST = (sys.executable, "-m", "pytest")
WHOLE_MESHES = "tests/integration"
STYLE = "tests/tidy"
"""Played by ``./venuemesh check``."""
OTHERS = ("tests/conformance", "core", "venues", "kit", "gateway", "ops", "tests")
"""All others. What takes longest comes first, so that no worker is left with it at the end."""
SIDE_BY_SIDE = ("--dist", "loadfile", "--no-loadscope-reorder")
AT_ONCE, MESHES_AT_ONCE = 2, 3
"""Whole meshes wait more than they work; the others take what they leave of the processors."""
LOGS = ROOT / "data" / "logs"
CACHE = ROOT / ".pytest_cache"
TESTS_FAILED = 1
AGAIN_MAX = 3
"""More than so many at once do not fail by the weather."""


def run(arguments: Sequence[str]) -> int:
    """All tests: those with whole meshes beside the others. With arguments it becomes pytest, so
    that it alone hears Ctrl-C and its exit code is ours."""
    os.chdir(ROOT)
    # Hundreds of processes are started, each of which would have to compile everything anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if arguments:
        os.execv(sys.executable, [*PYTEST, *arguments])
    LOGS.mkdir(parents=True, exist_ok=True)
    others = _play("others", AT_ONCE, [*OTHERS, "--ignore", WHOLE_MESHES, "--ignore", STYLE])
    # Once and beforehand, or several meshes would build it at the same time.
    asyncio.run(Studio().build(LOGS / "studio.log", print))
    meshes = _play("meshes", MESHES_AT_ONCE, [WHOLE_MESHES])
    return _judge([_ended(others), _ended(meshes)])


class _Playing(NamedTuple):
    """Tests that are being played."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path


class _Played(NamedTuple):
    """How they have ended."""

    code: int
    failed: list[str]
    """Names of tests."""


def _play(name: str, at_once: int, chosen: Sequence[str]) -> _Playing:
    output = LOGS / f"tests-{name}.log"
    (CACHE / name / "v" / "cache" / "lastfailed").unlink(missing_ok=True)
    workers = ("-n", str(at_once), "-o", f"cache_dir={CACHE / name}")
    with output.open("wb") as log:
        command = [*PYTEST, *workers, *SIDE_BY_SIDE, *chosen]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    print(f"playing {name}, see {output.relative_to(ROOT)}", flush=True)
    return _Playing(name, process, output)


def _ended(playing: _Playing) -> _Played:
    code = playing.process.wait()
    print(f"\n{playing.name}:\n{playing.output.read_text(errors='replace')}", flush=True)
    try:
        failed = json.loads((CACHE / playing.name / "v" / "cache" / "lastfailed").read_text())
    except OSError:
        failed = []
    return _Played(code, sorted(failed))


def _judge(played: Sequence[_Played]) -> int:
    """Whole meshes on a busy machine fail now and then for want of time. So what has failed is
    played once more, alone; what passes then is named, and is to be mended."""
    failed = [name for one in played for name in one.failed]
    # That of a process which was killed is negative.
    code = max(abs(one.code) for one in played)
    if code != TESTS_FAILED or not 0 < len(failed) <= AGAIN_MAX:
        return code
    print("once more, alone: " + " ".join(failed), flush=True)
    code = subprocess.run([*PYTEST, *failed], check=False).returncode
    if code == 0:
        print("UNSTEADY, passed the second time: " + " ".join(failed), flush=True)
    return code
