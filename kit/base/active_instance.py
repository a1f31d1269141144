"""Which of several processes of one service does what only one of them may do.

The registry says it with each heartbeat. What two that write at once would do to a store is
prevented there; this keeps them from getting in each other's way.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

FIRST_ANSWER_SECONDS = 2.0
"""How long the work waits for the registry's first answer. Without a registry it begins."""

Work = Callable[[], Coroutine[Any, Any, None]]


class ActiveInstance:
    """Whether another instance of this process' service is active, as far as is known."""

    def __init__(self) -> None:
        self.stands_by = False
        self._is_known = asyncio.Event()
        self._active = asyncio.Event()
        self._active.set()
        self._standing_by = asyncio.Event()

    def change(self, *, stands_by: bool) -> None:
        """Take the registry's choice of the active instance."""
        self._is_known.set()
        self.stands_by = stands_by
        begins, ends = self._active, self._standing_by
        if stands_by:
            begins, ends = ends, begins
        begins.set()
        ends.clear()

    async def run(self, work: Work) -> None:
        """Do endless work while this instance is the active one: cancel it when another one is, and
        start it again afterwards. Raises what it raises."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                await self._is_known.wait()
        while True:
            await self._active.wait()
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work())
                await self._standing_by.wait()
                task.cancel()
