"""The streams of events in Redis, without a server."""

import asyncio

from kit.base.cursor import START, Cursor
from kit.base.errors import StoreUnavailable
from kit.base.redis_commands import REDIS


class RedisStreams:
    """RedisEvents of all processes of a run. It may be away, and lose what it holds."""

    def __init__(self, chance):
        self._chance = chance
        self.entries = {}
        """By stream, the ids and bodies, oldest first."""
        self.is_away = self.has_lost = False
        self._changed = asyncio.Event()

    def lose(self):
        """Lose the newest entries of a stream, as a Redis does that is restarted."""
        self.has_lost = True
        for entries in self.entries.values():
            del entries[self._chance.randint(0, len(entries)) :]

    async def newest(self, stream):
        await self._call()
        entries = self.entries.get(stream)
        return entries[-1] if entries else (START, None)

    async def append_after(self, stream, newest, entries):
        await self._call()
        held = self.entries.setdefault(stream, [])
        if (held[-1][0] if held else START) != newest:
            return False
        held += [(Cursor(*cursor), body) for cursor, body in entries]
        self._changed.set()
        self._changed = asyncio.Event()
        await self._call()
        return True

    async def trim(self, stream, entries_max):
        await self._call()

    async def wait(self, after, seconds):
        await self._call()
        ends = asyncio.get_running_loop().time() + seconds
        while not (found := self._after(after)):
            try:
                async with asyncio.timeout_at(ends):
                    await self._changed.wait()
            except TimeoutError:
                break
        await self._call()
        return found

    def _after(self, after):
        """The first id after these, of the streams that have one."""
        found = {}
        for stream, cursor in after.items():
            later = [one for one, _ in self.entries.get(stream, ()) if one > cursor]
            if later:
                found[stream] = later[0]
        return found

    async def _call(self):
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("simulated: Redis is away", store=REDIS)
