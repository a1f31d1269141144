"""A real PostgreSQL in virtual time.

A statement is executed while virtual time stands still, so that the same seed gives the same run. A
statement that waits for another transaction of the run waits in virtual time, until one ends.
"""

import asyncio
import select
from collections import deque
from contextlib import asynccontextmanager

import psycopg
from psycopg.pq import TransactionStatus

from kit.base.database import Database
from kit.base.migration import migrate

CONNECTIONS = 28
"""More than all processes of a run may have open together."""
ANSWER_MS = 20
"""After this time without an answer the server is asked whether the statement waits for another."""
EPOCH = 1_700_000_000_000
TRUNCATE_EVERY = 50
"""Deleting is faster than truncating, but leaves dead rows."""
NOT_READ = (" FOR ", "set_config", "pg_advisory", "clock_timestamp")
"""Parts of a SELECT that does more than read."""
TABLES = (
    "events",
    "event_positions",
    "leases",
    "advisor_model_spending",
    "advisor_open_outcomes",
    "advisor_calibrations",
    "advisor_scoring_models",
    "detector_instances",
    "detector_positions",
    "execution_intakes",
    "inspector_modes",
    "inspector_positions",
    "inspector_submissions",
    "inspector_orders",
    "inspector_fills",
    "inspector_requests",
    "inspector_reductions",
    "inspector_fences",
    "inspector_entries",
    "inspector_terms",
    "inspector_equity_marks",
    "inspector_mode_rules",
    "inspector_protections",
    "inspector_reconciliations",
    "inspector_legacy_positions",
    "inspector_proposals",
    "ledger_accounts",
    "ledger_groups",
    "ledger_positions",
    "ledger_contracts",
)


class Rows:
    """The result of a statement, as much of a cursor as the services use."""

    def __init__(self, rows, rowcount, statusmessage):
        self._rows = rows
        self.rowcount, self.statusmessage = rowcount, statusmessage

    async def fetchone(self):
        return self._rows[0] if self._rows else None

    async def fetchall(self):
        return self._rows

    async def __aiter__(self):
        for row in self._rows:
            yield row


class Wire(psycopg.AsyncConnection):
    """A connection whose statements take no virtual time, unless they wait for a lock.

    A transaction begins at the server with the first statement that does more than read: what is
    read before is as committed in any case. What nobody has changed since is not read again.
    """

    store = None
    process = None
    """The simulated process that has it; None: no process."""
    has_begun = False
    """Whether the server has its transaction."""

    async def execute(self, query, params=None):
        if self.process is not None and self.process.is_dead:
            # A dead process says nothing any more: its clean-up has no effect.
            raise asyncio.CancelledError
        await self.store.before(self, query)
        found = await self._executed(query, params)
        await self.store.after(self, query)
        return found

    @asynccontextmanager
    async def pipeline(self):
        """Each statement is answered before the next one: where a run is interrupted does not
        depend on what the server has answered already."""
        yield

    async def _executed(self, query, params):
        is_end = query in ("COMMIT", "ROLLBACK")
        if query == "BEGIN" or (is_end and not self.has_begun):
            return Rows([], 0, query)
        is_read = query.startswith("SELECT") and not any(word in query for word in NOT_READ)
        key = query, repr(params)
        if is_read and not self.has_begun:
            return self.store.known.get(key) or self.store.know(
                key, await self._sent(query, params)
            )
        if not self.has_begun:
            self.has_begun = True
            await self._sent("BEGIN", None)
        found = await self._sent(query, params)
        if is_end:
            self.has_begun = False
            self.store.ended()
        if query == "COMMIT":
            self.store.known.clear()
        return found

    async def _sent(self, query, params):
        # Only the clock of the database decides when a lease ends.
        query = query.replace("clock_timestamp()", self.store.now_sql())
        # It is counted in real time, in which a run may be paused.
        query = query.replace("idle_in_transaction_session_timeout", "simulated.idle_timeout")
        try:
            cursor = await super().execute(query, params)
        except psycopg.errors.DeadlockDetected as error:
            self.store.when_deadlocked(str(error))
            raise
        rows = await cursor.fetchall() if cursor.description else []
        return Rows(rows, cursor.rowcount, cursor.statusmessage)

    async def close(self):
        self.roll_back()

    async def wait(self, gen, interval=0.0, timeout=None):
        try:
            wanted = next(gen)
            while True:
                while not (ready := self._ready(wanted)):
                    if self.store.is_blocked(self):
                        await self.store.until_ended()
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value

    def _ready(self, wanted):
        """What of reading (1) and writing (2) is possible."""
        poller = select.poll()
        mask = (select.POLLIN if wanted & 1 else 0) | (select.POLLOUT if wanted & 2 else 0)
        poller.register(self.pgconn.socket, mask)
        found = 0
        for _, event in poller.poll(ANSWER_MS):
            found |= (1 if event & ~select.POLLOUT else 0) | (2 if event & select.POLLOUT else 0)
        return found & wanted

    def roll_back(self):
        """End what is open, at once."""
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            self.pgconn.get_cancel().cancel()
            while self.pgconn.get_result() is not None:
                pass
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            self.pgconn.exec_(b"ROLLBACK")
        self.has_begun = False


