"""The processes of the chain, put together as their apps do, without servers."""

from types import SimpleNamespace

from venuemesh.events.v1 import event_pb2

from core.advisor.fact_collector import FactCollector
from core.advisor.learned_models import StoredModels
from core.advisor.metrics import AdvisorMetrics
from core.advisor.settings import AdvisorSettings
from core.advisor.signal_handler import DECISIONS, SignalHandler
from core.detector.context import DetectorContext
from core.detector.local_programs import LocalProgram
from core.detector.metrics import DetectorMetrics
from core.detector.positions import keep_positions
from core.detector.strategy_runner import SIGNALS, StrategyRunner
from core.inspector.submissions import RISK
from core.inspector.tests import rig
from core.ledger.execution_collector import ExecutionCollector, VenueAccount
from core.ledger.execution_store import ExecutionStore
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.consumer import Consumption, EventConsumer
from kit.events.event_reader import EventReader
from kit.events.relay import EventRelay
from kit.execution.tests.simulated_process import SimulatedProcess
from kit.strategy.tests.market import BTCUSDT, loaded
from tests.simulation.chain.execution_news import ExecutionNews
from tests.simulation.chain.flattening import name_shares
from tests.simulation.chain.store import SimulatedDatabase

EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
RULES = AdvisorSettings().rules()
METER = Meter("chain")
ADVISOR_METRICS, DETECTOR_METRICS = AdvisorMetrics(METER), DetectorMetrics(METER)
ENTRIES_MAX = 10_000
INTERVAL_S = 1.0


class NamedProcess(SimulatedProcess):
    """A process with a name."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.parts = None
        """What it is made of."""


class Services:
    """Starts the processes of a run. Rig of the inspector."""

    lease_seconds = 5.0
    approval_seconds = 20
    proposal_seconds = 60
    meter = METER

    def __init__(self, world):
        self._world = world
        self.clock, self.venue = world.clock, world.venue

    def start(self, name):
        """Start a process."""
        process = NamedProcess(name)
        service = name.partition("-")[0]
        begin = getattr(self, f"_{service}")
        process.parts, tasks = process.call(begin, process)
        process.running = [process.start(task()) for task in tasks]
        return process

    def database_of(self, points):
        return SimulatedDatabase(self._world.store, points)

    def reader_of(self, database, reasons):
        return EventReader(database, self._world.redis, reasons, self.clock)

    def _relay(self, database, stream, reasons):
        redis = self._world.redis
        return EventRelay(database, redis, (stream,), ENTRIES_MAX, reasons, self.clock)

    def _consumer(self, consumption, database, reasons):
        reader = self.reader_of(database, reasons)
        return EventConsumer(consumption, database, reader, reasons, self.clock)

    def _detector(self, process):
        database, reasons = self.database_of(process), DegradedReasons(METER)
        relay = self._relay(database, SIGNALS, reasons)
        context = DetectorContext(
            database, self._world.bars, relay.wake, DETECTOR_METRICS, reasons, self.clock
        )
        runner = StrategyRunner(LocalProgram(loaded(self._world.strategy)), BTCUSDT, context)
        consumption = Consumption("detector", (RISK,), keep_positions, lambda: None)
        consumer = self._consumer(consumption, database, reasons)
        return runner, (relay.run, consumer.run, runner.run)

    def _advisor(self, process):
        database, reasons = self.database_of(process), DegradedReasons(METER)
        relay, market = self._relay(database, DECISIONS, reasons), self._world.market
        collect = FactCollector(market, market, market, self.clock).collect
        load_models = StoredModels(database).load
        handler = SignalHandler(
            collect, load_models, RULES, ADVISOR_METRICS, relay.wake, self.clock
        )
        consumption = Consumption(
            "advisor",
            (SIGNALS,),
            handler.handle,
            handler.committed,
            prepare=handler.prepare,
            send=handler.send,
        )
        consumer = self._consumer(consumption, database, reasons)

        async def read_accounts():
            while True:
                market.read_accounts()
                await self.clock.sleep(INTERVAL_S)

        return None, (relay.run, consumer.run, read_accounts)

    def _inspector(self, process):
        parts = rig.Process(self, process, holder=process.name)
        relay = self._relay(parts.database, RISK, parts.reasons)
        return parts, (relay.run, parts.active.run)

    def recorder(self, database, relay):
        """What stores executions."""
        return Recorder(database, relay, self.clock)

    def _ledger(self, process):
        database, reasons = self.database_of(process), DegradedReasons(METER)
        relay = self._relay(database, EXECUTIONS, reasons)
        venue = self._world.venue
        news = ExecutionNews(venue, self.clock, self._world.random("news"))
        instruments = SimpleNamespace(known={})
        account = VenueAccount("binance", "paper", news, instruments, is_paper=True)
        store = ExecutionStore(database, self.recorder(database, relay), "binance", "paper")
        intake = ExecutionCollector(account, store, reasons, self.clock)
        return intake, (relay.run, intake.run)


class Recorder:
    """Stores executions as the writer of the ledger does, and books nothing."""

    def __init__(self, database, relay, clock):
        self._database, self._relay, self._clock = database, relay, clock

    async def book(self, events, instruments, move):
        async with self._database.transaction() as connection:
            await move(connection)
            await name_shares(connection, EXECUTIONS, events)
            await event_log.append(connection, EXECUTIONS, events, self._clock.time_ns())
        self._relay.wake()
