"""Wires the bridge: settings, streams, tailer, books and the Live service."""

from functools import partial

from venuemesh.live.v1 import live_pb2

from core.bridge.backlog_reader import BacklogReader
from core.bridge.live_book_manager import LiveBookManager
from core.bridge.service import LiveServicer
from core.bridge.settings import BridgeSettings
from core.bridge.stream_tailer import StreamTailer
from core.bridge.venue_clients import VenueClients
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.degradation import DegradedReasons
from kit.base.directory import VENUE
from kit.base.errors import ProcessDraining
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.marketdata.delivery.redis_streams import RedisStreams
from kit.marketdata.delivery.subscription import PublishedBatch, Subscribers

SERVICE = "bridge"


def main() -> int:
    """Run the bridge until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(BridgeSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: BridgeSettings, mesh: MeshSettings) -> None:
    """Run the bridge in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    streams = RedisStreams(mesh.redis_login_url, runtime.store_metrics)
    subscribers = Subscribers(settings.subscribers_max)
    venues = VenueClients(runtime.channels(VENUE), clock)
    degraded_reasons = DegradedReasons(runtime.meter)

    def publish(publication: PublishedBatch) -> None:
        # Books first: a subscriber who gets a change may look the book up at once.
        books.apply(publication)
        subscribers.publish(publication)

    tailer = StreamTailer(
        streams,
        publish,
        lambda key: books.entries_lost(key),
        runtime.meter,
        degraded_reasons,
        clock,
    )
    books = LiveBookManager(venues, tailer.position, clock)
    catch_up = partial(BacklogReader, streams, tailer, clock=clock)
    live = LiveServicer(tailer, catch_up, subscribers, books, venues, settings)
    runtime.serve(live_pb2.DESCRIPTOR, "Live", live, raw=("Subscribe",))
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    runtime.run_task("tail", tailer.run)
    runtime.run_task("books", books.run)
    runtime.when_draining(lambda: subscribers.end(ProcessDraining("the bridge is stopping")))
    runtime.at_end(streams.close)
    await runtime.run()
