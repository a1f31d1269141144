"""The environment of a process."""

import asyncio
import gc

import pytest

from kit.base import runtime


@pytest.fixture
def settling(monkeypatch):
    monkeypatch.setattr(runtime, "FREEZE_SECONDS", 0.01)
    yield
    gc.unfreeze()


async def test_what_the_start_has_made_is_not_looked_at_again(settling):
    running = asyncio.create_task(runtime.freeze_objects())
    await asyncio.sleep(0)
    at_start = gc.get_freeze_count()
    later: list[list[int]] = [[] for _ in range(1_000)]
    await running
    assert at_start > 0
    assert gc.get_freeze_count() >= at_start + len(later)
    assert not any(one is later for one in gc.get_objects())
