"""Wires Audit: settings, keys, anchors, database, service."""

from functools import partial

from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import events_pb2

from core.audit.anchors import AnchorFile
from core.audit.call_collector import CallCollector
from core.audit.checkpointer import Checkpointer
from core.audit.event_backlog import EventBacklog
from core.audit.event_chains import EventChainReader
from core.audit.export import LogExporter
from core.audit.log_keys import LogKeys
from core.audit.log_reader import LogReader
from core.audit.log_writer import LogWriter
from core.audit.metrics import AuditMetrics
from core.audit.service import AuditServicer
from core.audit.settings import AuditSettings
from core.audit.store import SYSTEM, AuditStore
from core.audit.verification import Verification
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import ProcessDraining
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.event_reader import EventReader
from kit.events.leases import Lease
from kit.events.redis_events import RedisEvents
from kit.events.relay import EventRelay
from kit.events.service import EventsServicer
from kit.events.settings import EventsSettings

SERVICE = "audit"


def main() -> int:
    """Run Audit until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(AuditSettings, SERVICE)
    events = setting_files.load(EventsSettings, "events")
    return run_process(SERVICE, mesh, lambda: run(settings, events, mesh))


async def run(settings: AuditSettings, events: EventsSettings, mesh: MeshSettings) -> None:
    """Run Audit in this event loop."""
    file = AnchorFile.in_folder(settings.anchors_of(mesh))
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock = SystemClock()
    degraded_reasons, metrics = DegradedReasons(runtime.meter), AuditMetrics(runtime.meter)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    holder = f"{SERVICE}@{mesh.advertise_host or mesh.host}:{settings.port}"
    lease = Lease(database, SERVICE, holder, settings.lease_seconds)
    store, reader = AuditStore(database, lease), LogReader(database)
    keys = LogKeys(settings.keys_of(mesh), settings.origin_of(mesh))
    writer = LogWriter(store, settings.batch_events_max, metrics, degraded_reasons)
    checkpointer = Checkpointer(store, writer, keys, [file], metrics, degraded_reasons)
    servicer = AuditServicer(
        store,
        checkpointer,
        partial(Verification, store, reader, keys, file),
        LogExporter(store, reader),
        EventChainReader(database, settings.chain_events_max),
        settings.readers_max,
    )

    redis = RedisEvents(mesh.redis_login_url, runtime.store_metrics)
    entries_max = events.redis_entries_max
    relay = EventRelay(database, redis, (SYSTEM,), entries_max, degraded_reasons, clock)
    event_servicer = EventsServicer(database, redis, degraded_reasons, clock)
    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    runtime.serve(audit_pb2.DESCRIPTOR, "Audit", servicer)
    runtime.serve(events_pb2.DESCRIPTOR, "Events", event_servicer)
    runtime.when_draining(lambda: event_servicer.end(ProcessDraining("Audit is stopping")))
    events_reader = EventReader(database, redis, degraded_reasons, clock)
    lease_seconds = settings.lease_seconds
    runtime.run_task(
        "log", after_migration(lambda: writer.run(events_reader, lease_seconds, clock))
    )
    interval_s = settings.checkpoint_interval_s
    runtime.run_task("checkpoints", after_migration(lambda: checkpointer.run(interval_s, clock)))
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    collector = CallCollector(runtime.directory, database, clock, metrics)
    runtime.run_while_active("calls", after_migration(collector.run))
    runtime.run_task("relay", after_migration(relay.run))
    backlog = EventBacklog(database, redis, runtime.meter)
    runtime.run_task("backlog", after_migration(lambda: backlog.run(clock)))
    for finish in (database.close, redis.close):
        runtime.at_end(finish)
    await runtime.run()
