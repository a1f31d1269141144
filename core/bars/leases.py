"""Leases in Redis: which aggregators are running, and which of them holds which shard.

A lease that is not renewed in time is free. Leases only keep two aggregators from doing the same
work; ``store`` makes sure that only one of them can write.
"""

from collections.abc import Collection
from typing import Any

from redis.exceptions import RedisError

from kit.base.redis_commands import RedisCommands, unavailable
from kit.base.store_metrics import StoreMetrics

MEMBERS = "bars:{leases}:members"
"""Members, scored by the time in ms at which they expire."""
HELD = "bars:{leases}:held"
"""Shard to "<expiry in ms> <member>"."""

_CLAIM = """
-- ARGV: the member, how long a lease lasts in ms, then the shards that it wants or holds.
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = string.format("%.0f", now + ARGV[2])
redis.call("ZADD", KEYS[1], ends, ARGV[1])
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
local granted = {}
for place = 3, #ARGV do
  local held = redis.call("HGET", KEYS[2], ARGV[place]) or ""
  local held_until, member = string.match(held, "^(%d+) (.*)$")
  if not member or member == ARGV[1] or tonumber(held_until) <= now then
    redis.call("HSET", KEYS[2], ARGV[place], ends .. " " .. ARGV[1])
    granted[#granted + 1] = ARGV[place]
  end
end
return {redis.call("ZRANGE", KEYS[1], 0, -1), granted}
"""
_RELEASE = """
-- ARGV: the member, then the shards that it lets go of.
for place = 2, #ARGV do
  local held = redis.call("HGET", KEYS[1], ARGV[place]) or ""
  if string.match(held, "^%d+ (.*)$") == ARGV[1] then
    redis.call("HDEL", KEYS[1], ARGV[place])
  end
end
"""


class Leases:
    """The leases of one member. Methods raise StoreUnavailable when Redis is away."""

    def __init__(
        self, url: str, member: str, lease_seconds: float, metrics: StoreMetrics | None = None
    ) -> None:
        self.member = member
        """Does not change with a restart, so that a killed process gets its shards back."""
        self.lease_seconds = lease_seconds
        self._url = url
        self._commands = RedisCommands(url, metrics)

    async def claim(self, shards: Collection[int]) -> tuple[list[str], set[int]]:
        """Register this member and take or renew shards. Returns all members, and the shards that
        were granted."""
        milliseconds = int(self.lease_seconds * 1000)
        members, granted = await self._call(
            "EVAL", _CLAIM, 2, MEMBERS, HELD, self.member, milliseconds, *shards
        )
        return [member.decode() for member in members], set(map(int, granted))

    async def release(self, shards: Collection[int]) -> None:
        """Free these shards for other members."""
        await self._call("EVAL", _RELEASE, 1, HELD, self.member, *shards)

    async def holder(self, shard: int) -> str | None:
        """The member that holds a shard, or None when it is free or its holder is gone."""
        held = await self._call("HGET", HELD, shard) or b""
        there = await self._call("ZRANGE", MEMBERS, 0, -1)
        member: bytes = held.partition(b" ")[2]
        return member.decode() if member in there else None

    async def leave(self, shards: Collection[int]) -> None:
        """Free these shards and unregister this member."""
        await self.release(shards)
        await self._call("ZREM", MEMBERS, self.member)

    async def close(self) -> None:
        await self._commands.close()

    async def _call(self, *command: str | int) -> Any:
        try:
            return await self._commands.call(*command)
        except RedisError as error:
            raise unavailable(error, self._url) from error
