"""A feed at a rate: the newest state of each key, at most once per interval."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.push.updates import Feed, Position, Update
from kit.base.clock import Clock


class PacedFeed:
    """What another feed yields, without what was replaced meanwhile."""

    def __init__(self, feed: Feed, interval_s: float, clock: Clock) -> None:
        self._feed = feed
        self._interval_s = interval_s
        self._clock = clock

    async def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        waiting: dict[str, Update] = {}
        changed = asyncio.Event()

        async def gather() -> None:
            try:
                async with aclosing(self._feed.updates(after)) as stream:
                    async for updates in stream:
                        waiting.update({update.key: update for update in updates})
                        changed.set()
            finally:
                changed.set()

        gathering = asyncio.create_task(gather())
        try:
            while True:
                await changed.wait()
                changed.clear()
                taken = list(waiting.values())
                waiting.clear()
                yield taken
                if gathering.done():
                    await gathering
                    return
                await self._clock.sleep(self._interval_s)
        finally:
            gathering.cancel()

    async def snapshot(self) -> Update | None:
        return await self._feed.snapshot()
