"""Wires the inspector: settings, policy, key, database, venues, service."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from venuemesh.inspector.v1 import inspector_pb2, risk_reports_pb2

from core.inspector import risk_facts
from core.inspector.account_reconciler import AccountReconciler
from core.inspector.account_reports import AccountReports
from core.inspector.active_process import ActiveProcess
from core.inspector.adoptions import Adoptions
from core.inspector.approvals import Approver
from core.inspector.decision_handler import DecisionHandler
from core.inspector.entry_fences import EntryFences
from core.inspector.event_handler import EventHandler
from core.inspector.heartbeat_sender import HeartbeatSender
from core.inspector.legacy_positions import LegacyPositions
from core.inspector.limit_monitor import LimitMonitor
from core.inspector.manual_orders import ManualOrders
from core.inspector.metrics import InspectorMetrics
from core.inspector.mode_changes import ModeChanges
from core.inspector.order_reconciler import OrderReconciler
from core.inspector.policy_reloader import PolicyFile, PolicyReloader
from core.inspector.position_closer import PositionCloser
from core.inspector.position_opener import PositionOpener
from core.inspector.proposal_expiry import ProposalExpiry
from core.inspector.service import InspectorServicer, PersonRequests, RiskReportsServicer
from core.inspector.settings import InspectorSettings
from core.inspector.stop_monitor import StopMonitor
from core.inspector.submission_sender import SubmissionSender
from core.inspector.submissions import RISK
from core.inspector.trailing_stops import TrailingStops
from core.inspector.venue_processes import VenueProcesses
from core.inspector.verdict_inputs import VerdictInputs
from kit.base import settings as setting_files
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock, SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.directory import VENUE
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.base.telemetry import Meter
from kit.events.consumer import EventConsumer
from kit.events.event_reader import EventReader
from kit.events.leases import Lease
from kit.events.redis_events import RedisEvents
from kit.events.relay import EventRelay
from kit.events.settings import EventsSettings
from kit.execution.approval.keys import inspector_key, scope_of
from kit.risk.limits import Need

SERVICE = "inspector"


def main() -> int:
    """Run the inspector until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(InspectorSettings, SERVICE)
    events = setting_files.load(EventsSettings, "events")
    return run_process(SERVICE, mesh, lambda: run(settings, events, mesh))


