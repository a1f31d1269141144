"""A consumer that makes one event of the ledger of each execution. ``main`` runs it in a process
of its own: ``python -m kit.events.tests.copier REDIS_URL DATABASE_URL``."""

import asyncio
import sys
from collections.abc import Sequence

from venuemesh.events.v1 import event_pb2

from kit.base.clock import SystemClock
from kit.base.database import Connection
from kit.events import event_log
from kit.events.consumer import Consumption, EventConsumer
from kit.events.event_ids import event_id
from kit.events.logged_events import LoggedEvent
from kit.events.relay import EventRelay, StoredEvents
from kit.events.tests.rig import EXECUTIONS, LEDGER, STORED_NS, Rig, rig_for

COPIER = "copier"


def booked(cause: event_pb2.Event) -> event_pb2.Event:
    """The event that follows from an execution."""
    event = event_pb2.Event(
        event_id=event_id(COPIER, "", [cause.event_id]),
        source=COPIER,
        time_ns=cause.time_ns,
        cause_ids=[cause.event_id],
    )
    event.postings_booked.group_id = cause.event_id.hex()
    return event


async def copy(connection: Connection, events: Sequence[LoggedEvent]) -> StoredEvents:
    """Count what was handled, and store what follows from it."""
    await connection.execute("UPDATE handled SET number = number + %s", [len(events)])
    made = [booked(event.event()) for event in events if event.stream == EXECUTIONS]
    return await event_log.append(connection, LEDGER, made, STORED_NS)


def copier(rig: Rig, *streams: int, handle=copy, wake=lambda: None, **options):
    """A consumer; by default of the executions."""
    wanted = streams or (EXECUTIONS,)
    consumption = Consumption(COPIER, wanted, handle, wake, **options)
    return EventConsumer(consumption, rig.database, rig.reader(), rig.reasons, SystemClock())


def copier_for(rig: Rig, relay: EventRelay) -> EventConsumer:
    """A consumer whose events the relay publishes without reading them."""
    stored: list[StoredEvents] = []

    async def handle(connection: Connection, events: Sequence[LoggedEvent]) -> None:
        stored[:] = [await copy(connection, events)]

    return copier(rig, handle=handle, wake=lambda: relay.wake(*stored))


async def run(rig: Rig) -> None:
    """The consumer and a relay of both streams, until cancelled."""
    relay: EventRelay = rig.relay()
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run())
        group.create_task(copier_for(rig, relay).run())


async def main(redis_url: str, database_url: str) -> None:
    async with rig_for(redis_url, database_url) as rig:
        await run(rig)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
