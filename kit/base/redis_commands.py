"""Sends commands to Redis with little overhead, for those sent hundreds of times a second.

The client of redis-py makes a task and dozens of objects for each command, and encodes commands in
Python. Using its connections directly, with the encoder of hiredis, takes a third of the time.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import hiredis
import redis.asyncio as redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kit.base.backoff import delays
from kit.base.clock import Clock
from kit.base.errors import SettingError, StoreUnavailable
from kit.base.store_metrics import StoreMetrics
from kit.base.store_urls import user_of

REDIS = "redis"
"""Name of Redis in ``DegradedReasons`` and in the metadata of StoreUnavailable."""
TIMEOUT_SECONDS = 10.0

# Redis runs a script as one step, and refuses it as a whole when memory is short.
APPEND_AFTER = """
-- KEYS: the streams. ARGV: for each of them the id of its newest entry as the caller knows it, then
-- for each new entry the number of its stream in KEYS, its id and its bytes.
for number, key in ipairs(KEYS) do
  local newest = "0-0"
  local info = redis.pcall("XINFO", "STREAM", key)
  if info.err and not string.find(info.err, "no such key", 1, true) then
    return info
  end
  for field = 1, #info, 2 do
    if info[field] == "last-generated-id" then
      newest = info[field + 1]
    end
  end
  if newest ~= ARGV[number] then
    return {key, newest}
  end
end
for place = #KEYS + 1, #ARGV, 3 do
  redis.call("XADD", KEYS[tonumber(ARGV[place])], ARGV[place + 1], "b", ARGV[place + 2])
end
return false
"""
_APPEND_AFTER_SHA = hashlib.sha1(APPEND_AFTER.encode()).hexdigest()


class RedisCommands:
    """Connections to one Redis, each used by one command at a time."""

    def __init__(self, url: str, metrics: StoreMetrics | None = None) -> None:
        self._metrics = metrics
        # Only the settings of the pool are used. RESP2: replies are lists on every server.
        self._settings = redis.ConnectionPool.from_url(url, protocol=2, socket_timeout=None)
        self._idle: list[AbstractConnection] = []

    async def call(
        self, *command: str | bytes | int, timeout_seconds: float | None = TIMEOUT_SECONDS
    ) -> Any:
        """Send a command and return the reply of Redis. Raises RedisError.

        An idle connection that is closed, as after a restart of Redis, is replaced at once.
        Reads that wait for new entries are not measured.
        """
        if self._metrics is None or "BLOCK" in command[:4]:
            return await self._send(command, timeout_seconds)
        with self._metrics.call(REDIS, str(command[0]), RedisError):
            return await self._send(command, timeout_seconds)

    async def append_after(
        self, keys: Sequence[str], arguments: Sequence[str | bytes]
    ) -> Sequence[bytes] | None:
        """Append entries to streams, all or none; see APPEND_AFTER for the arguments. Returns None,
        or the key and the newest id of a stream whose newest entry is another one: nothing was
        appended then. Raises RedisError."""
        rest = (len(keys), *keys, *arguments)
        conflict: Sequence[bytes] | None
        try:
            conflict = await self.call("EVALSHA", _APPEND_AFTER_SHA, *rest)
        except NoScriptError:
            conflict = await self.call("EVAL", APPEND_AFTER, *rest)
        return conflict

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect()

    async def _send(
        self, command: tuple[str | bytes | int, ...], timeout_seconds: float | None
    ) -> Any:
        while self._idle:
            try:
                return await self._call_on(self._idle.pop(), command, timeout_seconds)
            except RedisConnectionError:
                continue
        connection = self._settings.connection_class(**self._settings.connection_kwargs)
        return await self._call_on(connection, command, timeout_seconds)

    async def _call_on(
        self,
        connection: AbstractConnection,
        command: tuple[str | bytes | int, ...],
        timeout_seconds: float | None,
    ) -> Any:
        healthy = False
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # any length will do
        try:
            async with asyncio.timeout(timeout_seconds):
                await connection.send_packed_command(packed)
                reply = await connection.read_response()
            healthy = True
            return reply
        except ResponseError:
            healthy = True
            raise
        except TimeoutError as error:
            raise RedisTimeoutError(f"no reply within {timeout_seconds} s") from error
        finally:
            if healthy:
                self._idle.append(connection)
            else:
                # The rest of a reply may still arrive and must not answer the next command.
                await connection.disconnect(nowait=True)


async def refuse_cluster(url: str, clock: Clock) -> None:
    """Wait until Redis answers. Raises SettingError if it is a node of a Redis Cluster, which
    refuses commands on streams that other nodes hold."""
    commands = RedisCommands(url)
    try:
        for delay_seconds in delays():
            try:
                about = await commands.call("INFO", "cluster")
            except ResponseError:
                # This user may not ask; commands that the server refuses are reported one by one.
                return
            except (RedisError, OSError):
                await clock.sleep(delay_seconds)
                continue
            if b"cluster_enabled:1" in about:
                allowed = "Redis Cluster is not supported; name a server with cluster_enabled:0"
                raise SettingError("mesh.redis_url", _server_of(url), allowed)
            return
    finally:
        await commands.close()


def unavailable(error: Exception, url: str) -> StoreUnavailable:
    """The error of a command that failed, for the user of this URL.

    Waiting helps also a user who is rejected: the process continues once an administrator has
    corrected the password or the rights.
    """
    user = f"user {user_of(url) or 'default'!r}"
    if isinstance(error, AuthenticationError):
        text = f"Redis rejects the login of {user}: {error}"
        text += "; correct mesh.redis_url or mesh.redis_password_file"
    elif isinstance(error, NoPermissionError):
        text = f"Redis refuses a command of {user}: {error}; see schema/redis.acl for its rights"
    else:
        says = "refuses" if isinstance(error, ResponseError) else "is away"
        text = f"Redis {says}: {error}"
    return StoreUnavailable(text, store=REDIS)


def _server_of(url: str) -> str:
    """The host and port of a URL, without its password."""
    return urlsplit(url).netloc.rpartition("@")[2]
