"""Fixtures of the events."""

import pytest

from kit.events.tests.rig import rig_for


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig
