"""Exports the stored log for an offline verification."""

from collections.abc import AsyncIterator

from venuemesh.audit.v1 import audit_pb2

from core.audit.log_reader import LogReader
from core.audit.proofs import checkpoint_message
from core.audit.store import AuditStore
from kit.events.stored_bytes import stored_bytes

CHECKPOINTS_MAX = 1_000


class LogExporter:
    """Answers Export."""

    def __init__(self, store: AuditStore, reader: LogReader) -> None:
        self._store = store
        self._reader = reader

    async def responses(self, first_leaf: int) -> AsyncIterator[audit_pb2.ExportResponse]:
        """The leaves up to the end of the log, with the checkpoints among them. An event that is
        missing ends the leaves: what follows could not be verified."""
        size = await self._store.size()
        begin = first_leaf
        async for end, rows in self._reader.blocks(first_leaf, size):
            leaves = [stored_bytes(row.event) for row in rows if row.event is not None]
            found = await self._store.checkpoints_after(begin, CHECKPOINTS_MAX)
            reached = [checkpoint_message(one) for one in found if one.size <= end]
            yield audit_pb2.ExportResponse(leaves=leaves, first_leaf=begin, checkpoints=reached)
            if len(leaves) < end - begin:
                return
            begin = end
