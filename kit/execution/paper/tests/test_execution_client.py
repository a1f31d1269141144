"""A paper account publishes an event after it is on disk, and has the same state after a crash."""

import asyncio
import errno
import random
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.errors import StoreUnavailable
from kit.execution.account import Account
from kit.execution.context import AccountContext
from kit.execution.contract import OrderKey, VenueFill
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.paper.execution_client import PaperExecutionClient
from kit.execution.paper.tests.markets import BUY, LISTED, RULES, SELL, SYMBOL, FakeMarket
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_disk import Disk
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import (
    LoopClock,
    SimulatedProcess,
    run,
    verified,
    verifier,
)

SETTINGS = OrdersSettings(place_timeout_s=3, reconcile_interval_s=5)
SLOW = replace(RULES, latency_ms=20, jitter_ms=10, seed=3)


class FakePrices:
    """Tells trades to those who hold stops."""

    def __init__(self):
        self.listeners = []

    def data_problem(self, symbol):
        return ""

    def best(self, symbol):
        return None

    def listen(self, listener):
        self.listeners.append(listener)

    def tell(self, price):
        for listener in self.listeners:
            listener.on_trade(SYMBOL, Decimal(price))


class PaperWorld:
    """A market, two disks, and one process after the other."""

    def __init__(self, rules=SLOW, seed=0):
        self.clock = LoopClock()
        self.random = random.Random(seed)
        self.rules = rules
        self.disk, self.journal = Disk(), Disk()
        self.prices = FakePrices()
        self.market = FakeMarket()
        self.market.whole([(99, 5)], [(101, 2), (102, 8)])

    def start(self, dies_at=0):
        """Begin a process."""
        self.process = SimulatedProcess(dies_at)
        self.client = PaperExecutionClient(
            self.rules, self._market, self.disk, self.offload(self.disk), self.clock, LISTED.get
        )
        jitter = random.Random(self.random.random())
        context = AccountContext("fake", "main", self.clock, SETTINGS, is_paper=True, jitter=jitter)
        self.account = Account(
            context,
            self.client,
            AccountJournal(self.journal, self.offload(self.journal), self.clock),
            verifier(),
            ReferenceMarketData(LISTED.get, self.prices),
        )
        self.process.start(self.client.run())
        self.process.start(self.account.run())

    def offload(self, disk):
        async def work_off(work):
            disk.underway = work
            await asyncio.sleep(self.random.uniform(0.0001, 0.01))
            disk.underway = None
            work()
            await asyncio.sleep(0)

        return work_off

    def crash(self):
        """All memory is gone, and the disks are as the system left them."""
        self.process.die()
        for disk in (self.disk, self.journal):
            disk.crash(self.random, power=self.random.random() < 0.5)

    async def let_pass(self, seconds):
        """Time of the loop, which jumps."""
        await asyncio.sleep(seconds)

    async def until(self, holds, seconds=60):
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)

    async def ready(self):
        await self.until(lambda: not self.account.readiness.detail)

    async def place(self, request_id, **more):
        return await self.account.submitter.submit(
            verified(limit_order(symbol=SYMBOL, **more), request_id)
        )

    def truth(self):
        """What the simulated venue knows."""
        exchange = self.client.exchange
        return exchange.open_orders(""), exchange.fills("", 0), exchange.balances()

    def known(self):
        """What the account makes of it: orders, fills, balances."""
        index = self.account.state.index
        opened = [(one.client_order_id, one.filled_size) for one in index.open.values()]
        fills = sorted((fill.fill_id, fill.price, fill.size) for fill in index.fills.values())
        totals = self.account.balances_and_positions.balances.values()
        return sorted(opened), fills, sorted((one.asset, one.total) for one in totals if one.total)

    def as_venue_order(self):
        """The truth in the words of ``known``."""
        opened, fills, balances = self.truth()
        return (
            sorted((one.client_order_id, one.filled_size) for one in opened),
            sorted((fill.fill_id, fill.price, fill.size) for fill in fills),
            sorted((one.asset, one.total) for one in balances),
        )

    def _market(self, hear):
        self.market.hear = hear
        self.market.watched = frozenset()
        return self.market


