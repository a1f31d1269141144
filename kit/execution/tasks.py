"""Background tasks, calls a few at a time, and waiting for an event with a limit of time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import VenuemeshError

CALLS_AT_ONCE = 8

AT_ONCE = 100

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_log = telemetry.logger("orders.tasks")


async def wait_for_event(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait until an event is set, or for so many seconds. Returns whether it is set."""
    waiting = asyncio.ensure_future(event.wait())
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        sleeping.cancel()
    return event.is_set()


async def wait_until(
    holds: Callable[[], bool], changed: asyncio.Event, clock: Clock, seconds: float
) -> bool:
    """Wait until a condition holds, or for so many seconds. Returns whether it holds. ``changed``
    is set when it may have changed."""
    ends_ns = clock.monotonic_ns() + int(seconds * NANOSECONDS_PER_SECOND)
    while not (is_met := holds()) and (left_ns := ends_ns - clock.monotonic_ns()) > 0:
        changed.clear()
        await wait_for_event(changed, clock, left_ns / NANOSECONDS_PER_SECOND)
    return is_met


async def in_parts(items: Collection[ItemT]) -> AsyncIterator[ItemT]:
    """Yield items, as they are now. Other tasks run after each AT_ONCE of them."""
    for number, item in enumerate(list(items), 1):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        yield item


async def await_each(calls: Iterable[Awaitable[None]]) -> None:
    """Make all calls, a few at a time, in their order. Raises the first error when all have
    ended."""
    slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(call: Awaitable[None]) -> None:
        async with slots:
            await call

    for error in await asyncio.gather(*map(one, calls), return_exceptions=True):
        if error is not None:
            raise error


class BackgroundTasks:
    """Tasks that finish even when their caller has left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        """Start a task. An unexpected error in it is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, timeout_s: float) -> None:
        """Wait for all tasks, and cancel those that take longer."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, VenuemeshError):
            _log.error("background task failed", exc_info=error)
