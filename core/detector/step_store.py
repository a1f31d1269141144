"""Reads positions and stores steps of many strategies in few transactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.events.v1 import event_pb2

from core.detector import run_store, states, store
from core.detector.grouped_calls import GroupAbandoned, GroupedCalls
from core.detector.run_store import SeenPosition, StrategyRun
from core.detector.states import InstanceState
from core.detector.store import InstanceKey, InstanceMove
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, ConsumerPositionConflict, Database
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_log import EventConflict


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from the newest bars of a strategy on an instrument."""

    move: InstanceMove
    events: Sequence[event_pb2.Event]
    run: StrategyRun | None
    """It begins with these bars."""
    seen: SeenPosition | None
    """It knows another position than before."""
    state: InstanceState | None
    """It runs from now on."""
    time_ns: int
    """End of the newest bar."""


class StepStore:
    """The steps of one transaction are stored all or none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._reads = GroupedCalls(self._read)
        self._writes = GroupedCalls(self._write, (ConsumerPositionConflict, EventConflict))

    async def position(self, key: InstanceKey) -> Decimal:
        """Raises StoreUnavailable."""
        try:
            return await self._reads.of(key)
        except GroupAbandoned as error:
            raise _unavailable(error) from error

    async def keep(self, step: Step) -> None:
        """Raises ConsumerPositionConflict, EventConflict, and StoreUnavailable, after which it may
        be stored."""
        try:
            await self._writes.of(step)
        except GroupAbandoned as error:
            raise _unavailable(error) from error

    async def _read(self, keys: Sequence[InstanceKey]) -> Sequence[Decimal]:
        async with self._database.transaction() as connection:
            return await store.positions(connection, keys)

    async def _write(self, steps: Sequence[Step]) -> Sequence[None]:
        stored_time_ns = self._clock.time_ns()
        async with self._database.transaction() as connection:
            await store.save(connection, [step.move for step in steps])
            for step in steps:
                if step.run is not None:
                    await run_store.begin(connection, step.move.key, step.run)
                if step.seen is not None:
                    await run_store.see(connection, step.move.key, step.seen)
            events = [event for step in steps for event in step.events]
            if events:
                await event_log.append(connection, states.STREAM, events, stored_time_ns)
            for step in steps:
                if step.state is not None:
                    await states.keep(
                        connection, step.move.key, step.state, step.time_ns, stored_time_ns
                    )
        return [None] * len(steps)


def _unavailable(error: GroupAbandoned) -> StoreUnavailable:
    return StoreUnavailable(f"a transaction has failed: {error}", store=POSTGRESQL)
