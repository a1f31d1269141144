"""A log on a real database, with events to put into it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from core.audit.anchors import AnchorFile
from core.audit.checkpointer import Checkpointer
from core.audit.event_chains import EventChainReader
from core.audit.export import LogExporter
from core.audit.log_keys import LogKeys
from core.audit.log_reader import LogReader
from core.audit.log_writer import LogWriter
from core.audit.metrics import AuditMetrics
from core.audit.proofs import Prover
from core.audit.store import AuditStore
from core.audit.verification import Verification
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.leases import Lease

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
LEDGER = event_pb2.EVENT_STREAM_LEDGER
ORIGIN = "venuemesh/test"
STORED_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60_000_000_000


class Rig:
    """One process of Audit, without its server."""

    def __init__(self, postgres_url: str, folder: Path, holder: str, batch_events_max: int) -> None:
        self.database = Database(postgres_url)
        self.store = AuditStore(self.database, Lease(self.database, "audit", holder, 60))
        self.reader = LogReader(self.database)
        self.keys = LogKeys(folder / "keys", ORIGIN)
        self.file = AnchorFile.in_folder(folder / "anchors")
        self.meter = Meter("audit")
        self.degraded_reasons = DegradedReasons(self.meter)
        metrics = AuditMetrics(self.meter)
        self.writer = LogWriter(self.store, batch_events_max, metrics, self.degraded_reasons)
        self.checkpointer = Checkpointer(
            self.store, self.writer, self.keys, [self.file], metrics, self.degraded_reasons
        )
        self.prover = Prover(self.store)
        self.exporter = LogExporter(self.store, self.reader)
        self.chains = EventChainReader(self.database, 100)
        self.now_ns = STORED_NS

    def use(self, data: Path) -> None:
        """Take the keys and the anchor of a process with this data folder."""
        self.keys = LogKeys(data / "keys" / "audit", "venuemesh/local")
        self.file = AnchorFile.in_folder(data / "anchors" / "audit")

    async def put(self, stream, *events: event_pb2.Event) -> None:
        """Store events, one second later than the ones before."""
        self.now_ns += 1_000_000_000
        async with self.database.transaction() as connection:
            await event_log.append(connection, stream, events, self.now_ns)

    async def write(self) -> None:
        """Take everything into the log."""
        while await self.writer.append_new():
            pass

    async def sign(self) -> int:
        """A round of the checkpointer after a minute. Returns the size of the newest one."""
        self.now_ns += MINUTE_NS
        await self.checkpointer.round(self.now_ns)
        newest = await self.store.checkpoint()
        return newest.size if newest else 0

    async def verify(self, since: int = 0) -> audit_pb2.VerifyResponse:
        """The outcome of a verification."""
        verification = Verification(self.store, self.reader, self.keys, self.file)
        return [response async for response in verification.run(since)][-1]

    async def difference(self, since: int = 0) -> str:
        """The kind of the first difference; "" if there is none."""
        outcome = await self.verify(since)
        if not outcome.HasField("difference"):
            return ""
        name = audit_pb2.LogDifferenceKind.Name(outcome.difference.kind)
        return name.removeprefix("LOG_DIFFERENCE_KIND_")

    async def execute(self, statement: str, *arguments: object) -> int:
        """What somebody does who can write the database."""
        async with self.database.transaction() as connection:
            return (await connection.execute(statement, arguments)).rowcount

    @property
    def detail(self) -> str:
        """Why the process is degraded."""
        return self.meter.status().detail


@asynccontextmanager
async def rig_for(
    postgres_url: str, folder: Path, holder: str = "audit-1", batch_events_max: int = 100
) -> AsyncIterator[Rig]:
    """A rig on a database that has the schema and no rows."""
    rig = Rig(postgres_url, folder, holder, batch_events_max)
    try:
        yield rig
    finally:
        await rig.database.close()


def fill(number: int, lifecycle_id: bytes = b"", causes: tuple[bytes, ...] = ()) -> event_pb2.Event:
    """An event of a fill."""
    event = event_pb2.Event(
        event_id=event_id("ledger", "binance/main", [b"fill", str(number).encode()]),
        source="ledger",
        instance="binance/main",
        time_ns=STORED_NS + number,
        lifecycle_id=lifecycle_id,
        cause_ids=causes,
    )
    made = event.order_filled.fill
    made.venue, made.account, made.symbol = "binance", "main", "BTCUSDT"
    made.fill_id, made.price, made.client_order_id = str(number), "100", f"order-{number}"
    return event


def order(number: int, state: int = 0, lifecycle_id: bytes = b"") -> event_pb2.Event:
    """An event of an order."""
    event = event_pb2.Event(
        event_id=event_id("ledger", "binance/main", [b"order", str(number).encode()], state),
        source="ledger",
        instance="binance/main",
        time_ns=STORED_NS + number,
        lifecycle_id=lifecycle_id,
    )
    made = event.order_changed.order
    made.content.venue, made.content.account = "binance", "main"
    made.client_order_id = f"order-{number}"
    return event


def postings(number: int, cause: event_pb2.Event) -> event_pb2.Event:
    """An event of the ledger that follows from another one."""
    event = event_pb2.Event(
        event_id=event_id("ledger", "", [cause.event_id], number),
        source="ledger",
        time_ns=cause.time_ns,
        lifecycle_id=cause.lifecycle_id,
        cause_ids=[cause.event_id],
    )
    event.postings_booked.group_id = f"group-{number}"
    return event
