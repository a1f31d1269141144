"""Divides work among members by rendezvous hashing, evenly.

Each item belongs to the member that ranks highest for it and has room: no member has more than its
even part, rounded up. All who know the same items and members agree, without a word.
"""

import hashlib
from collections import Counter
from collections.abc import Collection


def share_of(name: str, count: int) -> int:
    """The share of an item, from 0. It never changes."""
    return _digest(name)[0] % count


def owners(items: Collection[str], members: Collection[str]) -> dict[str, str]:
    """The member of each item. There must be a member."""
    most = -(-len(items) // len(members))
    ranks = [(_digest(f"{item} {member}"), item, member) for item in items for member in members]
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for _, item, member in sorted(ranks, reverse=True):
        if item not in found and counts[member] < most:
            found[item] = member
            counts[member] += 1
    return found


def shares_for(member: str, members: Collection[str], count: int) -> set[int]:
    """The numbered shares of one of the members."""
    found = owners([str(share) for share in range(count)], members)
    return {int(share) for share, owner in found.items() if owner == member}


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
