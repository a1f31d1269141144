"""Which aggregators are there, and which of them holds which shard: leases in Redis.

A lease that is not renewed in time is anyone's. It keeps two aggregators from doing the same work,
no more: that only one of them can write is seen to where the bars are written, see ``store``.
"""

from collections.abc import Collection
from typing import Any

from redis.exceptions import RedisError

from kit.base.errors import StoreUnavailable
from kit.base.redis_commands import RedisCommands

MEMBERS = "bars:{leases}:members"
"""Members by the time, in ms, up to which they are there."""
HELD = "bars:{leases}:held"
"""Shard to "<time in ms up to which> <member>"."""

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

    def __init__(self, url: str, member: str, lease_seconds: float) -> None:
        self.member = member
        """The same after a restart, so that a process that was killed gets its shards back."""
        self.lease_seconds = lease_seconds
        self._commands = RedisCommands(url)

    async def claim(self, shards: Collection[int]) -> tuple[list[str], set[int]]:
        """Say that we are there, and take or renew these. Returns who is there, and which of the
        shards are ours now."""
        milliseconds = int(self.lease_seconds * 1000)
        members, granted = await self._call(
            "EVAL", _CLAIM, 2, MEMBERS, HELD, self.member, milliseconds, *shards
        )
        return [member.decode() for member in members], set(map(int, granted))

    async def release(self, shards: Collection[int]) -> None:
        """Let others have these at once."""
        await self._call("EVAL", _RELEASE, 1, HELD, self.member, *shards)

    async def holder(self, shard: int) -> str | None:
        """The member who holds a shard, None when no one does or it is not renewed any more."""
        held = await self._call("HGET", HELD, shard) or b""
        there = await self._call("ZRANGE", MEMBERS, 0, -1)
        member: bytes = held.partition(b" ")[2]
        return member.decode() if member in there else None

    async def leave(self, shards: Collection[int]) -> None:
        """Let go of everything: the process ends."""
        await self.release(shards)
        await self._call("ZREM", MEMBERS, self.member)

    async def close(self) -> None:
        """End the connections."""
        await self._commands.close()

    async def _call(self, *command: str | int) -> Any:
        try:
            return await self._commands.call(*command)
        except RedisError as error:
            raise StoreUnavailable(f"Redis is away: {error}", store="redis") from error
