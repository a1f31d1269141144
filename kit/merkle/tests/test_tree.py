"""The tree and its proofs, compared with the recursive definitions of RFC 9162."""

import hashlib

import pytest

from kit.merkle import proofs
from kit.merkle.tree import EMPTY_ROOT, GrowingTree, Subtree, complete_subtrees, hash_of, leaf_hash

LEAVES = [leaf_hash(f"leaf {number}".encode()) for number in range(40)]


def naive_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = largest_power_below(len(leaves))
    return hashlib.sha256(
        b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])
    ).digest()


def naive_path(index, leaves):
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_consistency(first, leaves, is_first_known=True):
    if first == len(leaves):
        return [] if is_first_known else [naive_root(leaves)]
    split = largest_power_below(len(leaves))
    if first <= split:
        rest = naive_root(leaves[split:])
        return [*naive_consistency(first, leaves[:split], is_first_known), rest]
    rest = naive_root(leaves[:split])
    return [*naive_consistency(first - split, leaves[split:], False), rest]


def largest_power_below(number):
    return max(1 << bit for bit in range(10) if 1 << bit < number)


def grown(leaves):
    """The tree of the leaves, and the hashes that a store has of it."""
    tree = GrowingTree()
    known = {Subtree(0, index): leaf for index, leaf in enumerate(leaves)}
    known |= {node.subtree: node.hash for node in tree.extend(leaves)}
    return tree, known


def test_roots_are_those_of_the_definition():
    assert GrowingTree().root == EMPTY_ROOT
    for size in range(1, len(LEAVES) + 1):
        tree, known = grown(LEAVES[:size])
        assert tree.root == naive_root(LEAVES[:size])
        assert hash_of(0, size, known) == tree.root
        # Every complete subtree and no other one, each once.
        assert len(known) == sum(size >> level for level in range(10))


def test_a_tree_goes_on_from_the_hashes_of_its_complete_subtrees():
    tree, known = grown(LEAVES)
    for size in range(len(LEAVES)):
        hashes = [known[subtree] for subtree in complete_subtrees(0, size)]
        continued = GrowingTree(size, hashes)
        continued.extend(LEAVES[size:])
        assert continued.root == tree.root
    with pytest.raises(ValueError, match="complete subtrees"):
        GrowingTree(3, [b""])


def test_inclusion_of_every_leaf_in_every_tree():
    for size in range(1, len(LEAVES) + 1):
        tree, known = grown(LEAVES[:size])
        for index in range(size):
            path = [hash_of(*one, known) for one in proofs.inclusion_ranges(index, size)]
            assert path == naive_path(index, LEAVES[:size])
            found = proofs.root_of_inclusion(LEAVES[index], index, size, path)
            assert found == tree.root
            others = (
                (index, size, path[:-1]),
                (index, size, [*path, path[-1] if path else b""]),
                (size, size, path),
            )
            for other in others:
                if other[2] != path or other[0] == size:
                    assert proofs.root_of_inclusion(LEAVES[index], *other) != tree.root
        with pytest.raises(ValueError, match="no leaf"):
            proofs.inclusion_ranges(size, size)


def test_consistency_of_every_two_trees():
    for second in range(1, len(LEAVES) + 1):
        tree, known = grown(LEAVES[:second])
        for first in range(1, second + 1):
            path = [hash_of(*one, known) for one in proofs.consistency_ranges(first, second)]
            assert path == naive_consistency(first, LEAVES[:second])
            first_root = naive_root(LEAVES[:first])
            assert proofs.is_consistent(first, second, path, first_root, tree.root)
            assert not proofs.is_consistent(first, second, path, b"", tree.root)
            assert not proofs.is_consistent(first, second, path, first_root, b"")
            assert not proofs.is_consistent(
                first, second, [*path, tree.root], first_root, tree.root
            )
            if path:
                assert not proofs.is_consistent(first, second, path[1:], first_root, tree.root)
    for first, second in ((0, 1), (2, 1)):
        assert not proofs.is_consistent(first, second, [], b"", b"")
        with pytest.raises(ValueError, match="allowed"):
            proofs.consistency_ranges(first, second)
