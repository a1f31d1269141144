"""Redis Streams: entries whose ids are cursors, and consumers that own their position.

A stream belongs to one venue and channel, ``md:{binance}:trades``. The id of an entry is the
cursor of its batch, so writing an entry again is refused by Redis and does no harm. A consumer
group here is a named, committed position and nothing more: the consumer reads from where its own
store says that it is, and moves the group's position afterwards, so that trimming follows what is
really done.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from kit.base.cursor import START as START
from kit.base.cursor import Cursor as Cursor
from kit.base.cursor import StreamKey as StreamKey
from kit.base.cursor import channel_name as channel_name
from kit.base.errors import StoreUnavailable
from kit.base.redis_commands import REDIS, TIMEOUT_SECONDS, RedisCommands, unavailable
from kit.base.store_metrics import StoreMetrics

KEYS_SET = "md:streams"
FIELD = b"b"


class StreamEntry(NamedTuple):
    """One batch in a stream."""

    key: StreamKey
    cursor: Cursor
    batch: bytes


class StreamAppendConflict(Exception):
    """The newest entry of a stream is not the one that the writer wanted to follow."""

    def __init__(self, key: StreamKey, newest: Cursor) -> None:
        super().__init__(f"the newest entry of {key} is {newest}")
        self.key = key
        self.newest = newest


class RedisStreams:
    """All streams of one Redis. Every method raises StoreUnavailable when Redis is away."""

    def __init__(self, url: str, metrics: StoreMetrics | None = None) -> None:
        self._url, self._metrics = url, metrics
        # One retry, at once: after a restart of Redis an idle connection is found to be dead only
        # when it is used. Beyond that callers wait, and ask again.
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 1)
        )
        self._commands = RedisCommands(url, metrics)

    async def append_after(
        self, newest: Mapping[StreamKey, Cursor], entries: Sequence[StreamEntry]
    ) -> None:
        """Write entries of one venue, all or none, each stream's after its newest entry.

        Raises StreamAppendConflict when another entry is the newest: someone else has written, or
        Redis was restarted and has lost the end of the stream. Writing on would make a hole that no
        later write can fill, as ids only grow.
        """
        keys = list(positions_of(entries))
        number = {key: str(place) for place, key in enumerate(keys, 1)}
        names = list(map(str, keys))
        arguments: list[str | bytes] = [str(newest[key]) for key in keys]
        for entry in entries:
            arguments += (number[entry.key], str(entry.cursor), entry.batch)
        reply = await self._call(self._commands.append_after(names, arguments))
        if reply:
            raise StreamAppendConflict(StreamKey.parse(reply[0]), Cursor.parse(reply[1]))

    async def append(self, entries: Sequence[StreamEntry]) -> int:
        """Write entries in one round trip. Returns how many were there already."""
        pipe = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipe.xadd(str(entry.key), {FIELD: entry.batch}, id=str(entry.cursor))
        try:
            replies = await _result(pipe.execute(raise_on_error=False))
        except RedisError as error:
            raise unavailable(error, self._url) from error
        return sum(_was_there(reply, self._url) for reply in replies)

    async def register(self, key: StreamKey) -> None:
        """Make the stream known to those who read all streams."""
        await self._ask("SADD", self._redis.sadd(KEYS_SET, str(key)))

    async def keys(self) -> list[StreamKey]:
        """The streams that there are, by key."""
        members = await self._ask("SMEMBERS", self._redis.smembers(KEYS_SET))
        return sorted((StreamKey.parse(member) for member in members), key=str)

    async def last(self, key: StreamKey) -> Cursor | None:
        """Cursor of the newest entry ever written, None when there is none."""
        info = await self._info(key)
        cursor = Cursor.parse(info["last-generated-id"]) if info else START
        return None if cursor == START else cursor

    async def first(self, key: StreamKey) -> Cursor | None:
        """Cursor of the oldest entry that is held, None when there is none."""
        entries = await self._ask("XRANGE", self._redis.xrange(str(key), count=1))
        return Cursor.parse(entries[0][0]) if entries else None

    async def newest(self, key: StreamKey, count: int) -> list[StreamEntry]:
        """The newest entries that are held, the newest first."""
        found = await self._ask("XREVRANGE", self._redis.xrevrange(str(key), count=count))
        return [
            StreamEntry(key, Cursor.parse(entry_id), fields.get(FIELD, b""))
            for entry_id, fields in found
        ]

    async def holds(self, key: StreamKey, cursor: Cursor) -> bool:
        """Whether there is an entry of this cursor."""
        return bool(
            await self._ask("XRANGE", self._redis.xrange(str(key), str(cursor), str(cursor)))
        )

    async def read(
        self, after: Mapping[StreamKey, Cursor], count: int, block_ms: int | None = None
    ) -> list[StreamEntry]:
        """Entries after these positions, up to count per stream; waits up to block_ms for one.

        Without block_ms it does not wait; 0 waits until one comes.
        """
        names = {str(key).encode(): key for key in after}
        blocking: tuple[str | int, ...] = () if block_ms is None else ("BLOCK", block_ms)
        command = ("XREAD", "COUNT", count, *blocking, "STREAMS", *names, *map(str, after.values()))
        timeout_seconds = None if block_ms == 0 else TIMEOUT_SECONDS + (block_ms or 0) / 1000
        reply = await self._call(self._commands.call(*command, timeout_seconds=timeout_seconds))
        return [
            StreamEntry(names[name], Cursor.parse(entry_id), _batch_in(fields))
            for name, entries in reply or ()
            for entry_id, fields in entries
        ]

    async def commit(self, group: str, positions: Mapping[StreamKey, Cursor]) -> None:
        """Say how far a consumer has got, so that trimming may follow."""
        for key, cursor in positions.items():
            try:
                await _result(self._redis.xgroup_setid(str(key), group, str(cursor)))
            except ResponseError:
                await self._ask(
                    "XGROUP_CREATE",
                    self._redis.xgroup_create(str(key), group, str(cursor), mkstream=True),
                )
            except RedisError as error:
                raise unavailable(error, self._url) from error

    async def groups(self, key: StreamKey) -> dict[str, Cursor]:
        """How far each consumer has got."""
        try:
            rows = await _result(self._redis.xinfo_groups(str(key)))
        except RedisError as error:
            if _is_no_stream(error):
                return {}
            raise unavailable(error, self._url) from error
        return {_text(row["name"]): Cursor.parse(row["last-delivered-id"]) for row in rows}

    async def length(self, key: StreamKey) -> int:
        return int(await self._ask("XLEN", self._redis.xlen(str(key))))

    async def trim_before(self, key: StreamKey, cursor: Cursor) -> int:
        """Let go of entries older than this one, roughly. Returns how many."""
        return int(
            await self._ask(
                "XTRIM", self._redis.xtrim(str(key), minid=str(cursor), approximate=True)
            )
        )

    async def trim_to_length(self, key: StreamKey, entries_max: int) -> int:
        """Let go of the oldest entries beyond this many, roughly. Returns how many."""
        return int(
            await self._ask(
                "XTRIM", self._redis.xtrim(str(key), maxlen=entries_max, approximate=True)
            )
        )

    async def stream_bytes(self, key: StreamKey) -> int:
        """Memory that one stream uses, roughly."""
        return int(await self._ask("MEMORY_USAGE", self._redis.memory_usage(str(key))) or 0)

    async def memory_bytes(self) -> int:
        """Memory that Redis uses for data."""
        info = await self._ask("INFO", self._redis.info("memory"))
        return int(info["used_memory"])

    async def close(self) -> None:
        await self._commands.close()
        await self._redis.aclose()

    async def _info(self, key: StreamKey) -> Any:
        try:
            return await _result(self._redis.xinfo_stream(str(key)))
        except RedisError as error:
            if _is_no_stream(error):
                return None
            raise unavailable(error, self._url) from error

    async def _ask(self, command: str, awaitable: Any) -> Any:
        """The reply to a command of the client of redis-py."""
        if self._metrics is None:
            return await self._call(awaitable)
        with self._metrics.call(REDIS, command, StoreUnavailable):
            return await self._call(awaitable)

    async def _call(self, awaitable: Any) -> Any:
        try:
            return await _result(awaitable)
        except RedisError as error:
            raise unavailable(error, self._url) from error


async def _result(awaitable: Awaitable[Any]) -> Any:
    """The result of a command, unless the task was cancelled while it was under way.

    The client sends with asyncio.wait_for, which before Python 3.12 forgets a cancellation that
    comes when the data is as good as sent. The task would go on for ever.
    """
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        return await awaitable
    finally:
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError


def _batch_in(fields: list[bytes]) -> bytes:
    """The batch of an entry; empty when it is not one of ours."""
    return fields[1] if fields[0] == FIELD else b""


def _was_there(reply: object, url: str) -> bool:
    if isinstance(reply, ResponseError) and "equal or smaller" in str(reply):
        return True
    if isinstance(reply, Exception):
        raise unavailable(reply, url) from reply
    return False


def _is_no_stream(error: RedisError) -> bool:
    return isinstance(error, ResponseError) and "no such key" in str(error)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def positions_of(entries: Iterable[StreamEntry]) -> dict[StreamKey, Cursor]:
    """The last cursor of each stream among entries that are in order."""
    return {entry.key: entry.cursor for entry in entries}
