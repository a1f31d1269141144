"""Some seeds keep all promises of limits and modes, and a broken one is found."""

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from core.inspector import decision_handler, limit_monitor, modes, verdicts
from kit.risk.limits import LimitRule
from tests.simulation.chain.runs import SeedRuns
from tests.simulation.risk.promises import Promise
from tests.simulation.risk.run import RiskRun
from tests.simulation.risk.runs import MODULE

SEEDS = 8
BROKEN_SEEDS = range(12)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runs(_postgres_server):
    """Runs of seeds, in a database of their own."""
    found = SeedRuns(f"{_postgres_server.removesuffix('postgres')}risk", RiskRun, MODULE)
    yield found
    found.close()


def test_sample_of_seeds_keeps_all_promises(postgres_url):
    command = [sys.executable, "-m", MODULE, "--seeds", str(SEEDS), "--database", postgres_url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((".", "gen"))}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds, 0 failed" in done.stdout
    # Enough happens in a run.
    for kind, least in (("entries approved", 1), ("entries refused", 2), ("crash", 1), ("mode", 1)):
        (count,) = re.findall(f"{kind}: ([0-9]+)", done.stdout)
        assert int(count) > least * SEEDS, done.stdout


def without_reason(key, seen):
    return ""


def every_mode_allows(mode):
    return True


def limits_hold_nothing(self, value, limit):
    return True


@pytest.mark.parametrize(
    ("owner", "name", "broken", "promise"),
    [
        (LimitRule, "is_within", limits_hold_nothing, Promise.CAPPED),
        (limit_monitor, "_reason", without_reason, Promise.EXPLAINED),
        (decision_handler, "CLOSE", -1, Promise.REDUCED),
    ],
)
def test_broken_promise_is_found(runs, owner, name, broken, promise):
    with patch.object(owner, name, broken):
        for seed in BROKEN_SEEDS:
            if promise in [found for found, _ in runs.run_seed(seed).broken]:
                return
    pytest.fail(f"no seed has found that {name} is broken")


def test_mode_that_lets_entries_pass_is_found(runs):
    with patch.object(verdicts, "allows_entries", every_mode_allows):
        broken = [one for seed in BROKEN_SEEDS for one, _ in runs.run_seed(seed).broken]
    assert Promise.ENTRIES in broken
    assert modes.allows_entries(modes.first_mode("mesh", "simulate"))
