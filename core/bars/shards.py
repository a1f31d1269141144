"""Instruments are distributed over shards, and shards over the running aggregators
(``kit/events/shared_leases``)."""

from kit.base import rendezvous

SHARDS = 16
"""Also the largest useful number of aggregators. Positions are stored per shard, so this number is
part of the schema."""


def shard_of(venue_id: str, symbol: str) -> int:
    """The shard of an instrument. It never changes."""
    return rendezvous.share_of(f"{venue_id}/{symbol}", SHARDS)
