"""Wires the websocket: settings, the streams of other processes, the server."""

from gateway.push.channels import TopicKey
from gateway.push.connection import ConnectionTerms
from gateway.push.feeds import market_feed
from gateway.push.feeds.bar_feed import BARS, BarFeed
from gateway.push.feeds.event_feed import AUDIT, EventFeed
from gateway.push.feeds.log_feed import LogFeed
from gateway.push.feeds.market_feed import BRIDGE, MarketFeed
from gateway.push.feeds.mesh_feed import MeshFeed
from gateway.push.feeds.paced_feed import PacedFeed
from gateway.push.metrics import PushMetrics
from gateway.push.server import PushServer
from gateway.push.settings import PushSettings
from gateway.push.topics import Topics
from gateway.push.updates import Feed
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.directory import VENUE
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings

SERVICE = "push"


def main() -> int:
    """Run the process until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(PushSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: PushSettings, mesh: MeshSettings) -> None:
    """Run it in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    channels = runtime.channels(VENUE, BRIDGE, BARS, AUDIT)

    def feed_of(key: TopicKey) -> Feed:
        if key.channel in market_feed.CHANNELS:
            return MarketFeed(key, channels)
        if key.channel == "bars":
            return BarFeed(key, channels)
        feed: Feed
        match key.channel:
            case "mesh":
                feed = MeshFeed(runtime.directory)
            case "logs":
                feed = LogFeed(key, runtime.directory, clock)
            case _:
                feed = EventFeed(key, channels)
        return feed if key.is_lossless else PacedFeed(feed, key.interval_ms / 1000, clock)

    metrics = PushMetrics(runtime.meter)
    topics = Topics(feed_of, settings, clock)
    server = PushServer(runtime.guard, ConnectionTerms(topics, settings, metrics), clock)
    metrics.watch(server.__len__, topics.__len__)
    tls = None if runtime.tls is None else runtime.tls.server_context()
    runtime.announce_http(settings.http_port)
    runtime.run_task("websocket", lambda: server.run(mesh.host, tls))
    runtime.when_draining(server.drain)
    runtime.at_end(topics.close)
    runtime.meter.serving()
    await runtime.run()
