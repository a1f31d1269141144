"""A process with one account on an event loop with virtual time, which can be killed at any await.

Its disk loses what was not synced, its venue is a fake, and its orders are verified with a key of
the tests.
"""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.account import Account
from kit.execution.approval.keys import ApproverKey
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier
from kit.execution.context import AccountContext
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.prices.reference_prices import BestPrices, ReferenceMarketData
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_disk import Disk
from kit.execution.tests.fake_venue import FakeClient, FakeVenue

START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
NEVER_NS = 1 << 62
"""An approval that does not expire."""
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SCOPE = MeshScope("test", "live")
KEYS = {
    "authority": ApproverKey(
        "authority", KEY.public_key(), "trade", frozenset({"*"}), 0, (1 << 64) - 1, NEVER_NS
    )
}
SETTINGS = OrdersSettings(dead_man_s=5, place_timeout_s=3)
SPOT = types_pb2.Instrument(
    venue="fake",
    symbol="BTCUSDT",
    kind=types_pb2.INSTRUMENT_KIND_SPOT,
    base="BTC",
    quote="USDT",
    price_tick="0.5",
    size_step="0.001",
    size_min="0.002",
    notional_min="5",
    contract_size="1",
    status=types_pb2.INSTRUMENT_STATUS_TRADING,
    size_unit=types_pb2.SIZE_UNIT_BASE,
)


def signer(fencing_epoch=1):
    """A signer with the key of the tests."""
    return ApprovalSigner("authority", KEY, fencing_epoch, SCOPE)


def verifier(venue="fake", account="main"):
    """A verifier that knows the key of the tests, and allows any validity."""
    return ApprovalVerifier(AccountScope(SCOPE, venue, account), KEYS.get, NEVER_NS)


def verified(content, request_id, expires_time_ns=NEVER_NS, **operation):
    """The order as the verifier makes it of an approval by the key of the tests."""
    approved = signer().approve(content, request_id, expires_time_ns, **operation)
    return verifier(content.venue, content.account).verify(approved, 0)


def verified_amendment(order, content, request_id):
    """An amendment of an order, as ``verified``."""
    amend = {"operation": signed_pb2.OPERATION_AMEND, "target_client_order_id": order.key}
    return verified(content, request_id, **amend)


async def amend(amender, order, content, request_id):
    """Amend an order as the service does."""
    await amender.amend(order, verified_amendment(order, content, request_id))
    amender.raise_if_rejected(order, request_id)


def heartbeat(account, fencing_epoch):
    """A heartbeat that is signed now."""
    context = account.context
    return signer(fencing_epoch).heartbeat(context.venue, context.account, context.clock.time_ns())


