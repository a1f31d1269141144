"""Wires the bar aggregator: settings, streams, leases, database, subscribers."""

from venuemesh.bars.v1 import bars_pb2

from core.bars.aggregator import Aggregator, BackendConnections
from core.bars.peer_aggregators import PeerAggregators
from core.bars.service import BarsServicer
from core.bars.settings import BarsSettings
from core.bars.shards import SHARDS
from core.bars.subscribers import BarSubscribers
from core.bars.venue_bars_factory import VenueBarsFactory
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import ProcessDraining
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.peers import member_name
from kit.events.shared_leases import SharedLeases
from kit.marketdata.delivery.redis_streams import RedisStreams

SERVICE = "bars"


def main() -> int:
    """Run the bar aggregator until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(BarsSettings, SERVICE)
    return run_process(_service_id(settings), mesh, lambda: run(settings, mesh))


async def run(settings: BarsSettings, mesh: MeshSettings) -> None:
    """Run the bar aggregator in this event loop."""
    service_id = _service_id(settings)
    runtime = Runtime(ProcessIdentity(service_id, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    streams = RedisStreams(mesh.redis_login_url, runtime.store_metrics)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    member = member_name(service_id, mesh.advertise_host or mesh.host, settings.port)
    leases = SharedLeases(database, SERVICE, member, SHARDS, settings.lease_seconds)
    degraded_reasons = DegradedReasons(runtime.meter)
    subscribers = BarSubscribers(settings.subscribers_max, settings.subscriber_bars_max)
    aggregator = Aggregator(
        VenueBarsFactory(settings, mesh.world),
        BackendConnections(streams, leases, database),
        subscribers,
        runtime.meter,
        degraded_reasons,
        clock,
    )

    peers = PeerAggregators(leases, aggregator.owns, clock)
    servicer = BarsServicer(subscribers, aggregator.open_bars, peers, settings, clock)
    runtime.serve(bars_pb2.DESCRIPTOR, "Bars", servicer)
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    runtime.run_task("aggregator", after_migration(aggregator.run))
    runtime.when_draining(
        lambda: subscribers.end(ProcessDraining("the bar aggregator is stopping"))
    )
    runtime.at_end(database.close)
    runtime.at_end(streams.close)
    runtime.at_end(aggregator.leave)
    await runtime.run()


def _service_id(settings: BarsSettings) -> str:
    return f"{SERVICE}-{settings.instance}" if settings.instance else SERVICE
