"""Proves that an event is in the log, and that a newer log extends an older one."""

from collections.abc import Sequence

from venuemesh.audit.v1 import audit_pb2

from core.audit.store import AuditStore, StoredCheckpoint
from kit.base.database import POSTGRESQL
from kit.base.errors import BadRequest, StoreUnavailable, UnknownEvent
from kit.events.event_ids import EVENT_ID_BYTES
from kit.events.stored_bytes import stored_bytes
from kit.merkle import proofs
from kit.merkle.proofs import LeafRange
from kit.merkle.tree import complete_subtrees, hash_of


class Prover:
    """Answers Prove from the hashes of complete subtrees."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def prove(self, request: audit_pb2.ProveRequest) -> audit_pb2.ProveResponse:
        """Raises BadRequest, UnknownEvent and StoreUnavailable."""
        newest = await self._store.checkpoint(request.size)
        size = request.size or (newest.size if newest else 0)
        if request.size and request.size > (log_size := await self._store.size()):
            raise BadRequest(
                "the log is shorter", field="size", value=size, allowed=f"0 to {log_size}"
            )
        match request.WhichOneof("what"):
            case "event_id":
                answer = await self._inclusion(request.event_id, size)
            case "first_size":
                answer = await self._consistency(request.first_size, size)
            case _:
                allowed = "one of event_id and first_size"
                raise BadRequest("nothing to prove", field="event_id", value="", allowed=allowed)
        if newest is not None and newest.size == size:
            answer.checkpoint.CopyFrom(checkpoint_message(newest))
        return answer

    async def _inclusion(self, event_id: bytes, size: int) -> audit_pb2.ProveResponse:
        check_event_id(event_id)
        found = await self._store.leaf_of(event_id)
        if found is None or found[0] >= size:
            have = "is not in the log" if found is None else f"is leaf {found[0]}"
            text = f"event {event_id.hex()} {have}; the log of that size has {size} leaves"
            raise UnknownEvent(text, event_id=event_id.hex())
        index, event = found
        ranges = proofs.inclusion_ranges(index, size)
        *path, root = await self._hashes([*ranges, LeafRange(0, size)])
        return audit_pb2.ProveResponse(
            path=path, size=size, root=root, leaf_index=index, leaf=stored_bytes(event)
        )

    async def _consistency(self, first: int, size: int) -> audit_pb2.ProveResponse:
        if not 0 < first <= size:
            raise BadRequest(
                "not a size of an earlier log",
                field="first_size",
                value=first,
                allowed=f"1 to {size}",
            )
        ranges = proofs.consistency_ranges(first, size)
        *path, first_root, root = await self._hashes(
            [*ranges, LeafRange(0, first), LeafRange(0, size)]
        )
        return audit_pb2.ProveResponse(
            path=path, size=size, root=root, first_size=first, first_root=first_root
        )

    async def _hashes(self, ranges: Sequence[LeafRange]) -> list[bytes]:
        wanted = {subtree for one in ranges for subtree in complete_subtrees(*one)}
        known = await self._store.hashes(wanted)
        try:
            return [hash_of(*one, known) for one in ranges]
        except KeyError as error:
            text = f"the log has no hash of subtree {error}: Audit.Verify tells what is missing"
            raise StoreUnavailable(text, store=POSTGRESQL) from None


def check_event_id(event_id: bytes) -> None:
    """Raises BadRequest."""
    if len(event_id) != EVENT_ID_BYTES:
        raise BadRequest(
            "not the id of an event",
            field="event_id",
            value=event_id.hex(),
            allowed=f"{EVENT_ID_BYTES} bytes",
        )


def checkpoint_message(checkpoint: StoredCheckpoint) -> audit_pb2.Checkpoint:
    return audit_pb2.Checkpoint(
        size=checkpoint.size,
        root=checkpoint.root,
        signed_time_ns=checkpoint.signed_time_ns,
        note=checkpoint.note,
    )
