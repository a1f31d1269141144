"""Runs seeds of the chain, one after the other, on one database."""

import os
import random
from types import SimpleNamespace
from unittest.mock import patch

from kit.base import backoff
from tests.simulation import runs
from tests.simulation.chain.chain import Chain
from tests.simulation.chain.store import VirtualPostgres

MODULE = "tests.simulation.chain"
STATE = []
"""The runs of a worker process."""


class SeedRuns:
    """Runs seeds on a database, which is empty before each."""

    def __init__(self, url, run=Chain, module=MODULE):
        """``run``: makes the run of a seed."""
        self._store, self._run, self._module = VirtualPostgres(url), run, module

    def run_seed(self, seed) -> runs.Result:
        """Run one seed."""
        # What waits between two tries is drawn from the seed too.
        waits = random.Random(f"{seed} waits")
        drawn = SimpleNamespace(Random=lambda: random.Random(waits.random()))
        with patch.object(backoff, "random", drawn):
            return runs.play(seed, self._chain, self._module)

    def _chain(self, seed):
        return self._run(seed, self._store)

    def close(self):
        self._store.close()


def begin(url) -> None:
    """Give this process a database of its own."""
    STATE.append(SeedRuns(database_of_process(url)))


def database_of_process(url) -> str:
    """The URL of a database that only this process uses."""
    return f"{url.rpartition('/')[0]}/chain_{os.getpid()}"


def run_seed(seed) -> runs.Result:
    """Run one seed in this process."""
    return STATE[0].run_seed(seed)