async def started(**more):
    world = PaperWorld(**more)
    world.start()
    await world.ready()
    return world


def test_an_order_takes_its_time_and_meets_the_book_as_it_is_then():
    async def scenario():
        world = await started()
        began = asyncio.get_running_loop().time()
        placing = asyncio.ensure_future(world.place("r", size="2", price="101"))
        await asyncio.sleep(0.01)
        world.market.whole([(99, 5)], [(102, 8)])
        entry = await placing
        assert asyncio.get_running_loop().time() - began > 0.04
        assert (entry.state, entry.filled_size) == (pb.ORDER_STATE_OPEN, 0)
        # What was on its way when the account cancelled it is filled first, or is not there.
        await world.account.submitter.cancel(entry)
        assert entry.state == pb.ORDER_STATE_CANCELLED

    run(scenario())


def test_the_account_knows_what_the_simulated_venue_knows():
    async def scenario():
        world = await started()
        entry = await world.place("r", size="4", price="101.5")
        assert (entry.state, entry.filled_size) == (pb.ORDER_STATE_PARTLY_FILLED, 2)
        world.market.trade(101, 1)
        await world.until(lambda: entry.filled_size == 3)
        assert world.known() == world.as_venue_order()
        differences = await world.account.reconciler.run(is_first=False)
        assert not differences

    run(scenario())


def test_after_a_kill_all_is_as_it_was_and_orders_are_at_the_end_of_the_queue():
    async def scenario():
        world = await started()
        waiting = await world.place("a", size="2", price="99")
        await world.place("b", size="3", price="102")
        world.market.trade(99, 4)
        await world.let_pass(1)
        before = world.truth()
        world.crash()
        world.market.trade(98, 50)
        world.start()
        await world.ready()
        assert world.truth() == before
        assert world.known() == world.as_venue_order()
        entry = world.account.state.index.orders[waiting.key]
        # One more would have filled it; now all that is displayed stands before it again.
        world.market.trade(99, 5)
        assert not world.client.exchange.open_orders("")[0].filled_size
        world.market.trade(99, "0.5")
        await world.until(lambda: entry.filled_size == Decimal("0.5"))

    run(scenario())


def test_a_stop_waits_in_the_account_and_meets_the_book_when_it_wakes():
    async def scenario():
        world = await started()
        kind = pb.ORDER_TYPE_STOP
        content = limit_order("1", "", SYMBOL, type=kind, stop_price="98", side=SELL)
        entry = await world.account.submitter.submit(verified(content, "s"), held_here=True)
        assert not world.client.exchange.open_orders("")
        world.prices.tell("98.5")
        await world.let_pass(1)
        assert entry.held_here
        world.prices.tell("98")
        await world.until(lambda: entry.state == pb.ORDER_STATE_FILLED)
        (fill,) = world.client.exchange.fills("", 0)
        assert (fill.price, fill.size, fill.client_order_id) == (99, 1, entry.client_order_id)

    run(scenario())


def test_nothing_is_told_that_is_not_on_disk():
    async def scenario():
        world = await started()
        entry = await world.place("r", size="2", price="99")
        world.disk.error = OSError(errno.ENOSPC, "full")
        world.market.trade(98, 1)
        await world.let_pass(5)
        assert entry.filled_size == 0
        assert (await world.place("s", size="1", price="98")).state == pb.ORDER_STATE_UNKNOWN
        world.disk.error = None
        await world.until(lambda: entry.filled_size == 1)
        await world.until(lambda: not world.account.state.unknown_count())
        assert world.known() == world.as_venue_order()

    run(scenario())


