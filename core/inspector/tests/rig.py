"""A process of the inspector without its server, on a real database, that can be killed."""

import asyncio
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2, signals_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import positions
from core.inspector.active_process import ActiveProcess
from core.inspector.adoptions import Adoptions
from core.inspector.approvals import Approver
from core.inspector.decision_handler import DecisionHandler
from core.inspector.entry_fences import EntryFences
from core.inspector.event_handler import EventHandler
from core.inspector.legacy_positions import LegacyPositions
from core.inspector.limit_monitor import LimitMonitor
from core.inspector.manual_orders import ManualOrders
from core.inspector.mode_changes import ModeChanges
from core.inspector.order_reconciler import OrderReconciler
from core.inspector.position_closer import PositionCloser
from core.inspector.position_opener import PositionOpener
from core.inspector.proposal_expiry import ProposalExpiry
from core.inspector.settings import RequestTimes
from core.inspector.stop_monitor import StopMonitor
from core.inspector.submission_sender import EXPIRY_MARGIN_NS, SubmissionSender
from core.inspector.tests.lying_venue import LyingVenue
from core.inspector.trailing_stops import TrailingStops
from core.inspector.verdict_inputs import VerdictInputs
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.consumer import EventConsumer
from kit.events.event_ids import event_id
from kit.events.leases import Lease
from kit.execution.approval.signing import MeshScope
from kit.risk.policy import OPEN_POLICY
from tests.support.waiting import eventually

DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
RISK = event_pb2.EVENT_STREAM_RISK
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
FASTER = 50
SPOT = types_pb2.Instrument(
    venue="binance",
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=types_pb2.INSTRUMENT_KIND_SPOT,
    size_step="0.00001",
    size_min="0.0001",
)


class FastClock:
    """Sleeping takes no time of the test, but of the clock."""

    def __init__(self):
        self.now_ns = START_NS

    def time_ns(self):
        return self.now_ns

    def monotonic_ns(self):
        return self.now_ns

    async def sleep(self, seconds):
        ends_ns = self.now_ns + int(seconds * NANOSECONDS_PER_SECOND)
        await asyncio.sleep(seconds / FASTER)
        # Others have slept meanwhile, in the same time.
        self.now_ns = max(self.now_ns, ends_ns)


class NoReader:
    """Looks again at once, without Redis."""

    async def wait(self, positions):
        await asyncio.sleep(0.01)


class CrashPoints:
    """Stops a process for good at its n-th step."""

    def __init__(self, at=0):
        self.at = at
        self.steps: list[str] = []
        self.reached = asyncio.Event()

    async def reach(self, name):
        if self.reached.is_set():
            # The process is dead: none of its tasks goes on.
            await asyncio.Event().wait()
        self.steps.append(name)
        if len(self.steps) == self.at:
            self.reached.set()
            await asyncio.Event().wait()


class CrashingDatabase(Database):
    """Transactions with steps at which a process may be killed."""

    points: CrashPoints

    @asynccontextmanager
    async def transaction(self, **options):
        await self.points.reach("begin")
        async with super().transaction(**options) as connection:
            yield connection
            await self.points.reach("commit")
        await self.points.reach("committed")


class Process:
    """One start of the inspector."""

    def __init__(self, rig, points, holder="inspector-1", policy=OPEN_POLICY, world="simulate"):
        self.rig, self.points = rig, points
        clock = rig.clock
        self.database = rig.database_of(points)
        self.reasons = DegradedReasons(rig.meter)
        self.lease = Lease(self.database, "inspector", holder, rig.lease_seconds)
        approver = Approver("inspector", KEY, MeshScope("local", world), self.lease)

        approval_ns = rig.approval_seconds * NANOSECONDS_PER_SECOND
        rules = self.rules = VerdictInputs(policy, world, approval_ns, rig.venue.instrument, clock)
        self.sender = SubmissionSender(self.database, self.lease, rig.venue, self.reasons, clock)
        self.opener = opener = PositionOpener(rules, approver)
        self.closer = PositionCloser(
            self.database, rules, approver, rig.venue, self.reasons, opener
        )
        times = RequestTimes(20, rig.proposal_seconds)
        self.manual = ManualOrders(self.database, rules, approver, rig.venue, times)
        expiry = ProposalExpiry(self.database, self.lease, self.reasons, clock, lambda: None)
        fences = EntryFences(self.database, approver, rig.venue, self.reasons, clock)
        self.changes = ModeChanges(self.database, self.lease, fences, world, clock)
        decisions = DecisionHandler(rules, opener)
        handler = EventHandler(self.lease, decisions, clock)

        def wake():
            self.sender.wake()
            self.closer.wake()

        def decided(submission_id):
            self.manual.decided(submission_id)
            wake()

        self.sender.when_decided = decided
        opener.when_approved = self.sender.approved
        self.closer.when_approved = self.manual.when_approved = self.sender.approved
        self.closer.after_commit = self.manual.after_commit = wake
        self.changes.after_commit = wake
        consumption = handler.consumption("inspector", self.sender.committed, wake)
        reader = rig.reader_of(self.database, self.reasons)
        consumer = EventConsumer(consumption, self.database, reader, self.reasons, clock)
        ends = OrderReconciler(self.database, self.lease, rig.venue, self.reasons, clock)
        self.unprotected = StopMonitor(self.database, self.lease, rig.venue, self.reasons, clock)
        trailing = TrailingStops(self.database, rules, approver, rig.venue, lambda: None)
        self.unprotected.when_reported = trailing.look
        handler.when_changed = self.unprotected.changed
        self.adoptions = Adoptions(self.database, rules, self.lease, rig.venue)
        self.legacy = LegacyPositions(self.database, self.lease, self.reasons, clock)
        self.adoptions.after_commit = self.legacy.after_commit = wake
        self.unprotected.after_commit = wake
        self.limits = LimitMonitor(self.database, rules, self.lease, fences, self.reasons)
        self.limits.after_commit = wake
        parts = (consumer, self.sender, self.closer, ends, fences, self.unprotected)
        self.tasks = [one.run for one in (*parts, self.limits, trailing, expiry)]
        """Tests of legacy positions look by themselves."""

        async def begin():
            self.sender.forget()

        self.active = ActiveProcess(self.lease, begin, self.tasks, self.reasons, clock)

    def start(self):
        self.rig.venue.points = self.points
        self.task = asyncio.create_task(self.active.run())

    async def kill(self):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.database.close()