class VirtualPostgres:
    """A database for one run after the other."""

    def __init__(self, url):
        self.url = url
        self._runs = 0
        self.known = {}
        """What was read since the last commit."""
        self._wires = asyncio.run(self._connect())
        self._control = psycopg.connect(url, autocommit=True)

    async def _connect(self):
        await migrate(self.url)
        return [await Wire.connect(self.url, autocommit=True) for _ in range(CONNECTIONS)]

    def begin(self, clock, faults, when_deadlocked):
        """Begin a run, with empty tables."""
        self._clock, self._faults, self.when_deadlocked = clock, faults, when_deadlocked
        self._waiting = []
        self.known.clear()
        for wire in self._wires:
            wire.store, wire.process = self, None
            wire.roll_back()
            # A lock of the loop before.
            wire.lock = asyncio.Lock()
        self._idle = deque(self._wires)
        is_due = self._runs % TRUNCATE_EVERY == 0
        self._runs += 1
        if is_due:
            self._control.execute(f"TRUNCATE {', '.join(TABLES)}")
        else:
            self._control.execute("; ".join(f"DELETE FROM {table}" for table in TABLES))
        self._control.execute("UPDATE event_streams SET (epoch, sequence) = (%s, 0)", [EPOCH])

    def know(self, key, rows):
        """Keep what was read until the next commit."""
        self.known[key] = rows
        return rows

    def take(self, process):
        """An idle connection, for a process."""
        wire = self._idle.popleft()
        wire.process = process
        return wire

    def give_back(self, wire):
        """A connection that is used no more."""
        wire.roll_back()
        wire.process = None
        self._idle.append(wire)
        self.ended()

    def kill(self, process):
        """End the connections of a process that has died."""
        loop = asyncio.get_running_loop()
        for wire in self._wires:
            if wire.process is process:
                wire.roll_back()
                wire.lock = asyncio.Lock()
                # What the process has left behind ends first: it must not use another's.
                loop.call_later(0.001, self.give_back, wire)
        self.ended()

    def now_sql(self):
        """The time of the database."""
        return f"to_timestamp({self._clock.database_s():.6f})"

    async def before(self, wire, query):
        """What happens before a statement."""
        if wire.process is not None and query != "ROLLBACK":
            await self._faults.before(wire, query)

    async def after(self, wire, query):
        """What happens after a statement, before its process knows of it."""
        if wire.process is not None:
            await self._faults.after(wire, query)

    def ended(self):
        """A transaction has ended: who waits for a lock looks again."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until_ended(self):
        """Wait until a transaction has ended."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def is_blocked(self, wire):
        """Whether a statement waits for another transaction."""
        query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        return self._control.execute(query, [wire.info.backend_pid]).fetchone()[0]

    def close(self):
        self._control.close()
        for wire in self._wires:
            wire.pgconn.finish()


class SimulatedDatabase(Database):
    """The database as a process of a run has it."""

    def __init__(self, store, process=None):
        super().__init__(store.url)
        self._store, self._process = store, process

    async def _take(self):
        return self._store.take(self._process)

    async def _put_back(self, connection):
        if self._process is None or not self._process.is_dead:
            self._store.give_back(connection)


class DatabaseFaults:
    """When transactions fail, and how long statements take."""

    def __init__(self, chance, clock, history):
        self._chance, self._clock, self._history = chance, clock, history
        self.failing = chance.choice((0, 0, 0.01, 0.05))
        """Share of transactions that fail: half of them although they are committed."""
        self.slow = chance.choice((0, 0, 0.3))
        """Share of statements after which another task goes on."""
        self.hanging = chance.choice((0, 0, 0.01))
        """Share of commits that hang for seconds."""
        self.away = set()
        """Processes whose network does not reach the database."""

    def heal(self):
        """End all faults."""
        self.failing = self.hanging = 0
        self.away.clear()

    async def before(self, wire, query):
        is_end = query in ("BEGIN", "COMMIT")
        if is_end or (self.slow and self._chance.random() < self.slow):
            await asyncio.sleep(self._chance.choice((0, 0.0005, 0.002)))
        if wire.process.name in self.away:
            wire.roll_back()
            wire.store.ended()
            raise psycopg.OperationalError("simulated: the database is away")
        if query == "COMMIT" and self._chance.random() < self.hanging:
            self._history.note("commit hangs", wire.process.name)
            await asyncio.sleep(self._chance.uniform(1, 9))
        if query == "COMMIT" and self._chance.random() < self.failing / 2:
            self._history.note("commit failed", wire.process.name)
            wire.roll_back()
            wire.store.ended()
            raise psycopg.OperationalError("simulated: failed before the commit")

    async def after(self, wire, query):
        if query != "COMMIT":
            return
        await asyncio.sleep(self._chance.choice((0, 0, 0.0005)))
        if self._chance.random() < self.failing / 2:
            self._history.note("commit unanswered", wire.process.name)
            raise psycopg.OperationalError("simulated: the answer to the commit is lost")
