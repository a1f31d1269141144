"""Compares events with leaves, leaves with subtrees, and the tree with signed checkpoints."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from venuemesh.audit.v1 import audit_pb2

from core.audit.anchors import AnchorDamaged, AnchorFile
from core.audit.log_keys import LogKeys
from core.audit.log_reader import LeafRow, LogReader
from core.audit.store import AuditStore, StoredCheckpoint
from kit.base.errors import UnknownCheckpoint
from kit.events.stored_bytes import stored_bytes
from kit.events.streams import EventStream, stream_name
from kit.events.subjects import subject_of
from kit.merkle.checkpoints import Checkpoint
from kit.merkle.signed_notes import NoteError
from kit.merkle.tree import GrowingTree, Subtree, complete_subtrees, leaf_hash

PAGE = 1_000
"""Checkpoints of one read."""


class DifferenceFound(Exception):
    """The first difference."""

    def __init__(
        self,
        kind: audit_pb2.LogDifferenceKind.ValueType,
        leaf_index: int,
        detail: str,
        row: LeafRow | None = None,
    ) -> None:
        super().__init__(detail)
        self.difference = audit_pb2.LogDifference(kind=kind, leaf_index=leaf_index, detail=detail)
        if row is not None:
            self.difference.position.stream = row.stream
            self.difference.position.sequence = row.sequence
            self.difference.event_id = row.event_id or b""


@dataclass(frozen=True, slots=True)
class ExpectedRoot:
    """A root that the log must have at some size."""

    root: bytes
    anchor: bool
    """Whether an anchor has it, or the database."""


class Verification:
    """One comparison of a log up to a size."""

    def __init__(
        self, store: AuditStore, reader: LogReader, keys: LogKeys, file: AnchorFile | None
    ) -> None:
        self._store = store
        self._reader = reader
        self._keys = keys
        self._file = file
        self._tree = GrowingTree()
        self._sequences: dict[EventStream, int] = {}
        self._expected: defaultdict[int, list[ExpectedRoot]] = defaultdict(list)
        self._progress = audit_pb2.VerifyResponse()

    async def run(self, since: int) -> AsyncIterator[audit_pb2.VerifyResponse]:
        """Yield the progress, and last the outcome. Raises UnknownCheckpoint, StoreUnavailable."""
        self._progress.size = size = await self._store.size()
        try:
            await self._expect_stored(since)
            await asyncio.to_thread(self._expect_anchored, since)
            await self._begin(since)
            async for end, rows in self._reader.blocks(since, size):
                nodes = await self._reader.nodes(self._tree.size, end)
                await asyncio.to_thread(self._compare, rows, nodes, end)
                self._progress.leaves = self._tree.size - since
                yield self._progress
            await self._compare_ends()
        except DifferenceFound as found:
            self._progress.difference.CopyFrom(found.difference)
        self._progress.is_done = True
        yield self._progress

    async def _expect_stored(self, since: int) -> None:
        last = since - 1 if since else 0
        while page := await self._store.checkpoints_after(last, PAGE):
            for checkpoint in page:
                self._require_signed(checkpoint)
                self._expected[checkpoint.size].append(ExpectedRoot(checkpoint.root, anchor=False))
            last = page[-1].size
        if since and since not in self._expected:
            raise UnknownCheckpoint(f"no checkpoint has {since} leaves", size=since)

    def _require_signed(self, stored: StoredCheckpoint) -> None:
        kind = audit_pb2.LOG_DIFFERENCE_KIND_SIGNATURE
        try:
            checkpoint = self._keys.opened(stored.note)
        except NoteError as error:
            raise DifferenceFound(kind, stored.size, f"checkpoint {stored.size}: {error}") from None
        if (checkpoint.size, checkpoint.root) != (stored.size, stored.root):
            raise DifferenceFound(
                kind, stored.size, f"checkpoint {stored.size} differs from its note"
            )

    def _expect_anchored(self, since: int) -> None:
        for checkpoint in self._anchored():
            self._progress.anchored_checkpoints += 1
            if checkpoint.size < since:
                continue
            known = [expected.root for expected in self._expected.get(checkpoint.size, ())]
            if checkpoint.root not in known:
                state = "has another root" if known else "is not in the database"
                raise DifferenceFound(
                    audit_pb2.LOG_DIFFERENCE_KIND_ANCHOR,
                    checkpoint.size,
                    f"the anchored checkpoint of {checkpoint.size} leaves {state}",
                )
            expected = ExpectedRoot(checkpoint.root, anchor=True)
            self._expected[checkpoint.size].append(expected)

    def _anchored(self) -> Iterator[Checkpoint]:
        if self._file is None:
            return
        try:
            for note in self._file.notes():
                yield self._keys.opened(note)
        except (AnchorDamaged, NoteError, OSError) as error:
            raise DifferenceFound(
                audit_pb2.LOG_DIFFERENCE_KIND_ANCHOR, 0, f"the anchor: {error}"
            ) from None

    async def _begin(self, since: int) -> None:
        """Begin with the tree of a checkpoint."""
        wanted = complete_subtrees(0, since)
        known = await self._store.hashes(wanted)
        if len(known) < len(wanted):
            missing = next(subtree for subtree in wanted if subtree not in known)
            detail = f"the hash of subtree {missing.number} of level {missing.level} is missing"
            raise DifferenceFound(
                audit_pb2.LOG_DIFFERENCE_KIND_SUBTREE, missing.number << missing.level, detail
            )
        self._tree = GrowingTree(since, [known[subtree] for subtree in wanted])
        self._sequences = await self._reader.counts(since) if since else {}
        if since:
            self._compare_root()

    def _compare(self, rows: Sequence[LeafRow], nodes: Mapping[Subtree, bytes], end: int) -> None:
        for row in rows:
            self._require_next(row)
            self._compare_event(row)
            for node in self._tree.append(row.hash):
                if nodes.get(node.subtree) != node.hash:
                    level, index = node.subtree
                    detail = f"the stored hash of subtree {index} of level {level} is another one"
                    raise DifferenceFound(
                        audit_pb2.LOG_DIFFERENCE_KIND_SUBTREE, row.index, detail, row
                    )
            if self._tree.size in self._expected:
                self._compare_root()
        if self._tree.size != end:
            detail = f"leaf {self._tree.size} is missing"
            raise DifferenceFound(audit_pb2.LOG_DIFFERENCE_KIND_LEAF_ORDER, self._tree.size, detail)

    def _require_next(self, row: LeafRow) -> None:
        kind = audit_pb2.LOG_DIFFERENCE_KIND_LEAF_ORDER
        if row.index != self._tree.size:
            raise DifferenceFound(kind, self._tree.size, f"leaf {self._tree.size} is missing")
        wanted = self._sequences.get(row.stream, 0) + 1
        if row.sequence != wanted:
            name = stream_name(row.stream)
            detail = f"leaf {row.index} is event {row.sequence} of stream {name}, not {wanted}"
            raise DifferenceFound(kind, row.index, detail, row)
        self._sequences[row.stream] = wanted

    def _compare_event(self, row: LeafRow) -> None:
        place = f"event {row.sequence} of stream {stream_name(row.stream)}"
        if row.event is None:
            kind = audit_pb2.LOG_DIFFERENCE_KIND_EVENT_MISSING
            raise DifferenceFound(kind, row.index, f"{place} is not there", row)
        found = leaf_hash(stored_bytes(row.event))
        if found != row.hash:
            detail = f"{place} has the hash {found.hex()}; the log has {row.hash.hex()}"
            raise DifferenceFound(
                audit_pb2.LOG_DIFFERENCE_KIND_EVENT_CHANGED, row.index, detail, row
            )
        event = row.event.event()
        columns = (event.event_id, event.lifecycle_id, subject_of(event))
        if columns != (row.event_id, row.lifecycle_id, row.subject):
            detail = f"the columns of {place} differ from the event"
            raise DifferenceFound(
                audit_pb2.LOG_DIFFERENCE_KIND_EVENT_COLUMNS, row.index, detail, row
            )

    def _compare_root(self) -> None:
        size = self._tree.size
        for expected in self._expected.pop(size):
            if expected.root != self._tree.root:
                signed = self._progress.signed_size
                detail = (
                    f"the first {size} leaves have the root {self._tree.root.hex()}, and "
                    f"{expected.root.hex()} was signed: leaf {signed} or a later one was changed"
                )
                raise DifferenceFound(audit_pb2.LOG_DIFFERENCE_KIND_ROOT, size, detail)
            self._progress.checkpoints += int(not expected.anchor)
        self._progress.signed_size = size

    async def _compare_ends(self) -> None:
        kind = audit_pb2.LOG_DIFFERENCE_KIND_TRUNCATED
        # Those that were signed since the call began are not in what it has compared.
        beyond = [size for size in self._expected if size > self._tree.size]
        if beyond and await self._store.size() < max(beyond):
            detail = f"{max(beyond)} leaves were signed, and {self._tree.size} are there"
            raise DifferenceFound(kind, self._tree.size, detail)
        for stream, end in (await self._reader.ends()).items():
            logged = self._sequences.get(stream, 0)
            if end.last < logged:
                detail = f"stream {stream_name(stream)} ends at {end.last}, and {logged} are logged"
                raise DifferenceFound(kind, self._tree.size, detail)
            if end.position < logged:
                detail = f"the log's position in stream {stream_name(stream)} was changed"
                raise DifferenceFound(kind, self._tree.size, detail)
