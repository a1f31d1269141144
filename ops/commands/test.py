"""``./venuemesh test``: the tests."""

import os
import sys
from collections.abc import Sequence

from ops.project import ROOT


def run(arguments: Sequence[str]) -> int:
    """Becomes pytest, so that it alone hears Ctrl-C and its exit code is ours."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
