"""Waiting for a condition."""

import asyncio
from collections.abc import Awaitable, Callable

WAIT_SECONDS_MAX = 60.0
"""Ends a test that hangs. On a busy machine the start of a process alone takes 20 s."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until its answer is true."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await condition():
            await asyncio.sleep(0.01)
