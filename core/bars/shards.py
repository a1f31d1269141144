"""Shards of instruments, and which aggregator makes the bars of each.

Instruments are distributed over a fixed number of shards. Each shard belongs to the running
aggregator that ranks highest for it (rendezvous hashing): when an aggregator starts or stops, no
shard moves between two others.
"""

import hashlib
from collections.abc import Collection

SHARDS = 16
"""Also the largest useful number of aggregators. Positions are stored per shard, so this number is
part of the schema."""


def shard_of(venue_id: str, symbol: str) -> int:
    """The shard of an instrument. It never changes."""
    return _digest(f"{venue_id}/{symbol}")[0] % SHARDS


def shards_for(member: str, members: Collection[str]) -> set[int]:
    """The shards of one of the members."""
    return {
        shard
        for shard in range(SHARDS)
        if max(members, key=lambda name: (_rank(shard, name), name)) == member
    }


def _rank(shard: int, member: str) -> bytes:
    return _digest(f"{shard} {member}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
