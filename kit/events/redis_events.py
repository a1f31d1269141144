"""The streams of events in Redis, whose ids are ``<epoch of the stream>-<sequence>``."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from kit.base.cursor import START, Cursor
from kit.base.redis_commands import TIMEOUT_SECONDS, RedisCommands, unavailable
from kit.base.store_metrics import StoreMetrics
from kit.events.streams import EventStream, redis_key

FIELD = "b"
"""Of an entry: the encoded event."""

Entry = tuple[Cursor, bytes]


class RedisEvents:
    """The streams of one Redis. Methods raise StoreUnavailable when Redis is away."""

    def __init__(self, url: str, metrics: StoreMetrics | None = None) -> None:
        self._url = url
        self._commands = RedisCommands(url, metrics)

    async def newest(self, stream: EventStream) -> tuple[Cursor, bytes | None]:
        """The id of the newest entry, START if there never was one, and its event if it is held."""
        key = redis_key(stream)
        try:
            info = await self._commands.call("XINFO", "STREAM", key)
        except ResponseError as error:
            if "no such key" in str(error):
                return START, None
            raise unavailable(error, self._url) from error
        except RedisError as error:
            raise unavailable(error, self._url) from error
        newest = Cursor.parse(info[info.index(b"last-generated-id") + 1])
        for entry_id, fields in await self._call("XREVRANGE", key, "+", "-", "COUNT", 1):
            if Cursor.parse(entry_id) == newest:
                return newest, fields[1]
        return newest, None

    async def append_after(
        self, stream: EventStream, newest: Cursor, entries: Sequence[Entry]
    ) -> bool:
        """Append entries, all or none. False: the newest entry is another one, and nothing was
        appended."""
        arguments: list[str | bytes] = [str(newest)]
        for cursor, body in entries:
            arguments += ("1", str(cursor), body)
        try:
            conflict = await self._commands.append_after([redis_key(stream)], arguments)
        except RedisError as error:
            raise unavailable(error, self._url) from error
        return not conflict

    async def trim(self, stream: EventStream, entries_max: int) -> None:
        """Remove the oldest entries beyond this many, roughly."""
        await self._call("XTRIM", redis_key(stream), "MAXLEN", "~", entries_max)

    async def wait(
        self, after: Mapping[EventStream, Cursor], seconds: float
    ) -> dict[EventStream, Cursor]:
        """Wait until a stream has an entry after these. Returns the next id of each that has."""
        keys = {redis_key(stream): stream for stream in after}
        block_ms = round(seconds * 1000)
        command = ("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS")
        ids = map(str, after.values())
        timeout_seconds = TIMEOUT_SECONDS + seconds
        found = await self._call(*command, *keys, *ids, timeout_seconds=timeout_seconds)
        return {keys[key.decode()]: Cursor.parse(entries[0][0]) for key, entries in found or ()}

    async def close(self) -> None:
        await self._commands.close()

    async def _call(
        self, *command: str | bytes | int, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> Any:
        try:
            return await self._commands.call(*command, timeout_seconds=timeout_seconds)
        except RedisError as error:
            raise unavailable(error, self._url) from error