def test_what_cannot_be_read_is_left_alone():
    async def scenario():
        world = await started()
        await world.place("r", size="2", price="99")
        world.crash()
        world.disk.content[20] ^= 255
        before = bytes(world.disk.content)
        world.start()
        with pytest.raises(StoreUnavailable):
            await world.client.configuration()
        await world.let_pass(1)
        assert bytes(world.disk.content) == before
        assert world.account.readiness.detail

    run(scenario())


def test_of_a_state_that_was_deleted_no_id_comes_again():
    async def scenario():
        world = await started()
        before = await world.place("a", size="1", price="102")
        await world.let_pass(1)
        world.process.die()
        world.journal.crash(world.random, power=False)
        world.disk = Disk()
        await world.let_pass(1)
        world.start()
        await world.ready()
        after = await world.place("b", size="1", price="102")
        assert after.state == pb.ORDER_STATE_FILLED
        assert after.venue_order_id != before.venue_order_id
        fills = world.account.state.index.fills.values()
        assert len({fill.fill_id for fill in fills}) == len(fills) == 2

    run(scenario())


def test_an_order_ends_at_its_time():
    async def scenario():
        world = await started()
        ends_ns = world.clock.time_ns() + 2_000_000_000
        lifetime = pb.TIME_IN_FORCE_GOOD_TILL_TIME
        entry = await world.place(
            "r", size="1", price="99", time_in_force=lifetime, expire_time_ns=ends_ns
        )
        await world.until(lambda: entry.state == pb.ORDER_STATE_EXPIRED, 5)
        assert world.clock.time_ns() >= ends_ns

    run(scenario())


def test_who_follows_is_told_each_fill_once():
    async def scenario():
        world = await started()
        heard = []

        async def listen():
            async for event in world.client.follow():
                heard.append(event)  # noqa: PERF401 - as they come

        listening = asyncio.ensure_future(listen())
        entry = await world.place("r", size="3", price="102")
        await world.client.find(OrderKey(SYMBOL, "", entry.venue_order_id))
        fills = [event for event in heard if isinstance(event, VenueFill)]
        assert fills == world.client.exchange.fills("", 0)
        assert len(fills) == 2
        listening.cancel()

    run(scenario())


async def _trade(world):
    """Some orders, while the market moves."""
    await world.ready()
    for number in range(4):
        side, price = (BUY, "101") if number % 2 else (SELL, "101.5")
        entry = await world.place(f"r{number}", size="1.5", price=price, side=side)
        world.market.trade("100.5", "0.7", buys=False)
        world.market.change(False, 101, str(2 + number))
        world.market.trade("101.5", "2.4", buys=True)
        if number == 2:
            await world.account.submitter.cancel(entry)


@pytest.mark.parametrize("seed", range(12))
def test_killed_anywhere_account_and_venue_agree_and_nothing_is_done_twice(seed):
    async def scenario():
        world = PaperWorld(seed=seed)
        for life in range(3):
            world.start(dies_at=world.random.randint(30, 400) if life < 2 else 0)
            work = world.process.start(_trade(world))
            await asyncio.wait({work, world.process.died}, return_when=asyncio.FIRST_COMPLETED)
            if world.process.is_dead:
                world.crash()
                continue
            assert work.exception() is None
            world.process.dies_at = 0
            break
        await world.until(lambda: not world.account.state.unknown_count(), 600)
        await world.account.reconciler.run(is_first=False)
        await world.until(lambda: world.known() == world.as_venue_order(), 30)
        exchange = world.client.exchange
        ids = [fill.fill_id for fill in exchange.fills("", 0)]
        assert len(ids) == len(set(ids))
        totals = {one.asset: one.total for one in exchange.balances()}
        moved, fees = Decimal(0), Decimal(0)
        for fill in exchange.fills("", 0):
            moved += fill.size if fill.side == BUY else -fill.size
            fees += sum(paid.amount for paid in fill.fees if paid.asset == "BTC")
        assert totals["BTC"] == 10 + moved - fees

    run(scenario())
