"""Calls of a desk, with an end, and with every way to fail said in one of two ways."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import CredentialsRejected, NotSupported, VenuemeshError, VenueUnavailable
from kit.execution.contract import OutcomeUnknown, Verdict

Answer = TypeVar("Answer")

_log = telemetry.logger("orders.calls")


async def act(call: Awaitable[Verdict], timeout_s: float) -> Verdict:
    """Do something. Whatever goes wrong on the way, it may have been done."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError:
        return OutcomeUnknown(f"no answer in {timeout_s:g} s")
    except VenuemeshError as error:
        return OutcomeUnknown(error.message)
    except Exception as error:
        _log.exception("desk failed")
        return OutcomeUnknown(f"{type(error).__name__}: {error}")


async def ask(call: Awaitable[Answer], timeout_s: float) -> Answer:
    """Ask something. Raises CredentialsRejected and NotSupported as they come, and VenueUnavailable
    for all else: there is no answer."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except (CredentialsRejected, NotSupported):
        raise
    except TimeoutError:
        detail = f"no answer in {timeout_s:g} s"
    except VenuemeshError as error:
        detail = error.message
    except Exception as error:
        _log.exception("desk failed")
        detail = f"{type(error).__name__}: {error}"
    raise VenueUnavailable(detail, detail=detail)


async def until(happened: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait for something, so long at most. Whether it has happened."""
    waiting = asyncio.ensure_future(happened.wait())
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        sleeping.cancel()
    return happened.is_set()


class Works:
    """Tasks that go on when nobody waits for them any more."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something that is to be ended."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, timeout_s: float) -> None:
        """Wait for all, and end what takes longer."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, VenuemeshError):
            _log.error("work failed", exc_info=error)
