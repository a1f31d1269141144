"""Wires the advisor: settings, facts, the consumer of signals, the relay, the service."""

from dataclasses import replace

from venuemesh.advisor.v1 import advisor_pb2

from core.advisor.calibration_handler import CalibrationHandler
from core.advisor.fact_collector import FactCollector
from core.advisor.learned_models import StoredModels
from core.advisor.ledger_accounts import LEDGER, LedgerAccounts
from core.advisor.metrics import AdvisorMetrics
from core.advisor.outcome_observer import OutcomeObserver, OutcomeTimes
from core.advisor.recorded_bars import HISTORY, RecordedBars
from core.advisor.service import AdvisorServicer
from core.advisor.settings import AdvisorSettings, SynthesisSettings
from core.advisor.signal_handler import DECISIONS, SIGNALS, SignalHandler
from core.advisor.synthesis.configured import configured_models, configured_synthesizer
from core.advisor.synthesis_handler import SynthesisHandler
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.directory import VENUE
from kit.base.migration import when_migrated
from kit.base.redis_commands import refuse_cluster
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.events.consumer import Consumption, EventConsumer
from kit.events.event_reader import EventReader
from kit.events.redis_events import RedisEvents
from kit.events.relay import EventRelay
from kit.events.settings import EventsSettings
from kit.marketdata.clients.best_prices import BestPriceClient
from kit.marketdata.clients.listed_instruments import ListedInstruments

SERVICE = "advisor"
SYNTHESIS = "advisor_synthesis"
"""The consumer that asks language models."""
NO_MODELS = SynthesisSettings()
GATHER_SECONDS = 0.05
"""Bars end together: what strategies raise on them is asked about together."""
OUTCOMES = "advisor_outcomes"
"""The consumer that notes whose outcomes are looked for."""
CALIBRATION = "advisor_calibration"
"""The consumer that learns from outcomes."""
OUTCOME_GATHER_SECONDS = 0.2
"""How long both wait after a decision, for which the inspector needs the processor more."""


def main() -> int:
    """Run the advisor until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(AdvisorSettings, SERVICE)
    synthesis = setting_files.load(SynthesisSettings, "synthesis")
    events = setting_files.load(EventsSettings, "events")
    return run_process(SERVICE, mesh, lambda: run(settings, events, mesh, synthesis))


async def run(
    settings: AdvisorSettings,
    events: EventsSettings,
    mesh: MeshSettings,
    synthesis: SynthesisSettings = NO_MODELS,
) -> None:
    """Run the advisor in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    clock, rules = SystemClock(), settings.rules()
    degraded_reasons = DegradedReasons(runtime.meter)
    database = Database(mesh.database_login_url, metrics=runtime.store_metrics)
    redis = RedisEvents(mesh.redis_login_url, runtime.store_metrics)
    entries_max = events.redis_entries_max
    relay = EventRelay(database, redis, (DECISIONS,), entries_max, degraded_reasons, clock)

    venues, answer_seconds_max = runtime.channels(VENUE), settings.book_answer_max_ms / 1000
    prices = BestPriceClient(venues, answer_seconds_max, clock)
    instruments = ListedInstruments(venues, answer_seconds_max, clock)
    accounts = LedgerAccounts(runtime.channels(LEDGER), settings.ledger_interval_ms / 1000, clock)
    collect = FactCollector(prices, instruments, accounts, clock).collect
    metrics = AdvisorMetrics(runtime.meter)
    learned = StoredModels(database)
    handler = SignalHandler(collect, learned.load, rules, metrics, relay.wake, clock)
    reader = EventReader(database, redis, degraded_reasons, clock)
    consumption = _decisions(SERVICE, handler)
    consumer = EventConsumer(consumption, database, reader, degraded_reasons, clock)
    models = configured_models(synthesis)
    ask = configured_synthesizer(synthesis, models, database, clock).ask if models else None
    reviewed = SynthesisHandler(handler.cases, ask, metrics, relay.wake, clock)
    asking = _decisions(SYNTHESIS, reviewed, GATHER_SECONDS)
    # A reader has one follower of a stream.
    asking_reader = EventReader(database, redis, degraded_reasons, clock)
    asking_consumer = EventConsumer(asking, database, asking_reader, degraded_reasons, clock)
    times = OutcomeTimes(settings.outcome_limit_s, settings.outcome_interval_s)
    bars = RecordedBars(runtime.channels(HISTORY))
    observer = OutcomeObserver(database, bars, times, relay.wake, clock)
    entries = Consumption(OUTCOMES, (DECISIONS,), observer.handle, observer.committed)
    entry_consumer = EventConsumer(_later(entries), database, reader, degraded_reasons, clock)
    learner = CalibrationHandler(database, relay.wake, clock)
    outcomes = Consumption(
        CALIBRATION, (DECISIONS,), learner.handle, learner.committed, prepare=learner.prepare
    )
    learning = EventConsumer(_later(outcomes), database, asking_reader, degraded_reasons, clock)

    servicer = AdvisorServicer(collect, learned.load, rules, database, clock)
    runtime.serve(advisor_pb2.DESCRIPTOR, "Advisor", servicer)
    after_migration = when_migrated(mesh.database_login_url, degraded_reasons, clock)
    runtime.run_task("instruments", instruments.run)
    # The ledger has its rights when this process has.
    runtime.run_task("accounts", after_migration(accounts.run))
    runtime.run_task("redis check", lambda: refuse_cluster(mesh.redis_login_url, clock))
    runtime.run_task("relay", after_migration(relay.run))
    runtime.run_task("signals", after_migration(consumer.run))
    runtime.run_task("synthesis", after_migration(asking_consumer.run))
    runtime.run_task("entries", after_migration(entry_consumer.run))
    runtime.run_task("outcomes", after_migration(observer.run))
    runtime.run_task("calibration", after_migration(learning.run))
    for finish in (database.close, redis.close, *(model.close for model in models)):
        runtime.at_end(finish)
    await runtime.run()


def _decisions(
    consumer: str, handler: SignalHandler | SynthesisHandler, gather_seconds: float = 0
) -> Consumption:
    """The consumption of signals by a handler."""
    return Consumption(
        consumer,
        (SIGNALS,),
        handler.handle,
        handler.committed,
        prepare=handler.prepare,
        send=handler.send,
        gather_seconds=gather_seconds,
    )


def _later(consumption: Consumption) -> Consumption:
    """The same after the inspector has had its turn."""
    return replace(consumption, gather_seconds=OUTCOME_GATHER_SECONDS)
