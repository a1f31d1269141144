"""Shards of instruments, and which aggregator makes the bars of each.

Instruments are distributed over a fixed number of shards, and shards over the running aggregators
(``kit/base/rendezvous``).
"""

from collections.abc import Collection

from kit.base import rendezvous

SHARDS = 16
"""Also the largest useful number of aggregators. Positions are stored per shard, so this number is
part of the schema."""


def shard_of(venue_id: str, symbol: str) -> int:
    """The shard of an instrument. It never changes."""
    return rendezvous.share_of(f"{venue_id}/{symbol}", SHARDS)


def shards_for(member: str, members: Collection[str]) -> set[int]:
    """The shards of one of the members."""
    return rendezvous.shares_for(member, members, SHARDS)
