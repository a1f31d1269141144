"""What waits for its relay, and for those who read it, is measured."""

import pytest
from venuemesh.events.v1 import event_pb2

from core.audit.event_backlog import EventBacklog
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.tests.rig import filled, rig_for

EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
SIGNALS = event_pb2.EVENT_STREAM_SIGNALS


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


async def test_events_wait_for_their_relay_and_their_readers(rig):
    meter = Meter("audit")
    backlog = EventBacklog(rig.database, rig.redis, meter)

    def value(name: str, **labels: str):
        return meter.registry.get_sample_value(f"venuemesh_{name}", labels)

    async with rig.database.transaction() as connection:
        await event_log.append(connection, EXECUTIONS, [filled(1), filled(2)], 1)
        for consumer in ("advisor", "notifier/off"):
            await event_log.save_positions(connection, consumer, {EXECUTIONS: 1, SIGNALS: 0}, {})
    await backlog.measure()
    assert value("events_unpublished", stream="executions") == 2
    assert value("events_unpublished", stream="signals") == 0
    assert value("events_unread", consumer="advisor") == 1
    assert value("events_unread", consumer="notifier/off") is None
    await rig.relay().publish()
    async with rig.database.transaction() as connection:
        await event_log.save_positions(connection, "advisor", {EXECUTIONS: 2}, {EXECUTIONS: 1})
    await backlog.measure()
    assert value("events_unpublished", stream="executions") == 0
    assert value("events_unread", consumer="advisor") == 0
