"""Fixtures for tests of the chain."""

import pytest

from tests.simulation.chain.runs import SeedRuns


@pytest.fixture
def runs(postgres_url):
    found = SeedRuns(postgres_url)
    yield found
    found.close()
