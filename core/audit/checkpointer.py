"""Signs the root of the log and copies the checkpoints to the anchors."""

import asyncio
from collections.abc import Sequence

from venuemesh.events.v1 import event_pb2

from core.audit.anchors import Anchor, AnchorDamaged
from core.audit.log_keys import LogKeys
from core.audit.log_writer import LogWriter
from core.audit.metrics import AuditMetrics
from core.audit.store import AuditStore, StoredCheckpoint
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import POSTGRESQL
from kit.base.degradation import DegradedReasons
from kit.base.errors import ServiceUnavailable, StoreUnavailable
from kit.events.event_ids import event_id
from kit.events.leases import LeaseLost
from kit.merkle.checkpoints import Checkpoint
from kit.merkle.key_folder import KeyFolderError
from kit.merkle.signed_notes import NoteError
from kit.merkle.tree import GrowingTree

SOURCE = "audit"
"""Source of the events of checkpoints."""
DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
ANCHORED_PER_ROUND = 100

_log = telemetry.logger("audit")


class AnchorContradiction(Exception):
    """The database is not the one whose checkpoints an anchor has."""


CANNOT_SIGN = (KeyFolderError, NoteError, AnchorContradiction, AnchorDamaged, OSError)


class Checkpointer:
    """Signs while its writer holds the log."""

    def __init__(
        self,
        store: AuditStore,
        writer: LogWriter,
        keys: LogKeys,
        anchors: Sequence[Anchor],
        metrics: AuditMetrics,
        degraded_reasons: DegradedReasons,
    ) -> None:
        self._store = store
        self._writer = writer
        self.keys = keys
        self._anchors = anchors
        self._metrics = metrics
        self._degraded_reasons = degraded_reasons

    async def run(self, interval_s: int, clock: Clock) -> None:
        """Sign at each multiple of the interval, endlessly. What a killed process has signed and
        not brought to the anchors is brought there at the start."""
        interval_ns = interval_s * NANOSECONDS_PER_SECOND
        while True:
            await self.round(clock.time_ns())
            now_ns = clock.time_ns()
            next_ns = min(_next(now_ns, interval_ns), _next(now_ns, DAY_NS))
            await clock.sleep((next_ns - now_ns) / NANOSECONDS_PER_SECOND)

    async def round(self, now_ns: int) -> None:
        """Sign what is new, and bring it to the anchors."""
        try:
            state = self._writer.state
            if state is not None:
                # Before the first await: during one the writer may continue or restart.
                tree = state.tree.copy()
                await self._require_agreement()
                await self.sign(tree, now_ns)
            await self.anchor()
        except StoreUnavailable as error:
            self._degraded_reasons.report(POSTGRESQL, error.message)
        except LeaseLost:
            # The writer notices it too.
            return
        except CANNOT_SIGN as error:
            self._metrics.refused_to_sign()
            self._degraded_reasons.report("checkpoints", str(error))
        else:
            self._degraded_reasons.clear("checkpoints")

    async def sign_now(self, now_ns: int) -> StoredCheckpoint:
        """Sign for somebody who asks, and return the newest checkpoint. Raises StoreUnavailable,
        and ServiceUnavailable if this process does not sign."""
        state = self._writer.state
        try:
            if state is not None:
                tree = state.tree.copy()
                await self._require_agreement()
                await self.sign(tree, now_ns, is_requested=True)
                await self.anchor()
        except (*CANNOT_SIGN, LeaseLost) as error:
            raise ServiceUnavailable(f"nothing is signed: {error}") from None
        newest = await self._store.checkpoint()
        if state is None or newest is None:
            text = "this process does not write the log, or reads it again; try again"
            raise ServiceUnavailable(text)
        return newest

    async def sign(
        self, tree: GrowingTree, now_ns: int, *, is_requested: bool = False
    ) -> StoredCheckpoint | None:
        """Sign the root of this tree, which is stored, if there is anything new. Raises
        StoreUnavailable, LeaseLost and KeyFolderError."""
        last = await self._store.checkpoint()
        last_size, last_ns = (last.size, last.signed_time_ns) if last else (0, 0)
        self._metrics.signed(last_size)
        if tree.size <= last_size:
            return None
        is_first_of_day = now_ns // DAY_NS > last_ns // DAY_NS
        # The event of a checkpoint is a leaf too: alone it is no reason for another one.
        is_wanted = is_first_of_day or is_requested
        if not is_wanted and not await self._store.has_news(last_size, tree.size):
            return None
        keys = await asyncio.to_thread(self.keys.signing, now_ns)
        note = Checkpoint(self.keys.origin, tree.size, tree.root).signed(keys)
        checkpoint = StoredCheckpoint(tree.size, now_ns, tree.root, note)
        event = checkpoint_event(checkpoint)
        event.checkpoint_signed.first_of_day = is_first_of_day
        event.checkpoint_signed.requested = is_requested
        if not await self._store.add_checkpoint(checkpoint, event):
            return None
        self._metrics.signed(tree.size)
        _log.info("checkpoint signed", extra={"size": tree.size, "root": tree.root.hex()})
        return checkpoint

    async def anchor(self) -> None:
        """Bring each anchor what it does not have. Raises StoreUnavailable, OSError, NoteError and
        AnchorContradiction."""
        for anchor in self._anchors:
            size = await self._anchored_size(anchor)
            while waiting := await self._store.checkpoints_after(size, ANCHORED_PER_ROUND):
                for checkpoint in waiting:
                    await self._require_own(checkpoint)
                    await anchor.add(checkpoint)
                    size = checkpoint.size
            self._metrics.anchored(anchor.name, size)

    async def _anchored_size(self, anchor: Anchor) -> int:
        note = await anchor.newest()
        return self.keys.opened(note).size if note else 0

    async def _require_own(self, checkpoint: StoredCheckpoint) -> None:
        """Who writes the database must not have something anchored that was not signed here."""
        signed = self.keys.opened(checkpoint.note)
        if (signed.size, signed.root) != (checkpoint.size, checkpoint.root):
            raise AnchorContradiction(f"checkpoint {checkpoint.size} differs from its note")

    async def _require_agreement(self) -> None:
        """Raise AnchorContradiction when the log is not a continuation of what is anchored: another
        signature would vouch for a second history."""
        for anchor in self._anchors:
            note = await anchor.newest()
            if note is None:
                continue
            anchored = self.keys.opened(note)
            try:
                root = await self._store.root(anchored.size)
            except KeyError:
                root = b""
            if root != anchored.root:
                raise AnchorContradiction(
                    f"the anchor {anchor.name} has a checkpoint of {anchored.size} leaves that the "
                    "database does not have: nothing is signed; see docs/AUDIT.md"
                )


def checkpoint_event(checkpoint: StoredCheckpoint) -> event_pb2.Event:
    """The event of a checkpoint."""
    event = event_pb2.Event(
        event_id=event_id(SOURCE, "", [checkpoint.root, str(checkpoint.size).encode()]),
        source=SOURCE,
        time_ns=checkpoint.signed_time_ns,
    )
    event.checkpoint_signed.note = checkpoint.note
    return event


def _next(now_ns: int, interval_ns: int) -> int:
    return (now_ns // interval_ns + 1) * interval_ns
