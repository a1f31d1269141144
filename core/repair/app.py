"""Wires Repair: settings, database, streams, the search for holes, jobs, quality."""

from venuemesh.repair.v1 import repair_pb2

from core.repair.candle_backfill import CandleBackfill
from core.repair.candle_comparison import CandleComparer
from core.repair.context import RepairContext
from core.repair.hole_finder import HoleFinder
from core.repair.hole_repairer import HoleRepairer
from core.repair.hole_store import HoleStore
from core.repair.job_runner import JobRunner
from core.repair.job_watchers import JobWatchers
from core.repair.metrics import RepairMetrics
from core.repair.publisher import RepairPublisher
from core.repair.quality import QualityScorer
from core.repair.record_reader import RecordReader
from core.repair.service import RepairServicer
from core.repair.settings import RepairSettings
from core.repair.venue_clients import VenueClients
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database, migrate_when_there
from kit.base.degradation import DegradedReasons
from kit.base.errors import ProcessDraining
from kit.base.runtime import ProcessIdentity, Runtime, Task, run_process
from kit.base.settings import MeshSettings
from kit.marketdata.delivery.redis_streams import RedisStreams

SERVICE = "repair"


def main() -> int:
    """Find and mend holes until told to stop. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(RepairSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: RepairSettings, mesh: MeshSettings) -> None:
    """Run it in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    degraded_reasons, metrics = DegradedReasons(runtime.meter), RepairMetrics(runtime.meter)
    database = Database(mesh.database_url)
    streams = RedisStreams(mesh.redis_url)
    venues = VenueClients(runtime.directory, mesh.registry)
    record, store = RecordReader(database), HoleStore(database)
    publisher = RepairPublisher(streams, clock)
    context = RepairContext(
        database, record, store, venues, publisher, settings, metrics, degraded_reasons, clock
    )
    watchers = JobWatchers(settings.watchers_max)
    candles = CandleComparer(context)
    finder = HoleFinder(context, candles)
    jobs = JobRunner(context, finder, HoleRepairer(context), candles, watchers)
    past_candles = CandleBackfill(context)
    quality = QualityScorer(context, mesh.world)

    runtime.serve(repair_pb2.DESCRIPTOR, "Repair", RepairServicer(store, record, jobs, watchers))
    runtime.run_task("venues", venues.run)

    def when_migrated(task: Task) -> Task:
        async def run_it() -> None:
            await migrate_when_there(mesh.database_url, degraded_reasons, clock)
            await task()

        return run_it

    tasks = {
        "finder": finder.run,
        "jobs": jobs.run,
        "candles": candles.run,
        "quality": quality.run,
    }
    if settings.past_candles and mesh.world != "replay":
        # In a replay the clock says nothing of the time that is played.
        tasks["past_candles"] = past_candles.run
    for name, task in tasks.items():
        runtime.run_task(name, when_migrated(task))
    runtime.when_draining(lambda: watchers.end(ProcessDraining("Repair is stopping")))
    for finish in (database.close, streams.close, venues.close):
        runtime.at_end(finish)
    await runtime.run()
