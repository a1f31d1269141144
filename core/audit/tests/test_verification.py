"""Whatever somebody changes who can write the database, the verification finds."""

import pytest

from core.audit.tests.rig import EXECUTIONS, LEDGER, Rig, fill, order, postings, rig_for

FILLS = 12
SWAP = """
UPDATE events SET body = other.body FROM events AS other
WHERE events.stream = 'executions' AND other.stream = 'executions'
    AND events.sequence IN (4, 6) AND other.sequence = 10 - events.sequence
"""


@pytest.fixture
async def rig(postgres_url, tmp_path):
    """A log with three checkpoints and some events after the last one."""
    async with rig_for(postgres_url, tmp_path) as rig:
        for number in range(FILLS):
            await rig.put(EXECUTIONS, order(number), fill(number))
            await rig.put(LEDGER, postings(number, fill(number)))
            await rig.write()
            if number % 4 == 2:
                await rig.sign()
                await rig.write()
        yield rig


async def test_an_unchanged_log_agrees(rig: Rig):
    outcome = await rig.verify()
    assert not outcome.HasField("difference")
    size = await rig.store.size()
    assert (outcome.leaves, outcome.size, outcome.is_done) == (size, size, True)
    assert (outcome.checkpoints, outcome.anchored_checkpoints) == (3, 3)
    newest = await rig.store.checkpoint()
    assert newest is not None
    assert outcome.signed_size == newest.size
    later = await rig.verify(since=newest.size)
    assert not later.HasField("difference")
    assert later.leaves == size - newest.size


CHANGES = {
    "EVENT_CHANGED": [
        "UPDATE events SET body = set_bit(body, 77, 1 - get_bit(body, 77)) WHERE sequence = 3",
        "UPDATE events SET stored_time_ns = stored_time_ns + 1 WHERE sequence = 2",
        "UPDATE audit_leaves SET hash = set_bit(hash, 0, 1 - get_bit(hash, 0)) WHERE index = 5",
        SWAP,
    ],
    "EVENT_MISSING": [
        "DELETE FROM events WHERE stream = 'ledger' AND sequence = 5",
        "UPDATE events SET sequence = 1000 WHERE stream = 'ledger' AND sequence = 5",
    ],
    "EVENT_COLUMNS": [
        "UPDATE events SET subject = 'fill:elsewhere' WHERE stream = 'executions' AND sequence = 2",
        "UPDATE events SET lifecycle_id = 'x' WHERE stream = 'executions' AND sequence = 2",
        "UPDATE events SET event_id = 'x' WHERE stream = 'executions' AND sequence = 2",
    ],
    "LEAF_ORDER": [
        "DELETE FROM audit_leaves WHERE index = 7",
        "DELETE FROM audit_leaves WHERE index = 0",
        "UPDATE audit_leaves SET sequence = 1000 WHERE index = 4",
    ],
    "SUBTREE": [
        "DELETE FROM audit_nodes WHERE level = 2 AND index = 1",
        "UPDATE audit_nodes SET hash = '' WHERE level = 3 AND index = 0",
    ],
    "SIGNATURE": [
        "UPDATE audit_checkpoints SET root = ''",
        "UPDATE audit_checkpoints SET size = size + 1 WHERE size < 20",
        "UPDATE audit_checkpoints SET note = replace(note, 'venuemesh', 'venuemesj')",
    ],
    "ANCHOR": [
        "DELETE FROM audit_checkpoints WHERE size < 20",
    ],
    "TRUNCATED": [
        "UPDATE event_streams SET sequence = 1 WHERE stream = 'ledger'",
        "UPDATE event_positions SET sequence = 1 WHERE consumer = 'audit'",
    ],
}


@pytest.mark.parametrize(
    ("kind", "statement"),
    [(kind, statement) for kind, statements in CHANGES.items() for statement in statements],
)
async def test_a_changed_row_is_found(rig: Rig, kind: str, statement: str):
    assert await rig.execute(statement) > 0
    assert await rig.difference() == kind
