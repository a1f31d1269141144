"""Wires ingest: settings, streams, feeds and trimming."""

from core.ingest.feed import Feed
from core.ingest.feeds import Feeds
from core.ingest.room import Room
from core.ingest.settings import IngestSettings
from core.ingest.trimming import Trimmer
from core.ingest.twins import Reading, VenueReplicas
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.degradation import DegradedReasons
from kit.base.runtime import Identity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.marketdata.delivery.streams import RedisStreams

SERVICE = "ingest"


def main() -> int:
    """Run ingest until it is told to stop. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(IngestSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: IngestSettings, mesh: MeshSettings) -> None:
    """Run ingest in this event loop."""
    runtime = Runtime(Identity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    streams = RedisStreams(mesh.redis_url)
    troubles = DegradedReasons(runtime.meter)
    room = Room(settings.redis_bytes_max, settings.waits_when_full(mesh.world))

    reading = Reading(runtime.meter)

    def feed(venue: str) -> Feed:
        twins = VenueReplicas(clock)
        return Feed(venue, twins, reading, streams, room, settings, runtime.meter, troubles, clock)

    runtime.run_task("feeds", Feeds(runtime.directory, feed).run)
    runtime.run_task(
        "trimmer", Trimmer(streams, room, settings, runtime.meter, troubles, clock).run
    )
    runtime.at_end(streams.close)
    await runtime.run()
