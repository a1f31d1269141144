"""A consumer of events, whose changes and position are one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeAlias

from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Connection, ConsumerPositionConflict, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_log import EventConflict, EventMissing
from kit.events.event_reader import EventReader
from kit.events.logged_events import LoggedEvent, is_known, positions_of
from kit.events.streams import EventStream

RETRY_SECONDS_MAX = 5.0
EVENTS_MAX = 500
"""Most events of a stream in one transaction."""

Handle: TypeAlias = Callable[[Connection, Sequence[LoggedEvent]], Awaitable[None]]
"""Changes the state in the transaction, and appends the new events last. The transaction is
pipelined."""
Prepare: TypeAlias = Callable[[Sequence[LoggedEvent]], Awaitable[None]]
"""Gets what the next ``handle`` needs of other processes: no transaction waits for them. If the
transaction fails, or another process has handled the events, it is called again for the next
ones, and what it has got before counts no more."""

_log = telemetry.logger("events")


class UnknownEvent(Exception):
    """The content of an event is of a later version: what follows from it is not known."""

    def __init__(self, event: LoggedEvent) -> None:
        super().__init__(
            f"the content of {event} is not known to this version: update this program"
        )


async def _nothing(events: Sequence[LoggedEvent]) -> None:
    """Prepares what needs nothing."""


async def _nothing_sent(connection: Connection, events: Sequence[LoggedEvent]) -> None:
    """Sends nothing before it is known that these events are to be handled."""


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a consumer reads, and what it does with it."""

    consumer: str
    """Name of its positions."""
    streams: Sequence[EventStream]
    handle: Handle
    after_commit: Callable[[], None]
    """Called after each transaction, for example EventRelay.wake."""
    reads_unknown: bool = False
    """Whether it accepts events of an unknown kind, because it does not read their content."""
    prepare: Prepare = _nothing
    send: Handle = _nothing_sent
    """Sends the first statements of ``handle`` without waiting: their answers come with that about
    the positions. If another process has handled the events, ``handle`` is not called."""
    gather_seconds: float = 0
    """How long it waits for further events after the first one. An order has several events in a
    few milliseconds: consumers that are not in its way handle them together, after it."""


class EventConsumer:
    """Hands each event to a function once, in the defined order as far as they are stored.

    It works in runs. A run starts at the positions in the database, and ends when a store fails or
    when another process has moved them. It stops at an event that it does not know, that is missing
    or that contradicts itself, with a reason that names it, and looks again after some seconds.
    """

    def __init__(
        self,
        consumption: Consumption,
        database: Database,
        reader: EventReader,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._consumption = consumption
        self._database = database
        self._reader = reader
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)

    async def run(self) -> None:
        while True:
            try:
                positions = await self._load()
                while True:
                    positions = await self._step(positions)
            except StoreUnavailable as error:
                self._degraded_reasons.report(error.metadata["store"], error.message)
            except ConsumerPositionConflict as error:
                _log.warning("begin again", extra={"detail": str(error)})
            except (UnknownEvent, EventMissing, EventConflict) as error:
                self._degraded_reasons.report(self._about, str(error))
            await self._clock.sleep(next(self._waits))

    @property
    def _about(self) -> str:
        return f"events of {self._consumption.consumer}"

    async def _load(self) -> Mapping[EventStream, int]:
        async with self._database.transaction() as connection:
            stored = await event_log.load_positions(connection, self._consumption.consumer)
        return {stream: stored.get(stream, 0) for stream in self._consumption.streams}

    async def _step(self, positions: Mapping[EventStream, int]) -> Mapping[EventStream, int]:
        """Handle the next events, or wait for some. Returns the new positions."""
        async with self._database.reading() as connection:
            events = await event_log.read_in_order(connection, positions, EVENTS_MAX)
        if not events:
            self._is_well()
            await self._reader.wait(positions)
            if self._consumption.gather_seconds:
                await self._clock.sleep(self._consumption.gather_seconds)
            return positions
        known = self._known(events)
        if not known:
            raise UnknownEvent(events[0])
        await self._consumption.prepare(known)
        consumer, reached = self._consumption.consumer, positions_of(known)
        async with self._database.transaction(pipelined=True) as connection:
            # Events never change, and the positions show that no process has handled these yet.
            moved = await event_log.send_positions(connection, consumer, reached, positions)
            await self._consumption.send(connection, known)
            await moved()
            await self._consumption.handle(connection, known)
        self._is_well()
        self._consumption.after_commit()
        return {**positions, **reached}

    def _known(self, events: Sequence[LoggedEvent]) -> Sequence[LoggedEvent]:
        """The events before the first one whose content is not known."""
        if self._consumption.reads_unknown:
            return events
        return list(takewhile(is_known, events))

    def _is_well(self) -> None:
        self._degraded_reasons.clear(POSTGRESQL)
        self._degraded_reasons.clear(self._about)
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
