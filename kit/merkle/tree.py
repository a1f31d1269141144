"""Merkle trees of RFC 9162: their hashes, and growth by one leaf at a time.

A subtree that is complete never changes. The hash of any tree and every proof follow from the
hashes of O(log n) complete subtrees, so those are what a store keeps.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

HASH_BYTES = 32
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
EMPTY_ROOT = hashlib.sha256().digest()


class Subtree(NamedTuple):
    """A complete subtree: the leaves from ``number << level`` on, ``1 << level`` of them."""

    level: int
    """0: a leaf."""
    number: int


@dataclass(frozen=True, slots=True)
class Node:
    """A complete subtree and its hash."""

    subtree: Subtree
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, one beside the other."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def complete_subtrees(begin: int, end: int) -> list[Subtree]:
    """The complete subtrees that a subtree of the leaves from ``begin`` to before ``end`` is made
    of, from left to right. Only the last subtrees of a tree have more than one."""
    found = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        found.append(Subtree(level, begin >> level))
        begin += 1 << level
    return found


def joined(hashes: Sequence[bytes]) -> bytes:
    """The hash of complete subtrees that become smaller from left to right."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def hash_of(begin: int, end: int, known: Mapping[Subtree, bytes]) -> bytes:
    """The hash of a subtree of the leaves from ``begin`` to before ``end``. Raises KeyError when a
    complete subtree that it is made of is not known."""
    return joined([known[subtree] for subtree in complete_subtrees(begin, end)])


class GrowingTree:
    """A tree that leaves are appended to. It keeps O(log n) hashes."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """``hashes``: of the complete subtrees of a tree of that size, from left to right."""
        if len(hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees")
        self._size = size
        self._hashes = list(hashes)

    @property
    def size(self) -> int:
        return self._size

    @property
    def root(self) -> bytes:
        return joined(self._hashes)

    def append(self, leaf: bytes) -> Iterator[Node]:
        """Append the hash of a leaf. Yields the subtrees above it that it completes, upwards, and
        has appended it when all of them are taken."""
        level, index, found = 0, self._size, leaf
        while index & 1:
            found = node_hash(self._hashes.pop(), found)
            level, index = level + 1, index >> 1
            yield Node(Subtree(level, index), found)
        self._hashes.append(found)
        self._size += 1

    def extend(self, leaves: Sequence[bytes]) -> list[Node]:
        """Append hashes of leaves. Returns the subtrees above them that they complete."""
        return [node for leaf in leaves for node in self.append(leaf)]

    def copy(self) -> "GrowingTree":
        return GrowingTree(self._size, self._hashes)
