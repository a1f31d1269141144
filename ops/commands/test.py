"""``./venuemesh test``: the tests."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from ops.project import ROOT

PYTEST = (sys.executable, "-m", "pytest")
WHOLE_MESHES = "tests/integration"
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")
"""They wait more than they work."""
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
TESTS_FAILED = 1
AGAIN_MAX = 3
"""More than so many at once do not fail by the weather."""


def run(arguments: Sequence[str]) -> int:
    """All tests: first the others, side by side, then those with whole meshes, which want the
    machine for themselves. With arguments it becomes pytest, so that it alone hears Ctrl-C and its
    exit code is ours."""
    os.chdir(ROOT)
    if arguments:
        os.execv(sys.executable, [*PYTEST, *arguments])
    others = _play(["--ignore", WHOLE_MESHES], SIDE_BY_SIDE)
    meshes = _play([WHOLE_MESHES])
    return others or meshes


def _play(chosen: Sequence[str], how: Sequence[str] = ()) -> int:
    """Whole meshes on a busy machine fail now and then for want of time. So what has failed is
    played once more, alone; what passes then is named, and is to be mended."""
    LAST_FAILED.unlink(missing_ok=True)
    code = subprocess.run([*PYTEST, *how, *chosen], check=False).returncode
    failed = _failed()
    if code != TESTS_FAILED or not 0 < len(failed) <= AGAIN_MAX:
        return code
    print("\nonce more, alone: " + " ".join(failed), flush=True)
    code = subprocess.run([*PYTEST, *failed], check=False).returncode
    if code == 0:
        print("UNSTEADY, passed the second time: " + " ".join(failed), flush=True)
    return code


def _failed() -> list[str]:
    """Names of the tests that failed in the last run, as pytest keeps them."""
    try:
        return sorted(json.loads(LAST_FAILED.read_text()))
    except OSError:
        return []
