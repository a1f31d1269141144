"""Wires the recorder: settings, streams, database."""

import asyncio

from core.recorder.background_jobs import BackgroundJobMonitor
from core.recorder.partitions import PartitionManager
from core.recorder.recorder import Recorder
from core.recorder.settings import RecorderSettings, StorageSettings
from core.recorder.store import RecorderStore
from core.recorder.stream_shares import StreamShares
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.migration import migrate_when_there, wait_for_schema
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.shared_leases import SharedLeases
from kit.events.shared_work import SHARES, SharedWork
from kit.marketdata.delivery.redis_streams import RedisStreams

SERVICE = "recorder"
STORAGE_SECTION = "storage"


def main() -> int:
    """Run the recorder until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(RecorderSettings, SERVICE)
    storage = setting_files.load(StorageSettings, STORAGE_SECTION)
    return run_process(SERVICE, mesh, lambda: run(settings, storage, mesh))


async def run(settings: RecorderSettings, storage: StorageSettings, mesh: MeshSettings) -> None:
    """Run the recorder in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    streams = RedisStreams(mesh.redis_login_url, runtime.store_metrics)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    degraded_reasons = DegradedReasons(runtime.meter)
    leases = SharedLeases(database, SERVICE, runtime.instance_id, SHARES, settings.lease_seconds)
    work = SharedWork(leases, runtime.meter, degraded_reasons, clock)
    store = RecorderStore(database, StreamShares(work))
    recorder = Recorder(streams, store, settings, runtime.meter, degraded_reasons, clock)
    partitions = PartitionManager(database, storage, runtime.meter, degraded_reasons, clock)
    background_jobs = BackgroundJobMonitor(database, runtime.meter, degraded_reasons, clock)

    async def record() -> None:
        prepare_schema = migrate_when_there if settings.migrate else wait_for_schema
        await prepare_schema(mesh.database_login_url, degraded_reasons, clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(partitions.run())
            group.create_task(background_jobs.run())
            group.create_task(work.run())
            group.create_task(recorder.run())

    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))

    async def finish() -> None:
        # Other recorders continue where this one has ended.
        if leases.held and not leases.others:
            await recorder.finish()
        await work.leave()

    runtime.run_task("recorder", record)
    for end in (streams.close, database.close, finish):
        runtime.at_end(end)
    await runtime.run()
