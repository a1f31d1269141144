"""``./venuemesh test``: the tests."""

import os
import subprocess
import sys
from collections.abc import Sequence

from ops.project import ROOT

PYTEST = (sys.executable, "-m", "pytest")
WHOLE_MESHES = "tests/integration"
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")
"""They wait more than they work."""


def run(arguments: Sequence[str]) -> int:
    """All tests: first the others, side by side, then those with whole meshes, which want the
    machine for themselves. With arguments it becomes pytest, so that it alone hears Ctrl-C and its
    exit code is ours."""
    os.chdir(ROOT)
    if arguments:
        os.execv(sys.executable, [*PYTEST, *arguments])
    others = subprocess.run([*PYTEST, *SIDE_BY_SIDE, "--ignore", WHOLE_MESHES], check=False)
    meshes = subprocess.run([*PYTEST, WHOLE_MESHES], check=False)
    return others.returncode or meshes.returncode