class NoSelector(selectors.SelectSelector):
    """A selector without events: nothing comes from outside."""

    def select(self, timeout=None):
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when nothing is ready."""

    def __init__(self):
        super().__init__(NoSelector())
        self.set_task_factory(new_task)
        self._now = 0.0

    def time(self):
        return self._now

    def _run_once(self):
        if not self._ready:
            if not self._scheduled:
                raise RuntimeError("nothing will ever happen")
            self._now = max(self._now, self._scheduled[0]._when)
        super()._run_once()

    def _asyncgen_finalizer_hook(self, agen):
        # A coroutine that is closed while it awaits a generator leaves it running: nothing can
        # close that one any more.
        if not agen.ag_running:
            super()._asyncgen_finalizer_hook(agen)


class LoopClock:
    """The time of the loop."""

    jumped_ns = 0
    """How far the wall clock was set forward."""

    def time_ns(self):
        return START_NS + self.jumped_ns + self.monotonic_ns()

    def monotonic_ns(self):
        return int(asyncio.get_running_loop().time() * NANOSECONDS_PER_SECOND)

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


class SimulatedProcess:
    """The tasks of one process, until it dies at a given step."""

    def __init__(self, dies_at=0):
        self.dies_at = dies_at
        self.steps = 0
        self.is_dead = False
        self.tasks = []
        self.died = asyncio.get_running_loop().create_future()

    def step(self):
        self.steps += 1
        if self.steps == self.dies_at:
            self.die()

    def die(self):
        self.is_dead = True
        if not self.died.done():
            self.died.set_result(None)
        for task in self.tasks:
            task.cancel()

    def start(self, coroutine):
        return self.call(asyncio.get_running_loop().create_task, coroutine)

    def call(self, work, *arguments, **more):
        """Call something in this process: the tasks that it starts, now or later, die with it."""
        before = PROCESS.set(self)
        try:
            return work(*arguments, **more)
        finally:
            PROCESS.reset(before)


PROCESS = ContextVar("PROCESS", default=None)
"""The process of the current task. Its tasks and callbacks inherit it."""


def new_task(loop, coroutine, **more):
    """A task of the current process, or of none."""
    process = PROCESS.get()
    if process is None:
        return asyncio.Task(coroutine, loop=loop, **more)
    task = asyncio.Task(Stepped(process, coroutine), loop=loop, **more)
    process.tasks.append(task)
    return task


class Stepped(Coroutine):
    """A coroutine that is not resumed once its process is dead: it ends at its current await, and
    its clean-up has no effect."""

    def __init__(self, process, coroutine):
        self._process = process
        self._inner = coroutine

    def send(self, value):
        self._check()
        return self._inner.send(value)

    def throw(self, *error):
        self._check()
        return self._inner.throw(*error)

    def close(self):
        with suppress(RuntimeError):
            self._inner.close()

    def __await__(self):
        return self

    def _check(self):
        if not self._process.is_dead:
            self._process.step()
        if self._process.is_dead:
            self.close()
            raise asyncio.CancelledError


class Prices:
    """Prices that a test sets."""

    def __init__(self):
        self.listeners = []
        self.problem = ""
        self.found_elsewhere = None
        """The price for symbols whose trades are not live."""
        self.spread = BestPrices(Decimal(99), Decimal(101))

    def data_problem(self, symbol):
        return self.problem

    async def substitute(self, symbol):
        return self.found_elsewhere

    def best(self, symbol):
        return self.spread

    def listen(self, listener):
        self.listeners.append((PROCESS.get(), listener))

    def trade(self, *prices, age_ns=0):
        """Receive a trade at each of these prices."""
        process, listener = self.listeners[-1]
        for price in prices:
            if not process.is_dead:
                process.call(listener.on_trade, "BTCUSDT", Decimal(price), age_ns)


class World:
    """A venue, a disk, and one process after another."""

    def __init__(self, seed=0, settings=None, *, unreliable=True, **venue):
        self.clock = LoopClock()
        self.random = random.Random(seed)
        self.venue = FakeVenue(seed, self.clock, unreliable=unreliable, **venue)
        self.disk = Disk()
        self.settings = settings or OrdersSettings()
        self.instruments = {}
        self.prices = None
        self.boot_id = "first"
        self.connect = lambda process: FakeClient(self.venue, lambda: process.is_dead)
        self.verify = verifier
        self.accounts_file = None
        self.unlisted_symbols = str
        self.anchor = None
        self.process = None
        self.account = None

    def start(self, dies_at=0):
        """Start a process."""
        self.process = process = SimulatedProcess(dies_at)
        jitter = random.Random(self.random.random())
        more = {"boot_id": self.boot_id, "jitter": jitter, "accounts_file": self.accounts_file}
        more["unlisted_symbols"] = self.unlisted_symbols
        context = AccountContext("fake", "main", self.clock, self.settings, **more)
        self.account = process.call(
            Account,
            context,
            self.connect(process),
            AccountJournal(self.disk, self.offload, self.clock, self.anchor),
            self.verify(),
            ReferenceMarketData(self.instruments.get, self.prices),
        )
        return process.start(self.account.run())

    async def offload(self, work):
        """Run blocking work as a thread would, without blocking the loop."""
        self.disk.underway = work
        await asyncio.sleep(self.random.uniform(0.0001, 0.01))
        self.disk.underway = None
        work()
        await asyncio.sleep(0)

    def crash(self):
        """Kill the process: its memory is gone, and the disk is as the system left it."""
        self.process.die()
        self.venue.client = None
        self.disk.crash(self.random, power=self.random.random() < 0.5)

    def lose_power(self):
        """Kill the process, and lose all that is not synced."""
        self.process.die()
        self.venue.client = None
        self.disk.underway = None
        del self.disk.content[self.disk.synced :]

    async def let_pass(self, seconds):
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def until(self, holds, seconds=600):
        """Wait for a condition."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.05)

    async def ready(self):
        """Wait until the account is ready."""
        await self.until(lambda: not self.account.readiness.detail)

    async def do(self, work):
        """Run a coroutine in the process. Returns None if the process dies meanwhile."""
        task = self.process.start(work)
        await asyncio.wait({task, self.process.died}, return_when=asyncio.FIRST_COMPLETED)
        if self.process.is_dead:
            return None
        return task.result()


def world(settings=SETTINGS, **venue):
    """A world whose venue is reliable."""
    found = World(7, settings, unreliable=False, **venue)
    found.instruments["BTCUSDT"] = SPOT
    return found


async def started(**venue):
    """A world whose account is ready."""
    found = world(**venue)
    found.start()
    await found.ready()
    return found


def run(scenario):
    """Run a coroutine in a new event loop with virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(scenario)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
