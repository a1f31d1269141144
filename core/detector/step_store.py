"""Reads positions and stores steps of many strategies in few transactions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from venuemesh.events.v1 import event_pb2

from core.detector import instance_states, run_store, store
from core.detector.call_batcher import BatchAbandoned, CallBatcher
from core.detector.instance_shares import InstanceOwnership
from core.detector.instance_states import InstanceState
from core.detector.run_store import SeenPosition, StrategyRun
from core.detector.store import InstanceKey, InstanceUpdate
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, ConsumerPositionConflict, Database
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_log import EventConflict
from kit.events.leases import LeaseLost
from kit.events.relay import StoredEvents

SILENT_SECONDS = 0.1
"""How long a step without a signal waits. Hundreds of strategies whose bars end together are
evaluated by then, so that storing it takes no processor time from those with signals."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of the newest bars of a strategy on an instrument."""

    move: InstanceUpdate
    events: Sequence[event_pb2.Event]
    run: StrategyRun | None
    """Set if the strategy starts with these bars."""
    seen: SeenPosition | None
    """Set if its position has changed."""
    state: InstanceState | None
    """Set if it runs from now on."""
    time_ns: int
    """End of the newest bar."""
    is_live: bool
    """Whether it follows a bar that has just ended."""

    @property
    def may_wait(self) -> bool:
        """Whether nobody waits for it."""
        has_news = self.events or self.run or self.seen or self.state
        return self.is_live and not has_news


class StateChange(NamedTuple):
    """A new state of a strategy on an instrument."""

    key: InstanceKey
    state: InstanceState
    time_ns: int


class StepStore:
    """Stores simultaneous steps in one transaction, all or none. Steps with signals come first:
    many bars end at the same time, and few of them raise one."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ownership: InstanceOwnership,
        after_signal: Callable[[StoredEvents | None], None],
    ) -> None:
        """``after_signal``: see DetectorContext."""
        self._after_signal = after_signal
        self._database = database
        self._clock = clock
        self._ownership = ownership
        self._reads = CallBatcher(self._read)
        undone = ConsumerPositionConflict, EventConflict, LeaseLost
        self._writes = CallBatcher(self._write, undone)
        self._silent_writes = CallBatcher(self._write, undone, calls_max=1, wait=self._wait)
        self._changes = CallBatcher(self._change, undone)

    async def position(self, key: InstanceKey) -> Decimal:
        """Raises StoreUnavailable."""
        try:
            return await self._reads.of(key)
        except BatchAbandoned as error:
            raise _unavailable(error) from error

    async def keep(self, step: Step) -> None:
        """Raises ConsumerPositionConflict, EventConflict, LeaseLost, and StoreUnavailable, after
        which the step may be stored or not."""
        try:
            await (self._silent_writes if step.may_wait else self._writes).of(step)
        except BatchAbandoned as error:
            raise _unavailable(error) from error

    async def change(self, change: StateChange) -> None:
        """Store a state without a step. Raises as ``keep``."""
        try:
            await self._changes.of(change)
        except BatchAbandoned as error:
            raise _unavailable(error) from error

    async def _wait(self) -> None:
        await self._clock.sleep(SILENT_SECONDS)

    async def _read(self, keys: Sequence[InstanceKey]) -> Sequence[Decimal]:
        async with self._database.reading() as connection:
            return await store.positions(connection, keys)

    async def _write(self, steps: Sequence[Step]) -> Sequence[None]:
        stored_time_ns = self._clock.time_ns()
        async with self._database.transaction(pipelined=True) as connection:
            await self._ownership.hold(connection, [step.move.key for step in steps])
            await store.save(connection, [step.move for step in steps])
            for step in steps:
                if step.run is not None:
                    await run_store.record_run(connection, step.move.key, step.run)
                if step.seen is not None:
                    await run_store.record_position(connection, step.move.key, step.seen)
            events = [event for step in steps for event in step.events]
            raised = await event_log.append(
                connection, instance_states.STREAM, events, stored_time_ns
            )
            for step in steps:
                if step.state is not None:
                    await instance_states.record(
                        connection, step.move.key, step.state, step.time_ns, stored_time_ns
                    )
        if any(step.state for step in steps):
            self._after_signal(None)
        elif events:
            self._after_signal(raised)
        return [None] * len(steps)

    async def _change(self, changes: Sequence[StateChange]) -> Sequence[None]:
        stored_time_ns = self._clock.time_ns()
        async with self._database.transaction() as connection:
            await self._ownership.hold(connection, [change.key for change in changes])
            for change in changes:
                await instance_states.record(connection, *change, stored_time_ns)
        return [None] * len(changes)


def _unavailable(error: BatchAbandoned) -> StoreUnavailable:
    return StoreUnavailable(f"a transaction has failed: {error}", store=POSTGRESQL)
