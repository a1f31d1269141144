"""Wires ingest: settings, streams, venue writers and trimming."""

from core.ingest.context import IngestContext
from core.ingest.memory_budget import MemoryBudget
from core.ingest.replicas import ActiveReplicaGauge, VenueReplicas
from core.ingest.settings import IngestSettings
from core.ingest.trimming import StreamTrimmer
from core.ingest.venue_discovery import VenueDiscovery
from core.ingest.venue_shares import VenueShares
from core.ingest.venue_writer import VenueWriter
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.degradation import DegradedReasons
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.marketdata.delivery.redis_streams import RedisStreams

SERVICE = "ingest"


def main() -> int:
    """Run ingest until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(IngestSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: IngestSettings, mesh: MeshSettings) -> None:
    """Run ingest in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    streams = RedisStreams(mesh.redis_login_url, runtime.store_metrics)
    memory = MemoryBudget(settings.redis_bytes_max, settings.waits_when_full(mesh.world))
    degraded = DegradedReasons(runtime.meter)
    context = IngestContext(streams, memory, settings, runtime.meter, degraded, clock)
    read_gauge = ActiveReplicaGauge(runtime.meter)

    def writer(venue: str) -> VenueWriter:
        return VenueWriter(venue, VenueReplicas(clock), read_gauge, context)

    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    shares = VenueShares(runtime.directory, SERVICE, runtime.instance_id)
    # Not after the goodbye of this process, when others write its venues.
    runtime.run_while_active(
        "feeds", lambda: VenueDiscovery(runtime.directory, shares, writer).run()
    )
    runtime.run_while_active("trimmer", StreamTrimmer(context, lambda: shares.is_first).run)
    runtime.at_end(streams.close)
    await runtime.run()
