"""Fixtures for tests of the inspector."""

import pytest

from core.inspector.tests.rig import rig_for


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig
