"""Some seeds keep all promises of the chain, and a seed is played again as it was."""

import os
import re
import subprocess
import sys
from pathlib import Path

SEEDS = 8
ROOT = Path(__file__).parents[3]


def test_sample_of_seeds_keeps_all_promises(postgres_url):
    command = [sys.executable, "-m", "tests.simulation.chain", "--seeds", str(SEEDS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((".", "gen"))}
    done = subprocess.run(
        [*command, "--database", postgres_url],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds, 0 failed" in done.stdout
    # Enough happens in a run.
    for kind, least in (("entries", 0.5), ("crash", 1), ("fill", 1), ("flip", 0.1)):
        (count,) = re.findall(f"{kind}: ([0-9]+)", done.stdout)
        assert int(count) > least * SEEDS, done.stdout


def test_seed_is_played_again_as_it_was(runs):
    first, second = runs.run_seed(5), runs.run_seed(5)
    assert first.lines == second.lines
