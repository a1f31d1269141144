"""Divides numbered shares of work among members by rendezvous hashing.

Each share belongs to the member that ranks highest for it: when a member comes or goes, no share
moves between two others.
"""

import hashlib
from collections.abc import Collection


def share_of(name: str, count: int) -> int:
    """The share of an item, from 0. It never changes."""
    return _digest(name)[0] % count


def shares_for(member: str, members: Collection[str], count: int) -> set[int]:
    """The shares of one of the members."""
    return {
        share
        for share in range(count)
        if max(members, key=lambda name: (_rank(share, name), name)) == member
    }


def _rank(share: int, member: str) -> bytes:
    return _digest(f"{share} {member}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
