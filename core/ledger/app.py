"""Wires the ledger: settings, database, the readers of executions, the writer, the service."""

from venuemesh.events.v1 import event_pb2
from venuemesh.ledger.v1 import ledger_pb2

from core.ledger.account_discovery import AccountDiscovery
from core.ledger.event_postings import EventPostings
from core.ledger.execution_collector import ExecutionCollector, VenueAccount
from core.ledger.execution_store import ExecutionStore
from core.ledger.group_feed import GroupFeed
from core.ledger.holds import Holds
from core.ledger.market_prices import MarketPrices
from core.ledger.metrics import LedgerMetrics
from core.ledger.postgres_queries import PostgresQueries
from core.ledger.postgres_store import PostgresStore
from core.ledger.posting_writer import PostingWriter
from core.ledger.service import LedgerServicer, ServedQueries
from core.ledger.settings import LedgerSettings
from core.ledger.spot_pairs import SpotPairs
from core.ledger.store import PostingStore
from core.ledger.valuation import Valuation
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
from kit.events.redis_events import RedisEvents
from kit.events.relay import EventRelay
from kit.events.settings import EventsSettings
from kit.marketdata.clients.best_prices import BestPriceClient

SERVICE = "ledger"
PRICE_SECONDS_MAX = 2.0
"""How long the price of an instrument is waited for."""
STREAMS = (event_pb2.EVENT_STREAM_EXECUTIONS, event_pb2.EVENT_STREAM_LEDGER)


def main() -> int:
    """Run the ledger until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(LedgerSettings, SERVICE)
    events = setting_files.load(EventsSettings, "events")
    return run_process(SERVICE, mesh, lambda: run(settings, events, mesh))


async def run(settings: LedgerSettings, events: EventsSettings, mesh: MeshSettings) -> None:
    """Run the ledger in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    degraded_reasons = DegradedReasons(runtime.meter)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    store, queries = _stores(settings, database, runtime)
    writer = PostingWriter(database, store, EventPostings(settings.cost_method), clock)
    venues = runtime.channels(VENUE)
    prices = MarketPrices(BestPriceClient(venues, PRICE_SECONDS_MAX, clock), clock)
    valuation = Valuation(SpotPairs(venues, clock), prices)
    feed = GroupFeed(queries, settings.readers_max)
    redis = RedisEvents(mesh.redis_login_url, runtime.store_metrics)
    relay = EventRelay(database, redis, STREAMS, events.redis_entries_max, degraded_reasons, clock)

    def when_booked() -> None:
        feed.booked()
        relay.wake()

    writer.when_booked = when_booked
    holds = Holds(database, writer, clock)
    servicer = LedgerServicer(writer, holds, queries, valuation, feed, clock)
    runtime.serve(ledger_pb2.DESCRIPTOR, "Ledger", servicer)

    def collector(account: VenueAccount) -> ExecutionCollector:
        store = ExecutionStore(database, writer, account.venue, account.account)
        return ExecutionCollector(account, store, degraded_reasons, clock)

    discovery = AccountDiscovery(runtime.directory, collector, clock)
    metrics = LedgerMetrics(runtime.meter, discovery)
    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    runtime.run_task("writer", writer.run)
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    runtime.run_task("relay", after_migration(relay.run))
    runtime.run_task("discovery", after_migration(discovery.run))
    runtime.run_task("metrics", after_migration(lambda: metrics.run(database, clock)))
    runtime.when_draining(lambda: feed.end(ProcessDraining("the ledger is stopping")))
    for finish in (database.close, redis.close):
        runtime.at_end(finish)
    await runtime.run()


def _stores(
    settings: LedgerSettings, database: Database, runtime: Runtime
) -> tuple[PostingStore, ServedQueries]:
    """Where the ledger is kept."""
    if not settings.tigerbeetle_addresses:
        return PostgresStore(), PostgresQueries(database)
    # Its library is loaded where it is used only.
    from core.ledger.tigerbeetle_book import TigerBeetleBook
    from core.ledger.tigerbeetle_client import TigerBeetleClient
    from core.ledger.tigerbeetle_queries import TigerBeetleQueries
    from core.ledger.tigerbeetle_store import TigerBeetleStore

    client = TigerBeetleClient(settings.tigerbeetle_addresses, settings.tigerbeetle_cluster)
    runtime.at_end(client.close)
    book = TigerBeetleBook(client)
    return TigerBeetleStore(database, book), TigerBeetleQueries(database, book)
