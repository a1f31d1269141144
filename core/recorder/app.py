"""Wires the recorder: settings, streams, database."""

import asyncio

from core.recorder.partitions import PartitionManager
from core.recorder.recorder import Recorder
from core.recorder.settings import RecorderSettings, StorageSettings
from core.recorder.store import RecorderStore
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database, migrate_when_there
from kit.base.degradation import DegradedReasons
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
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
    streams = RedisStreams(mesh.redis_url)
    database = Database(mesh.database_url)
    degraded_reasons = DegradedReasons(runtime.meter)
    recorder = Recorder(
        streams, RecorderStore(database), settings, runtime.meter, degraded_reasons, clock
    )
    partitions = PartitionManager(database, storage, runtime.meter, degraded_reasons, clock)

    async def record() -> None:
        await migrate_when_there(mesh.database_url, degraded_reasons, clock)
        runtime.at_end(recorder.finish)
        async with asyncio.TaskGroup() as group:
            group.create_task(partitions.run())
            group.create_task(recorder.run())

    runtime.run_task("recorder", record)
    for finish in (streams.close, database.close):
        runtime.at_end(finish)
    await runtime.run()
