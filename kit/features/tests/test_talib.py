"""The indicators over a million bars against TA-Lib, which is no dependency of the product.

VENUEMESH_TALIB_PYTHON names a Python that has it: an environment of its own.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("VENUEMESH_TALIB_PYTHON", "")
BARS = 1_000_000


@pytest.mark.skipif(not PYTHON, reason="VENUEMESH_TALIB_PYTHON names no Python with TA-Lib")
@pytest.mark.timeout(600)
def test_indicators_agree_with_talib():
    script = ROOT / "kit" / "features" / "tests" / "talib_agreement.py"
    environment = {"PYTHONPATH": str(ROOT)}
    arguments = [PYTHON, str(script), str(BARS)]
    found = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, ""), found.stdout
    assert len(found.stdout.splitlines()) > 30
