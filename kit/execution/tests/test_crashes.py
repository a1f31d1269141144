"""A process that dies at any await sends nothing twice and loses nothing.

The default runs are a sample. VENUEMESH_CRASH_RUNS=10000 makes so many seeded runs, and dies at
every step of the scenario instead of at some.
"""

import asyncio
import os
import random
from contextlib import suppress
from dataclasses import replace

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, StoreUnavailable, VenuemeshError
from kit.execution.client_order_ids import client_order_id
from kit.execution.orders import states
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import World, amend, run, verified

RUNS = int(os.environ.get("VENUEMESH_CRASH_RUNS", "0"))
SEEDED_RUNS = RUNS or 25
STEPS_APART = 1 if RUNS else 11
ORDERS = 4
SETTINGS = OrdersSettings(pause_max_s=10, reconcile_interval_s=30)
STOPS = replace(CAPABILITIES, types=ALL_TYPES, amends_stop_price=True)


class Trader:
    """Wants some orders, some of them cancelled or changed, and asks until it has an answer."""

    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.answered = {}

    def content(self, number):
        content = limit_order(size=str(2 + number), symbol=("BTCUSDT", "ETHUSDT")[number % 2])
        if self.world.venue.capabilities.amends_stop_price:
            content.type, content.stop_price = orders_pb2.ORDER_TYPE_STOP_LIMIT, "98"
        return content

    async def trade(self):
        """All of it, in one life; gives True when nothing is left to ask for."""
        await asyncio.gather(*(self._one(number) for number in range(ORDERS)))

    async def _one(self, number):
        account = self.world.account
        await self.world.ready()
        request_id = f"r{number}"
        while True:
            try:
                account.check_ready()
                twice = (
                    account.submitter.submit(verified(self.content(number), request_id))
                    for _ in "ab"
                )
                entry, same = await asyncio.gather(*twice)
            except (StoreUnavailable, VenuemeshError):
                await self.world.clock.sleep(0.5)
                continue
            break
        assert entry is same
        self.answered[request_id] = entry.client_order_id
        if number % 4 == 1:
            await account.submitter.cancel(entry)
        if number % 4 == 2:
            await self._amend(account, entry, number)

    async def _amend(self, account, entry, number):
        content = orders_pb2.OrderContent()
        content.CopyFrom(self.content(number))
        content.size, content.price = "9", "101"
        if content.stop_price:
            # Nothing else of it tells whether the amendment was done.
            content.CopyFrom(self.content(number))
            content.stop_price = "99"
        with suppress(InvalidOrder, StoreUnavailable):
            await amend(account.amender, entry, content, f"a{number}")


async def live_and_die(seed, dies_at, lives=1, capabilities=CAPABILITIES):
    """Trade, die at these steps, come again, and compare in the end."""
    world = World(seed, SETTINGS, capabilities=capabilities)
    trader = Trader(world, seed)
    steps = 0
    for life in range(lives + 1):
        dying = life < lives and dies_at
        world.start(dies_at=dies_at if dying else 0)
        work = world.process.start(trader.trade())
        if world.random.random() < 0.3:
            world.venue.later(world.random.uniform(0, 2), world.disk.fail, OSError(28, "full"))
            world.venue.later(3, world.disk.fail, None)
        if not dying:
            if world.random.random() < 0.5:
                world.venue.later(world.random.uniform(0, 5), world.venue.interrupt, 3)
            await asyncio.wait({work})
            work.result()
            steps = world.process.steps
            break
        await asyncio.wait({work, world.process.died}, return_when=asyncio.FIRST_COMPLETED)
        world.crash()
        dies_at += world.random.randint(0, 50)
    await settle(world)
    check_truth(world)
    return steps


async def settle(world):
    """Until nothing is in doubt, and all news have come."""
    account = world.account
    await world.let_pass(60)
    await world.until(lambda: not account.resolver.open_inquiries and not account.readiness.detail)
    assert account.state.unknown_count() == 0
    assert not account.state.unmatched


def check_truth(world):
    index = world.account.state.index
    assert all(count == 1 for count in world.venue.sends.values()), "sent twice"
    for number in range(ORDERS):
        key = client_order_id("fake", "main", f"r{number}")
        assert key in index.orders, "lost"
        check_order(world, index.orders[key])
    assert set(index.orders) == {client_order_id("fake", "main", f"r{n}") for n in range(ORDERS)}
    assert all(entry.state not in states.FINAL for entry in index.open.values())


def check_order(world, entry):
    truth = world.venue.by_client_id.get(entry.client_order_id)
    if truth is None:
        assert entry.state in (states.REJECTED, states.CANCELLED)
        assert entry.state == states.REJECTED or world.venue.sends[entry.client_order_id] == 0
        assert not entry.fills
        return
    if not world.venue.capabilities.finds_by_client_id and not truth.now.filled_size:
        # It has ended without a trace: that it has is all that can be known.
        assert entry.is_final == (truth.now.state in states.FINAL)
        return
    if not world.venue.capabilities.finds_by_client_id:
        assert entry.is_final == (truth.now.state in states.FINAL)
    else:
        assert entry.state == truth.now.state
    assert entry.venue_order_id == truth.now.venue_order_id
    assert entry.filled_size == truth.now.filled_size
    fills = {
        fill.fill_id: fill.size
        for _, fill in world.venue.fills
        if fill.venue_order_id == truth.now.venue_order_id
    }
    assert {fill.fill_id: fill.size for fill in entry.fills.values()} == fills
    if not entry.is_final:
        told = truth.now.size, truth.now.price, truth.now.stop_price
        assert (entry.size, entry.price, entry.stop_price) == told
        assert not entry.cancel_requested


def test_without_a_crash_all_is_as_the_venue_says():
    for seed in range(SEEDED_RUNS):
        assert run(live_and_die(seed, 0)) > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_it_may_die_at_any_step(seed):
    steps = run(live_and_die(seed, 0))
    assert steps > 100
    for step in range(1, min(steps, 700), STEPS_APART):
        run(live_and_die(seed, step))


def test_a_venue_that_finds_only_what_is_open_is_enough():
    capabilities = replace(CAPABILITIES, finds_by_client_id=False)
    for seed in range(SEEDED_RUNS // 2):
        chance = random.Random(seed)
        assert (
            run(live_and_die(seed, chance.randint(1, 400), lives=1, capabilities=capabilities)) > 0
        )


def test_it_may_die_again_and_again():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        assert run(live_and_die(seed, chance.randint(1, 400), lives=chance.randint(1, 4))) > 0


def test_stop_prices_that_are_changed_are_in_the_end_as_the_venue_has_them():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        assert run(live_and_die(seed, chance.randint(1, 400), capabilities=STOPS)) > 0
