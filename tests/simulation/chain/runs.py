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

    def __init__(self, url):
        self._store = VirtualPostgres(url)

    def run_seed(self, seed) -> runs.Result:
        """Run one seed."""
        # What waits between two tries is drawn from the seed too.
        waits = random.Random(f"{seed} waits")
        drawn = SimpleNamespace(Random=lambda: random.Random(waits.random()))
        with patch.object(backoff, "random", drawn):
            return runs.play(seed, self._chain, MODULE)

    def _chain(self, seed):
        return Chain(seed, self._store)

    def close(self):
        self._store.close()


def begin(url) -> None:
    """Give this process a database of its own."""
    STATE.append(SeedRuns(f"{url.rpartition('/')[0]}/chain_{os.getpid()}"))


def run_seed(seed) -> runs.Result:
    """Run one seed in this process."""
    return STATE[0].run_seed(seed)
