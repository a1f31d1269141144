"""Waiting for a condition."""

import asyncio
from collections.abc import Callable

WAIT_SECONDS_MAX = 30.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)
