"""Wires the recorder: settings, streams, database."""

from core.recorder.recorder import Recorder
from core.recorder.settings import RecorderSettings
from core.recorder.store import Store
from kit import settings as setting_files
from kit.clock import SystemClock
from kit.database import Database, migrate_when_there
from kit.runtime import Identity, Runtime, run_process
from kit.settings import MeshSettings
from kit.streams import Streams
from kit.troubles import Troubles

SERVICE = "recorder"


def main() -> int:
    """Run the recorder until it is told to stop. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(RecorderSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: RecorderSettings, mesh: MeshSettings) -> None:
    """Run the recorder in this event loop."""
    runtime = Runtime(Identity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    streams = Streams(mesh.redis_url)
    database = Database(mesh.database_url)
    troubles = Troubles(runtime.meter)
    recorder = Recorder(streams, Store(database), settings, runtime.meter, troubles, clock)

    async def record() -> None:
        await migrate_when_there(mesh.database_url, troubles, clock)
        runtime.at_end(recorder.finish)
        await recorder.run()

    runtime.run_task("recorder", record)
    for finish in (streams.close, database.close):
        runtime.at_end(finish)
    await runtime.run()
