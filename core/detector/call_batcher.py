"""Combines simultaneous calls into one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_ITEMS_MAX = 100
CALLS_MAX = 2
"""One call is prepared while another one waits for its answer. More would only be smaller ones."""


class BatchAbandoned(Exception):
    """The call of a batch has failed or was cancelled. Its effect is unknown."""


async def _next_turn() -> None:
    await asyncio.sleep(0)


class _Batch(Generic[Item, Result]):
    """The items of one call. The caller of the first item makes the call."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.results: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()


class CallBatcher(Generic[Item, Result]):
    """Makes one call for all items that arrive in the same turn of the event loop, or while no more
    calls may run.

    The first caller makes the call and gets its error; the others get BatchAbandoned. After an
    error in ``undone``, which one of the items may have caused, each item is called again on its
    own.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        undone: tuple[type[Exception], ...] = (),
        calls_max: int = CALLS_MAX,
        wait: Callable[[], Awaitable[None]] = _next_turn,
    ) -> None:
        """``call``: returns a result for each item. ``undone``: errors after which nothing was
        done. ``calls_max``: most calls of batches at the same time. ``wait``: how long a batch
        waits for more items; by default until the next turn of the event loop."""
        self._call = call
        self._undone = undone
        self._turn = asyncio.Semaphore(calls_max)
        self._wait = wait
        self._open: _Batch[Item, Result] | None = None

    async def of(self, item: Item) -> Result:
        """The result of an item. Raises BatchAbandoned, and what the call raises."""
        group = self._open
        is_first = group is None or len(group.items) == BATCH_ITEMS_MAX
        if group is None or is_first:
            self._open = group = _Batch()
        group.items.append(item)
        place = len(group.items) - 1
        try:
            made = self._made(group) if is_first else asyncio.shield(group.results)
            return (await made)[place]
        except self._undone:
            if len(group.items) == 1:
                raise
        (result,) = await self._call([item])
        return result

    async def _made(self, group: _Batch[Item, Result]) -> Sequence[Result]:
        try:
            await self._wait()
            async with self._turn:
                self._close(group)
                found = await self._call(group.items)
        except BaseException as error:
            self._close(group)
            if len(group.items) > 1:
                is_undone = isinstance(error, self._undone)
                group.results.set_exception(error if is_undone else BatchAbandoned(str(error)))
            raise
        group.results.set_result(found)
        return found

    def _close(self, group: _Batch[Item, Result]) -> None:
        if self._open is group:
            self._open = None