async def run(settings: InspectorSettings, events: EventsSettings, mesh: MeshSettings) -> None:
    """Run the inspector in this event loop."""
    clock = SystemClock()
    file = PolicyFile(settings.policy_file, mesh.world, clock)
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    degraded_reasons = DegradedReasons(runtime.meter)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    redis = RedisEvents(mesh.redis_login_url, runtime.store_metrics)
    relay = EventRelay(database, redis, (RISK,), events.redis_entries_max, degraded_reasons, clock)
    lease = (approver := _approver(settings, mesh, database)).lease
    venues = VenueProcesses(runtime.channels(VENUE), clock)
    rules = _rules(settings, mesh, file, venues, database, clock)
    policy = PolicyReloader(file, rules, database, lease, degraded_reasons, clock)
    sender = SubmissionSender(database, lease, venues, degraded_reasons, clock)
    opener = PositionOpener(rules, approver)
    closer = PositionCloser(database, rules, approver, venues, degraded_reasons, opener)
    manual = ManualOrders(database, rules, approver, venues, settings.request_times)
    fences = EntryFences(database, approver, venues, degraded_reasons, clock)
    changes = ModeChanges(database, lease, fences, mesh.world, clock)
    unprotected = StopMonitor(database, lease, venues, degraded_reasons, clock)
    trailing = TrailingStops(database, rules, approver, venues, relay.wake)
    adoptions = Adoptions(database, rules, lease, venues)
    legacy = LegacyPositions(database, lease, degraded_reasons, clock)
    limits = LimitMonitor(database, rules, lease, fences, degraded_reasons)
    reports = AccountReports(venues)
    accounts = AccountReconciler(database, rules, lease, reports, fences, degraded_reasons)
    expiry = ProposalExpiry(database, lease, degraded_reasons, clock, relay.wake)

    def wake() -> None:
        for one in (sender, closer, relay, limits):
            one.wake()

    sender.when_decided = partial(_decided, manual, wake)
    opener.when_approved = closer.when_approved = manual.when_approved = sender.approved
    for one in (closer, manual, changes, unprotected, limits, accounts, adoptions, legacy):
        one.after_commit = wake
    handler = EventHandler(lease, DecisionHandler(rules, opener), clock)
    unprotected.when_reported, handler.when_changed = trailing.look, unprotected.changed
    reader = EventReader(database, redis, degraded_reasons, clock)
    consumption = handler.consumption(SERVICE, sender.committed, wake)
    consumer = EventConsumer(consumption, database, reader, degraded_reasons, clock)
    ends = OrderReconciler(database, lease, venues, degraded_reasons, clock)
    heartbeats = HeartbeatSender(approver, venues, degraded_reasons, clock)
    parts = (policy, consumer, sender, closer, ends, fences, unprotected, limits, accounts)
    tasks = [one.run for one in (*parts, trailing, legacy, heartbeats, expiry)]
    active = ActiveProcess(lease, partial(_begin, policy, sender), tasks, degraded_reasons, clock)
    persons = PersonRequests(changes, manual, adoptions)
    servicer = InspectorServicer(database, rules, active, persons, closer)
    metrics = _metrics(runtime.meter, active, closer, unprotected)
    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    _serve(runtime, servicer, RiskReportsServicer(database, rules, venues.price_cache))
    runtime.run_task("instruments", venues.instruments.run)
    runtime.run_task("prices", after_migration(venues.price_cache.run))
    runtime.run_task("metrics", after_migration(lambda: metrics.run(database, mesh.world, clock)))
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    runtime.run_task("relay", after_migration(relay.run))
    runtime.run_task("acting", after_migration(active.run))
    runtime.at_end(database.close)
    runtime.at_end(redis.close)
    await runtime.run()


def _approver(settings: InspectorSettings, mesh: MeshSettings, database: Database) -> Approver:
    holder = f"{SERVICE}@{mesh.advertise_host or mesh.host}:{settings.port}"
    lease = Lease(database, SERVICE, holder, settings.lease_seconds)
    return Approver(settings.key_id, inspector_key(Path(mesh.data_dir)), scope_of(mesh), lease)


def _rules(
    settings: InspectorSettings,
    mesh: MeshSettings,
    file: PolicyFile,
    venues: VenueProcesses,
    database: Database,
    clock: Clock,
) -> VerdictInputs:
    approval_ns = int(settings.approval_seconds * NANOSECONDS_PER_SECOND)
    prices = venues.price_cache
    rules = VerdictInputs(
        file.policy, mesh.world, approval_ns, venues.instrument, clock, prices.find
    )
    prices.open_instruments = partial(risk_facts.open_instruments, database)
    prices.is_needed = lambda: Need.PRICES in rules.policy.needs
    return rules


def _serve(runtime: Runtime, servicer: InspectorServicer, reports: RiskReportsServicer) -> None:
    runtime.serve(inspector_pb2.DESCRIPTOR, "Inspector", servicer)
    runtime.serve(risk_reports_pb2.DESCRIPTOR, "RiskReports", reports)


def _decided(manual: ManualOrders, wake: Callable[[], None], submission_id: bytes) -> None:
    manual.decided(submission_id)
    wake()


async def _begin(policy: PolicyReloader, sender: SubmissionSender) -> None:
    await policy.begin()
    sender.forget()


def _metrics(
    meter: Meter, active: ActiveProcess, closer: PositionCloser, unprotected: StopMonitor
) -> InspectorMetrics:
    metrics = InspectorMetrics(meter)
    metrics.active.set_function(lambda: active.is_active)
    metrics.unprotected.set_function(lambda: len(unprotected.found))
    unprotected.when_protected = metrics.unprotected_seconds.observe
    metrics.closing_waits.set_function(lambda: len(closer.problems))
    return metrics
