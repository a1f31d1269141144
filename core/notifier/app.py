"""Wires the notifier: settings, channels, the consumers of events."""

import asyncio

from core.notifier.delivery import Delivery
from core.notifier.metrics import NotifierMetrics
from core.notifier.settings import NotifierSettings
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.event_reader import EventReader
from kit.events.redis_events import RedisEvents

SERVICE = "notifier"


def main() -> int:
    """Run the notifier until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(NotifierSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: NotifierSettings, mesh: MeshSettings) -> None:
    """Run the notifier in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    degraded_reasons = DegradedReasons(runtime.meter)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    redis = RedisEvents(mesh.redis_login_url, runtime.store_metrics)
    metrics = NotifierMetrics(runtime.meter)
    deliveries = [
        Delivery(channel, terms, metrics, degraded_reasons, clock)
        for channel, terms in settings.channels(mesh.mesh_id)
    ]

    async def deliver() -> None:
        async with asyncio.TaskGroup() as group:
            for delivery in deliveries:
                reader = EventReader(database, redis, degraded_reasons, clock)
                group.create_task(delivery.run(database, reader))

    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    # Two delivering processes would send every notice twice.
    runtime.run_while_active("notices", after_migration(deliver))
    for finish in (database.close, redis.close):
        runtime.at_end(finish)
    await runtime.run()
