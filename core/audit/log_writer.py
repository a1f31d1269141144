"""Appends every new event to the log."""

import asyncio
from collections.abc import Sequence

from core.audit.metrics import AuditMetrics
from core.audit.store import AuditStore, LogState
from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import POSTGRESQL, ConsumerPositionConflict
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events.event_log import EventMissing
from kit.events.event_reader import EventReader
from kit.events.leases import RENEWALS, LeaseLost
from kit.events.logged_events import LoggedEvent, positions_of
from kit.events.stored_bytes import stored_bytes
from kit.events.streams import EVENT_STREAMS, EventStream, stream_name
from kit.merkle.tree import leaf_hash

GATHER_SECONDS = 0.2
"""An order has several events in a few milliseconds. They become one transaction, which does not
keep the disk and the processors from the order."""
LOG = "log"
"""Name of the reason why the process is degraded when events or leaves have been removed."""

_log = telemetry.logger("audit")


class LogWriter:
    """Writes the log while this process has the lease."""

    def __init__(
        self,
        store: AuditStore,
        batch_events_max: int,
        metrics: AuditMetrics,
        degraded_reasons: DegradedReasons,
    ) -> None:
        self._store = store
        self._batch_events_max = batch_events_max
        self._metrics = metrics
        self._degraded_reasons = degraded_reasons
        self.state: LogState | None = None
        """The log as this process has stored it. None: it has no lease, or is to read the log."""

    async def run(self, reader: EventReader, lease_seconds: float, clock: Clock) -> None:
        """Append endlessly, soon after the reader learns of an event. A database that is away is
        waited for."""
        waits, renewed_ns = delays(), 0
        renewal_ns = int(lease_seconds / RENEWALS * NANOSECONDS_PER_SECOND)
        while True:
            try:
                if clock.monotonic_ns() - renewed_ns > renewal_ns:
                    await self._keep_lease()
                    renewed_ns = clock.monotonic_ns()
                appended = await self.append_new()
            except StoreUnavailable as error:
                self.state = None
                self._degraded_reasons.report(POSTGRESQL, error.message)
                await clock.sleep(next(waits))
                continue
            except (LeaseLost, ConsumerPositionConflict) as error:
                _log.warning("the log is read again", extra={"why": str(error)})
                self.state, self._store.lease.epoch, renewed_ns, appended = None, 0, 0, 0
            self._degraded_reasons.clear(POSTGRESQL)
            waits = delays()
            if not appended:
                known = self.state.positions if self.state else {}
                await reader.wait({stream: known.get(stream, 0) for stream in EVENT_STREAMS})
                await clock.sleep(GATHER_SECONDS)

    async def append_new(self) -> int:
        """Append the events of one batch. Returns how many there were; none while another process
        has the lease. Raises StoreUnavailable, LeaseLost and ConsumerPositionConflict."""
        lease = self._store.lease
        if not lease.epoch and not await lease.acquire():
            return 0
        state = self.state or await self._load()
        ends = await self._store.stream_ends()
        waiting = sum(max(0, end - state.positions.get(at, 0)) for at, end in ends.items())
        self._metrics.log(state.tree.size, waiting)
        if not self._is_whole(state, ends) or not waiting:
            return 0
        try:
            events = await self._store.new_events(state.positions, self._batch_events_max)
        except EventMissing as error:
            self._said(str(error))
            return 0
        leaves = await asyncio.to_thread(_leaf_hashes, events)
        tree = state.tree.copy()
        nodes = tree.extend(leaves)
        # Until the commit is known, nothing in memory is worth keeping.
        self.state = None
        await self._store.append(events, leaves, nodes, state)
        self.state = LogState(tree, {**state.positions, **positions_of(events)})
        self._metrics.log(tree.size, waiting - len(events))
        return len(events)

    async def _keep_lease(self) -> None:
        if self._store.lease.epoch:
            await self._store.lease.renew()

    async def _load(self) -> LogState:
        self.state = await self._store.load()
        return self.state

    def _is_whole(self, state: LogState, ends: dict[EventStream, int]) -> bool:
        """Whether nothing has been removed that the log has already taken in."""
        detail = ""
        if not state.is_whole:
            total = sum(state.positions.values())
            detail = f"it has {state.tree.size} leaves of {total} events that it has read"
        for stream, position in state.positions.items():
            if ends.get(stream, 0) < position:
                have = f"stream {stream_name(stream)} has {ends.get(stream, 0)} events"
                detail = f"{have}, and the log has {position} of them"
        return self._said(detail)

    def _said(self, detail: str) -> bool:
        if detail:
            text = f"{detail}: somebody has changed the database; see docs/AUDIT.md"
            self._degraded_reasons.report(LOG, text)
            self.state = None
        else:
            self._degraded_reasons.clear(LOG)
        return not detail


def _leaf_hashes(events: Sequence[LoggedEvent]) -> list[bytes]:
    return [leaf_hash(stored_bytes(event)) for event in events]
