"""Fixtures for tests of the chain."""

import pytest

from tests.simulation.chain.runs import SeedRuns


@pytest.fixture(scope="module")
def runs(_postgres_server):
    """Runs of seeds, in a database of their own."""
    found = SeedRuns(f"{_postgres_server.removesuffix('postgres')}chain")
    yield found
    found.close()
