"""Wires the detector: strategies, bars, fills, database, service."""

from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import event_pb2

from core.detector.bar_clients import BARS, HISTORY, BarClients
from core.detector.context import DetectorContext
from core.detector.evaluation import ProgramFolder, StrategyRefused
from core.detector.input_clients import InputClients
from core.detector.instance_shares import POSITIONS_SHARE, InstanceShares
from core.detector.metrics import DetectorMetrics
from core.detector.peer_detectors import PeerDetectors
from core.detector.positions import keep_positions
from core.detector.service import DetectorServicer
from core.detector.settings import FOLDER, DetectorSettings
from core.detector.shared_inputs import SharedInputs
from core.detector.strategy_manager import StrategyManager
from core.detector.strategy_runner import SIGNALS
from core.detector.workers.pool import WorkerPool
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.directory import VENUE
from kit.base.errors import SettingError
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.consumer import Consumption, EventConsumer
from kit.events.event_reader import EventReader
from kit.events.peers import member_name
from kit.events.redis_events import RedisEvents
from kit.events.relay import EventRelay
from kit.events.settings import EventsSettings
from kit.events.shared_leases import SharedLeases
from kit.events.shared_work import SHARES, SharedWork
from kit.marketdata.clients.listed_instruments import ListedInstruments

SERVICE = "detector"
LISTING_SECONDS_MAX = 1.0
"""How long a new strategy waits for the instruments of its venue."""
READ = (event_pb2.EVENT_STREAM_RISK,)


def main() -> int:
    """Run the detector until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(DetectorSettings, SERVICE)
    events = setting_files.load(EventsSettings, "events")
    return run_process(SERVICE, mesh, lambda: run(settings, events, mesh))


async def run(settings: DetectorSettings, events: EventsSettings, mesh: MeshSettings) -> None:
    """Run the detector in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    metrics = DetectorMetrics(runtime.meter)
    pool = WorkerPool(
        settings.workers,
        settings.limits,
        must_be_restricted=mesh.world == "live",
        started=metrics.started,
    )
    found = await load_folder(pool, settings, mesh)
    clock = SystemClock()
    degraded_reasons = DegradedReasons(runtime.meter)
    for error in found.errors:
        degraded_reasons.report(f"file {error.file.name}", str(error))
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    redis = RedisEvents(mesh.redis_login_url, runtime.store_metrics)
    entries_max = events.redis_entries_max
    relay = EventRelay(database, redis, (SIGNALS,), entries_max, degraded_reasons, clock)
    bars = BarClients(runtime.channels(BARS, HISTORY))
    inputs = SharedInputs(InputClients(runtime.channels(HISTORY)), clock)
    member = member_name(SERVICE, mesh.advertise_host or mesh.host, settings.port)
    leases = SharedLeases(database, SERVICE, member, SHARES, settings.lease_seconds)
    work = SharedWork(leases, runtime.meter, degraded_reasons, clock)
    shares = InstanceShares(work)
    listed = ListedInstruments(runtime.channels(VENUE), LISTING_SECONDS_MAX, clock)
    context = DetectorContext(
        database, bars, relay.wake, metrics, degraded_reasons, clock, inputs, listed, shares
    )
    manager = StrategyManager(pool, found, context)
    reader = EventReader(database, redis, degraded_reasons, clock)
    consumption = Consumption(SERVICE, READ, keep_positions, after_commit=lambda: None)
    consumer = EventConsumer(consumption, database, reader, degraded_reasons, clock)

    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    servicer = DetectorServicer(manager, shares, PeerDetectors(shares), database)
    runtime.serve(detector_pb2.DESCRIPTOR, "Detector", servicer)
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    runtime.run_task("instruments", listed.run)
    runtime.run_task("relay", after_migration(relay.run))
    runtime.run_task("shares", after_migration(work.run))
    runtime.run_task("fills", lambda: work.run_share(POSITIONS_SHARE, consumer.run))
    runtime.run_task("strategies", after_migration(manager.run))
    for finish in (pool.close, database.close, redis.close, work.leave):
        runtime.at_end(finish)
    await runtime.run()


async def load_folder(
    pool: WorkerPool, settings: DetectorSettings, mesh: MeshSettings
) -> ProgramFolder:
    """The strategies of the folder, if there is one. Raises SettingError."""
    folder = settings.folder_of(mesh)
    try:
        return ProgramFolder() if folder is None else await pool.load_folder(folder)
    except StrategyRefused as error:
        raise SettingError(FOLDER, str(folder), f"must be empty here: {error}") from error