class Rig:
    """A database, a venue that lies, and the processes of the inspector."""

    lease_seconds = 3600
    approval_seconds = 3600
    """Twenty seconds of its clock are less than half a second of a busy machine: approvals end only
    by ``expire_approvals``."""

    proposal_seconds = 3600

    def __init__(self, postgres_url, clock=None):
        self.postgres_url = postgres_url
        self.clock = clock or FastClock()
        self.venue = LyingVenue(self.clock)
        self.database = Database(postgres_url)
        self.meter = Meter("inspector")
        self.instruments = self.venue.instruments
        self.instruments["binance", "BTCUSDT"] = SPOT
        self.process: Process | None = None

    def database_of(self, points):
        """The database as a process has it."""
        database = CrashingDatabase(self.postgres_url)
        database.points = points
        return database

    def reader_of(self, database, reasons):
        """How a process learns of new events."""
        return NoReader()

    async def start(self, at=0, **options):
        """A process, killed at its n-th step."""
        self.process = Process(self, CrashPoints(at), **options)
        self.process.start()
        return self.process

    async def kill(self):
        if self.process is not None:
            await self.process.kill()
            self.process = None

    def expire_approvals(self):
        """Let the time pass after which an order that the venue does not know has expired."""
        lasts_ns = self.approval_seconds * NANOSECONDS_PER_SECOND
        self.clock.now_ns += lasts_ns + EXPIRY_MARGIN_NS

    async def put(self, stream, *events):
        async with self.database.transaction() as connection:
            await event_log.append(connection, stream, events, self.clock.time_ns())

    async def events(self, stream=RISK):
        async with self.database.transaction() as connection:
            found = await event_log.read(connection, stream, 0)
        return [one.event() for one in found]

    async def payloads(self, name):
        return [
            getattr(one, name) for one in await self.events() if one.WhichOneof("payload") == name
        ]

    async def verdicts(self):
        return await self.payloads("verdict_given")

    async def outcomes(self):
        return await self.payloads("orders_submitted")

    async def open_positions(self):
        async with self.database.transaction() as connection:
            return await positions.all_open(connection)

    async def until_outcomes(self, count):
        async def are_there():
            return len(await self.outcomes()) >= count

        await eventually(are_there)
        return await self.outcomes()

    async def until_flat(self):
        async def is_flat():
            return not await self.open_positions()

        await eventually(is_flat)


@asynccontextmanager
async def rig_for(postgres_url, clock=None):
    """A rig on a database that has the schema and no rows."""
    rig = Rig(postgres_url, clock)
    try:
        yield rig
    finally:
        await rig.kill()
        await rig.database.close()


def decision(number, action=signals_pb2.POSITION_ACTION_OPEN, **fields):
    """A decision of the advisor with an intent."""
    intent = {
        "strategy": "ema_cross",
        "venue": "binance",
        "account": "paper",
        "symbol": "BTCUSDT",
        "action": action,
        "side": types_pb2.SIDE_BUY,
        "type": orders_pb2.ORDER_TYPE_MARKET,
        "size": "0.01",
        "reference_price": "60000",
        "stop_price": "59000",
        "target_price": "62000",
        "expires_time_ns": START_NS + 86_400 * NANOSECONDS_PER_SECOND,
    } | fields
    if action in (signals_pb2.POSITION_ACTION_CLOSE, signals_pb2.POSITION_ACTION_REDUCE):
        intent |= {"size": "", "stop_price": "", "target_price": ""}
    lifecycle = event_id("detector", "ema_cross", [str(number).encode()])
    event = event_pb2.Event(
        event_id=event_id("advisor", "ema_cross", [lifecycle]),
        source="advisor",
        instance="ema_cross",
        time_ns=START_NS + number,
        lifecycle_id=lifecycle,
        cause_ids=[lifecycle],
    )
    made = event.decision_made
    made.outcome = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
    made.intent.CopyFrom(decisions_pb2.ExecutionIntent(**intent))
    return event


def close(number, **fields):
    """A decision to close the position."""
    return decision(number, signals_pb2.POSITION_ACTION_CLOSE, **fields)


def mode(mode, scope="mesh"):
    """A request to set a mode."""
    return inspector_pb2.SetModeRequest(scope=scope, mode=mode, reason="the test says so")


def policy_file(folder: Path, text: str) -> str:
    """A policy file."""
    file = folder / "policy.toml"
    file.write_text(text)
    return str(file)
