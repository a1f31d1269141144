"""Runs seeds, one after the other, on one database."""

from tests.simulation.chain.runs import SeedRuns, database_of_process
from tests.simulation.risk.run import RiskRun

MODULE = "tests.simulation.risk"
STATE = []
"""The runs of a worker process."""


def begin(url) -> None:
    """Give this process a database of its own."""
    STATE.append(SeedRuns(database_of_process(url), RiskRun, MODULE))


def run_seed(seed):
    """Run one seed in this process."""
    return STATE[0].run_seed(seed)
