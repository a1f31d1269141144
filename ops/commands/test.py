"""``./venuemesh test``: the tests."""

import os
import sys
from collections.abc import Sequence

from ops.project import ROOT

SIDE_BY_SIDE = ("-n", "3", "--dist", "loadgroup", "--no-loadscope-reorder")
"""Three processes: one plays whole meshes, which wait a lot, while the others do the rest. The
groups are made in conftest.py."""


def run(arguments: Sequence[str]) -> int:
    """Becomes pytest, so that it alone hears Ctrl-C and its exit code is ours."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(arguments or SIDE_BY_SIDE)])
