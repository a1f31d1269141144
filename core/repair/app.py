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
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.directory import VENUE
from kit.base.errors import ProcessDraining
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.shared_leases import SharedLeases
from kit.events.shared_work import SHARES, SharedWork
from kit.marketdata.delivery.redis_streams import RedisStreams

SERVICE = "repair"


def main() -> int:
    """Find and mend holes until stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(RepairSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: RepairSettings, mesh: MeshSettings) -> None:
    """Run it in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    degraded_reasons, metrics = DegradedReasons(runtime.meter), RepairMetrics(runtime.meter)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    streams = RedisStreams(mesh.redis_login_url, runtime.store_metrics)
    venues = VenueClients(runtime.channels(VENUE), mesh.registry)
    record, store = RecordReader(database), HoleStore(database)
    publisher = RepairPublisher(streams, clock)
    leases = SharedLeases(database, SERVICE, runtime.instance_id, SHARES, settings.lease_seconds)
    work = SharedWork(leases, runtime.meter, degraded_reasons, clock)
    context = RepairContext(
        database, record, store, venues, publisher, settings, metrics, degraded_reasons, clock, work
    )
    watchers = JobWatchers(settings.watchers_max)
    candles = CandleComparer(context)
    finder = HoleFinder(context, candles)
    jobs = JobRunner(context, finder, HoleRepairer(context), candles, watchers)
    past_candles = CandleBackfill(context)
    quality = QualityScorer(context, mesh.world)

    runtime.serve(repair_pb2.DESCRIPTOR, "Repair", RepairServicer(store, record, jobs, watchers))
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    tasks = {
        "shares": work.run,
        "finder": finder.run,
        "jobs": jobs.run,
        "candles": candles.run,
        "quality": quality.run,
    }
    if settings.past_candles and mesh.world != "replay":
        # In a replay the clock says nothing of the time that is played.
        tasks["past_candles"] = past_candles.run
    for name, task in tasks.items():
        runtime.run_task(name, after_migration(task))
    runtime.when_draining(lambda: watchers.end(ProcessDraining("Repair is stopping")))
    for finish in (database.close, streams.close, venues.close, work.leave):
        runtime.at_end(finish)
    await runtime.run()
