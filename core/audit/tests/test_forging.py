"""Somebody who can write every table, but has neither the key nor the anchor."""

import random

import pytest

from core.audit.tests.rig import EXECUTIONS, LEDGER, Rig, fill, order, postings, rig_for
from kit.events.event_log import encoded
from kit.events.stored_bytes import stored_bytes
from kit.merkle.tree import GrowingTree, leaf_hash

FILLS = 60


@pytest.fixture
async def rig(postgres_url, tmp_path):
    """A log whose last event is the one of its last checkpoint."""
    async with rig_for(postgres_url, tmp_path) as rig:
        for number in range(FILLS):
            await rig.put(EXECUTIONS, order(number), fill(number))
            await rig.put(LEDGER, postings(number, fill(number)))
            await rig.write()
            if number % 20 == 19:
                await rig.sign()
        await rig.write()
        yield rig


async def forge_tree(rig: Rig) -> None:
    """Compute the leaves and everything above them again, as if nothing had happened."""
    tree, leaves, nodes = GrowingTree(), [], []
    rows = await rig.reader.leaves(0, await rig.store.size())
    for row in rows:
        assert row.event is not None
        leaf = leaf_hash(stored_bytes(row.event))
        leaves.append(leaf)
        nodes += tree.extend([leaf])
    for index, leaf in enumerate(leaves):
        await rig.execute("UPDATE audit_leaves SET hash = %s WHERE index = %s", leaf, index)
    for node in nodes:
        statement = "UPDATE audit_nodes SET hash = %s WHERE level = %s AND index = %s"
        await rig.execute(statement, node.hash, *node.subtree)


async def test_a_recomputed_tree_differs_from_what_was_signed(rig: Rig):
    assert await rig.difference() == ""
    changed = fill(21)
    changed.order_filled.fill.price = "1"
    statement = "UPDATE events SET body = %s WHERE event_id = %s"
    assert await rig.execute(statement, encoded(changed), changed.event_id) == 1
    await forge_tree(rig)
    outcome = await rig.verify()
    assert await rig.difference() == "ROOT"
    signed = [checkpoint.size for checkpoint in await rig.store.checkpoints_after(0, 10)]
    assert outcome.signed_size == signed[0]
    assert outcome.difference.leaf_index == signed[1]
    # The checkpoints that do not agree go too: the anchor still has them.
    await rig.execute("DELETE FROM audit_checkpoints WHERE size > %s", signed[0])
    assert await rig.difference() == "ANCHOR"


async def test_a_truncated_log_is_found_and_not_signed_again(rig: Rig):
    size = await rig.store.size()
    rows = await rig.reader.leaves(size - 20, size)
    for row in rows:
        place = (row.event and row.event.sequence, row.event_id)
        await rig.execute("DELETE FROM events WHERE sequence = %s AND event_id = %s", *place)
    await rig.execute("DELETE FROM audit_leaves WHERE index >= %s", size - 20)
    await rig.execute("DELETE FROM audit_nodes WHERE (index + 1) << level > %s", size - 20)
    for table in ("event_streams", "event_positions"):
        newest = "SELECT coalesce(max(sequence), 0) FROM events WHERE events.stream = one.stream"
        await rig.execute(f"UPDATE {table} AS one SET sequence = ({newest})")
    assert await rig.difference() == "TRUNCATED"
    await rig.execute("DELETE FROM audit_checkpoints WHERE size > %s", size - 20)
    assert await rig.difference() == "ANCHOR"
    rig.writer.state = None
    for number in range(100, 140):
        await rig.put(EXECUTIONS, fill(number))
    await rig.write()
    before = await rig.store.checkpoint()
    await rig.sign()
    assert await rig.store.checkpoint() == before
    assert "nothing is signed" in rig.detail


async def test_a_checkpoint_of_another_key_is_neither_accepted_nor_anchored(
    rig: Rig, tmp_path, postgres_url
):
    anchored = list(rig.file.notes())
    async with rig_for(postgres_url, tmp_path / "forger") as forger:
        await forger.writer.append_new()
        forger.now_ns = rig.now_ns + 86_400_000_000_000
        await forger.sign()
    assert await rig.difference() == "SIGNATURE"
    await rig.sign()
    assert "no known key has signed the note" in rig.detail
    assert list(rig.file.notes()) == anchored


async def test_every_random_bit_of_a_larger_log_is_found(rig: Rig):
    source = random.Random(5)
    rows = await rig.reader.leaves(0, await rig.store.size())
    for _ in range(40):
        row = source.choice(rows)
        assert row.event is not None
        assert row.event_id is not None
        table, column, before = source.choice(
            [
                ("events", "body", row.event.body),
                ("events", "event_id", row.event_id),
                ("audit_leaves", "hash", row.hash),
            ]
        )
        bit = source.randrange(len(before) * 8)
        changed = bytearray(before)
        changed[bit // 8] ^= 1 << bit % 8
        statement = f"UPDATE {table} SET {column} = %s WHERE {column} = %s"
        assert await rig.execute(statement, bytes(changed), before) == 1
        assert await rig.difference(), (table, column, row.index, bit)
        await rig.execute(statement, before, bytes(changed))
    assert await rig.difference() == ""
