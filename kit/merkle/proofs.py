"""Proofs of RFC 9162: that a leaf is in a tree, and that a tree is the beginning of another one."""

from collections.abc import Sequence
from typing import NamedTuple

from kit.merkle.tree import node_hash


class LeafRange(NamedTuple):
    """A subtree, by its leaves."""

    begin: int
    end: int
    """After the last leaf."""


def inclusion_ranges(index: int, size: int) -> list[LeafRange]:
    """The subtrees whose hashes are the proof that the leaf is in a tree of this size, in the order
    of the proof. Raises ValueError for a leaf that such a tree does not have."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    found = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            found.append(LeafRange(middle, end))
            end = middle
        else:
            found.append(LeafRange(begin, middle))
            begin = middle
    return found[::-1]


def consistency_ranges(first: int, second: int) -> list[LeafRange]:
    """The subtrees whose hashes are the proof that a tree of size ``first`` is the beginning of one
    of size ``second``, in the order of the proof. Raises ValueError for other sizes."""
    if not 0 < first <= second:
        raise ValueError(f"sizes {first} and {second}: allowed is 0 < first <= second")
    found = []
    begin, end = 0, second
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            found.append(LeafRange(middle, end))
            end = middle
        else:
            found.append(LeafRange(begin, middle))
            begin = middle
    # The first tree itself need not be in the proof: who verifies it has its root.
    own = [LeafRange(begin, end)] if begin else []
    return own + found[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root of a tree of this size that the proof leads to (RFC 9162, 2.1.3.2). None: the proof
    is not one of this leaf and size."""
    if not 0 <= index < size:
        return None
    node, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            found = node_hash(beside, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        node, last = node >> 1, last >> 1
    return found if last == 0 else None


def is_consistent(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """Whether the proof shows that the first tree is the beginning of the second one (RFC 9162,
    2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, first_root)
    if not hashes:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first_found = second_found = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first_found = node_hash(beside, first_found)
            second_found = node_hash(beside, second_found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second_found = node_hash(second_found, beside)
        node, last = node >> 1, last >> 1
    return last == 0 and (first_found, second_found) == (first_root, second_root)


def _split(leaves: int) -> int:
    """The largest power of two below this number of leaves."""
    return 1 << (leaves - 1).bit_length() - 1
