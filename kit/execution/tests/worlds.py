"""A loop whose time jumps, a disk that can lose, and a process that dies at any await."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.account import Account
from kit.execution.local_stops import BestPrices
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import FakeDesk, FakeVenue

START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
BLOCK_BYTES = 512
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
)


class NoSelector(selectors.SelectSelector):
    """Nothing comes from outside."""

    def select(self, timeout=None):
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes when nobody has anything to do."""

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


class LoopClock:
    """The time of the loop."""

    def time_ns(self):
        return START_NS + self.monotonic_ns()

    def monotonic_ns(self):
        return int(asyncio.get_running_loop().time() * NANOSECONDS_PER_SECOND)

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


class Disk:
    """What a file holds, and what of it would be there after a loss of power."""

    def __init__(self):
        self.content = bytearray()
        self.synced = 0
        """So many bytes would be there after a loss of power for certain."""
        self.underway = None
        self.error = None
        self.writes = 0
        self.is_replacing = False
        self.place = 0

    def load(self):
        return bytes(self.content)

    def write(self, position, data, *, sync):
        self.writes += 1
        self.is_replacing, self.place = False, position
        if self.error is not None:
            self.content[position:] = data[: len(data) // 2]
            raise self.error
        self.content[position:] = data
        if sync:
            self.synced = len(self.content)

    def replace(self, data):
        if self.error is not None:
            raise self.error
        self.is_replacing = True
        self.content = bytearray(data)
        self.synced = len(data)

    def fail(self, error):
        """From now on."""
        self.error = error

    def close(self):
        pass

    def crash(self, chance, *, power):
        """What was being done is done by half; without power, what was not synced is lost in
        pieces."""
        before, synced = bytearray(self.content), self.synced
        if self.underway is not None and self.error is None:
            self.underway()
            was_whole = chance.random() < 0.3
            if self.is_replacing and not was_whole:
                self.content, self.synced = before, synced
            elif not self.is_replacing:
                self.synced = synced
                del self.content[chance.randint(self.place, len(self.content)) :]
        if power:
            kept = self.content[: self.synced]
            for start in range(self.synced, len(self.content), BLOCK_BYTES):
                block = self.content[start : start + BLOCK_BYTES]
                kept += block if chance.random() < 0.7 else bytes(len(block))
            self.content = kept
        self.underway = None
        self.synced = len(self.content)


class Life:
    """The tasks of one process, until it dies at a certain step."""

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
        """Do something in this process: what it begins, now or later, dies with it."""
        before = LIFE.set(self)
        try:
            return work(*arguments, **more)
        finally:
            LIFE.reset(before)


LIFE = ContextVar("LIFE", default=None)
"""The process that does what is done now. Its tasks and callbacks carry it on."""


def new_task(loop, coroutine, **more):
    """One of the process that makes it, or of none."""
    life = LIFE.get()
    if life is None:
        return asyncio.Task(coroutine, loop=loop, **more)
    task = asyncio.Task(Stepped(life, coroutine), loop=loop, **more)
    life.tasks.append(task)
    return task


class Stepped(Coroutine):
    """A coroutine that is not resumed any more when its process is dead: it ends at the await where
    it was, and none of its clean-up has any effect."""

    def __init__(self, life, coroutine):
        self._life = life
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
        if not self._life.is_dead:
            self._life.step()
        if self._life.is_dead:
            self.close()
            raise asyncio.CancelledError


class Prices:
    """Prices as a test says them."""

    def __init__(self):
        self.listeners = []

    def best(self, symbol):
        return BestPrices(Decimal(99), Decimal(101))

    def listen(self, listener):
        self.listeners.append((LIFE.get(), listener))

    def say(self, *prices):
        life, listener = self.listeners[-1]
        for price in prices:
            if not life.is_dead:
                life.call(listener.hear, "BTCUSDT", Decimal(price))


class World:
    """A venue, a disk, and one process after the other."""

    def __init__(self, seed=0, settings=None, *, nasty=True, **venue):
        self.clock = LoopClock()
        self.random = random.Random(seed)
        self.venue = FakeVenue(seed, self.clock, nasty=nasty, **venue)
        self.disk = Disk()
        self.settings = settings or OrdersSettings()
        self.instruments = {}
        self.prices = None
        self.life = None
        self.account = None

    def start(self, dies_at=0):
        """Begin a process."""
        self.life = life = Life(dies_at)
        desk = FakeDesk(self.venue, lambda: life.is_dead)
        self.account = life.call(
            Account,
            "fake",
            "main",
            desk,
            self.disk,
            self.offload,
            self.clock,
            self.settings,
            instrument=self.instruments.get,
            prices=self.prices,
            jitter=random.Random(self.random.random()),
        )
        return life.start(self.account.run())

    async def offload(self, work):
        """A thread that does not hold up the loop."""
        self.disk.underway = work
        await asyncio.sleep(self.random.uniform(0.0001, 0.01))
        self.disk.underway = None
        work()
        await asyncio.sleep(0)

    def crash(self):
        """All memory is gone, and the disk is as the system left it."""
        self.life.die()
        self.venue.desk = None
        self.disk.crash(self.random, power=self.random.random() < 0.5)

    async def let_pass(self, seconds):
        """Time of the loop, which jumps."""
        await asyncio.sleep(seconds)

    async def until(self, holds, seconds=600):
        """Wait for something."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.05)

    async def ready(self):
        """Wait until the account takes orders."""
        await self.until(lambda: not self.account.detail)

    async def do(self, work):
        """Do something in the process; None when it dies meanwhile."""
        task = self.life.start(work)
        await asyncio.wait({task, self.life.died}, return_when=asyncio.FIRST_COMPLETED)
        if self.life.is_dead:
            return None
        return task.result()


def world(settings=SETTINGS, **venue):
    """A venue that keeps still."""
    found = World(7, settings, nasty=False, **venue)
    found.instruments["BTCUSDT"] = SPOT
    return found


async def started(**venue):
    """With an account that is ready."""
    found = world(**venue)
    found.start()
    await found.ready()
    return found


def run(scenario):
    """Run a coroutine in a loop of its own whose time jumps."""
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
