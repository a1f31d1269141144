"""The log: what is taken in, signed, anchored and proven."""

import hashlib

import pytest
from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from core.audit.tests.rig import EXECUTIONS, LEDGER, Rig, fill, postings, rig_for
from kit.base.errors import BadRequest, UnknownEvent
from kit.events.leases import LeaseLost
from kit.merkle import checkpoints, proofs
from kit.merkle.tree import GrowingTree, leaf_hash


@pytest.fixture
async def rig(postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path) as rig:
        yield rig


async def exported(rig: Rig, first_leaf: int = 0) -> list[bytes]:
    responses = rig.exporter.responses(first_leaf)
    return [leaf async for response in responses for leaf in response.leaves]


async def test_every_event_of_every_stream_is_a_leaf_once(rig: Rig):
    for number in range(30):
        await rig.put(EXECUTIONS, fill(number))
        await rig.put(LEDGER, *(postings(part, fill(number)) for part in range(number % 3)))
    await rig.write()
    leaves = await exported(rig)
    stored = [event_pb2.StoredEvent.FromString(leaf) for leaf in leaves]
    assert [one.SerializeToString(deterministic=True) for one in stored] == leaves
    places = [(one.position.stream, one.position.sequence) for one in stored]
    assert len(places) == len(set(places)) == 60
    sequences: dict[int, int] = {}
    for stream, sequence in places:
        assert sequence == sequences.get(stream, 0) + 1
        sequences[stream] = sequence
    tree = GrowingTree()
    tree.extend([leaf_hash(leaf) for leaf in leaves])
    assert (await rig.store.load()).tree.root == tree.root == await rig.store.root(60)
    assert leaf_hash(leaves[0]) == hashlib.sha256(b"\0" + leaves[0]).digest()


async def test_two_writers_write_every_leaf_once(rig: Rig, postgres_url, tmp_path):
    """One after another has the lease, and the former one still believes that it has it."""
    async with rig_for(postgres_url, tmp_path, "audit-2") as other:
        for number in range(8):
            await rig.put(EXECUTIONS, fill(number))
            first, second = (rig, other) if number % 2 else (other, rig)
            assert await first.writer.append_new() == 1
            assert await second.writer.append_new() == 0
            epoch = first.store.lease.epoch
            await rig.execute("UPDATE leases SET expires_time = '-infinity'")
            await rig.put(EXECUTIONS, fill(100 + number))
            assert await second.writer.append_new() == 1
            await rig.put(EXECUTIONS, fill(200 + number))
            first.store.lease.epoch = epoch
            with pytest.raises(LeaseLost):
                await first.writer.append_new()
            with pytest.raises(LeaseLost):
                await first.checkpointer.sign((await rig.store.load()).tree, rig.now_ns)
            first.writer.state, first.store.lease.epoch = None, 0
            assert await second.writer.append_new() == 1
            await second.store.lease.release()
            second.writer.state = None
    assert await rig.store.size() == 24
    assert await rig.difference() == ""


async def test_a_checkpoint_is_signed_when_there_is_something_new(rig: Rig):
    assert await rig.sign() == 0
    await rig.put(EXECUTIONS, fill(1), fill(2))
    await rig.write()
    assert await rig.sign() == 2
    await rig.write()
    # The event of the checkpoint alone is nothing new.
    assert await rig.store.size() == 3
    assert await rig.sign() == 2
    rig.now_ns += 86_400_000_000_000
    assert await rig.sign() == 3
    await rig.put(EXECUTIONS, fill(3))
    await rig.write()
    assert await rig.sign() == 5
    found = await rig.store.checkpoint()
    assert found is not None
    opened = checkpoints.opened(found.note, rig.keys.origin, rig.keys.verifiers())
    assert (opened.size, opened.root) == (5, await rig.store.root(5))
    assert [rig.keys.opened(note).size for note in rig.file.notes()] == [2, 3, 5]
    last = event_pb2.StoredEvent.FromString((await exported(rig))[4])
    assert last.position.stream == event_pb2.EVENT_STREAM_SYSTEM
    assert rig.keys.opened(last.event.checkpoint_signed.note).size == 3


async def test_every_event_is_proven_against_the_checkpoint(rig: Rig):
    events = [fill(number) for number in range(13)]
    await rig.put(EXECUTIONS, *events[:7])
    await rig.write()
    first = await rig.sign()
    await rig.put(EXECUTIONS, *events[7:])
    await rig.write()
    size = await rig.sign()
    for event in events:
        proof = await rig.prover.prove(audit_pb2.ProveRequest(event_id=event.event_id))
        assert proof.size == size == rig.keys.opened(proof.checkpoint.note).size
        stored = event_pb2.StoredEvent.FromString(proof.leaf)
        assert stored.event == event
        index = proof.leaf_index
        root = proofs.root_of_inclusion(leaf_hash(proof.leaf), index, size, proof.path)
        assert root == proof.root == rig.keys.opened(proof.checkpoint.note).root
    proof = await rig.prover.prove(audit_pb2.ProveRequest(first_size=first))
    assert proofs.is_consistent(first, size, proof.path, proof.first_root, proof.root)
    assert proof.first_root == await rig.store.root(first)


async def test_what_cannot_be_proven_is_refused(rig: Rig):
    await rig.put(EXECUTIONS, fill(1))
    await rig.write()
    await rig.sign()
    await rig.put(EXECUTIONS, fill(2))
    await rig.write()
    wrong = [
        audit_pb2.ProveRequest(),
        audit_pb2.ProveRequest(event_id=b"short"),
        audit_pb2.ProveRequest(first_size=0),
        audit_pb2.ProveRequest(first_size=2),
        audit_pb2.ProveRequest(first_size=1, size=9),
    ]
    for request in wrong:
        with pytest.raises(BadRequest):
            await rig.prover.prove(request)
    for event in (fill(2), fill(3)):
        with pytest.raises(UnknownEvent):
            await rig.prover.prove(audit_pb2.ProveRequest(event_id=event.event_id))
    proof = await rig.prover.prove(audit_pb2.ProveRequest(event_id=fill(2).event_id, size=3))
    assert not proof.HasField("checkpoint")


async def test_a_root_is_signed_while_the_writer_begins_again(rig: Rig, monkeypatch):
    await rig.put(EXECUTIONS, fill(1), fill(2))
    await rig.write()

    async def begin_again() -> None:
        rig.writer.state = None

    monkeypatch.setattr(rig.checkpointer, "_require_agreement", begin_again)
    assert await rig.sign() == 2
