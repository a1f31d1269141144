"""Fixtures of the venues' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.support.raw_client import RawClient, raw_client


@pytest.fixture
async def raw(base: str) -> AsyncIterator[RawClient]:
    """A client of the simulator at the address of the module's own fixture ``base``."""
    async with raw_client(base) as client:
        yield client
