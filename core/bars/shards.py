"""Which instruments go together, and which of several aggregators makes their bars.

Instruments are dealt into a fixed number of shards. Of the aggregators that are there, each shard
goes to the one that ranks highest for it (rendezvous hashing): when one comes or goes, no shard
moves between two others.
"""

import hashlib
from collections.abc import Collection

SHARDS = 16
"""Also the most aggregators that find something to do. Positions are stored per shard, so that this
number is part of the schema."""


def shard_of(venue_id: str, symbol: str) -> int:
    """The shard of an instrument, the same for ever."""
    return _digest(f"{venue_id}/{symbol}")[0] % SHARDS


def shards_for(member: str, members: Collection[str]) -> set[int]:
    """The shards that go to this member, who is one of the members."""
    return {
        shard
        for shard in range(SHARDS)
        if max(members, key=lambda name: (_rank(shard, name), name)) == member
    }


def _rank(shard: int, member: str) -> bytes:
    return _digest(f"{shard} {member}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
