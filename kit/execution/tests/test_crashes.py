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

from kit.base.errors import InvalidOrder, StoreUnavailable, VenuemeshError, VenueUnavailable
from kit.execution.client_order_ids import client_order_id
from kit.execution.orders import order_states
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
    """Places orders, cancels or amends some, and repeats each request until it is answered."""

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
        """Place all orders in one run of the process."""
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
                order, same = await asyncio.gather(*twice)
            except (StoreUnavailable, VenuemeshError):
                await self.world.clock.sleep(0.5)
                continue
            break
        assert order is same
        self.answered[request_id] = order.client_order_id
        if number % 4 == 1:
            await self._cancel(account, order)
        if number % 4 == 2:
            await self._amend(account, order, number)

    async def _cancel(self, account, order):
        """Repeat the request while the venue cannot say whether an order that has ended is open."""
        while True:
            try:
                return await account.submitter.cancel(order)
            except VenueUnavailable:
                await self.world.clock.sleep(0.5)

    async def _amend(self, account, order, number):
        content = orders_pb2.OrderContent()
        content.CopyFrom(self.content(number))
        content.size, content.price = "9", "101"
        if content.stop_price:
            # Nothing else of it tells whether the amendment was done.
            content.CopyFrom(self.content(number))
            content.stop_price = "99"
        with suppress(InvalidOrder, StoreUnavailable):
            await amend(account.amender, order, content, f"a{number}")


async def live_and_die(seed, dies_at, lives=1, capabilities=CAPABILITIES):
    """Trade, kill the process at these steps, restart it, and compare with the venue."""
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
    """Wait until nothing is in doubt, and all updates have arrived."""
    account = world.account
    await world.let_pass(60)
    await world.until(lambda: not account.resolver.open_queries and not account.readiness.detail)
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
    assert all(order.state not in order_states.FINAL for order in index.open.values())


def check_order(world, order):
    truth = world.venue.by_client_id.get(order.client_order_id)
    if truth is None:
        assert order.state in (order_states.REJECTED, order_states.CANCELLED)
        assert order.state == order_states.REJECTED or world.venue.sends[order.client_order_id] == 0
        assert not order.fills
        return
    if not world.venue.capabilities.finds_by_client_id and not truth.now.filled_size:
        # It has ended without a trace: that it has is all that can be known.
        assert order.is_final == (truth.now.state in order_states.FINAL)
        return
    if not world.venue.capabilities.finds_by_client_id:
        assert order.is_final == (truth.now.state in order_states.FINAL)
    else:
        assert order.state == truth.now.state
    assert order.venue_order_id == truth.now.venue_order_id
    assert order.filled_size == truth.now.filled_size
    fills = {
        fill.fill_id: fill.size
        for _, fill in world.venue.fills
        if fill.venue_order_id == truth.now.venue_order_id
    }
    assert {fill.fill_id: fill.size for fill in order.fills.values()} == fills
    if not order.is_final:
        told = truth.now.size, truth.now.price, truth.now.stop_price
        assert (order.size, order.price, order.stop_price) == told
        assert not order.cancel_requested


def test_account_agrees_with_the_venue_without_a_crash():
    for seed in range(SEEDED_RUNS):
        assert run(live_and_die(seed, 0)) > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_crash_at_any_step_is_recovered(seed):
    steps = run(live_and_die(seed, 0))
    assert steps > 100
    for step in range(1, min(steps, 700), STEPS_APART):
        run(live_and_die(seed, step))


def test_crash_is_recovered_where_only_open_orders_are_found():
    capabilities = replace(CAPABILITIES, finds_by_client_id=False)
    for seed in range(SEEDED_RUNS // 2):
        chance = random.Random(seed)
        assert (
            run(live_and_die(seed, chance.randint(1, 400), lives=1, capabilities=capabilities)) > 0
        )


def test_several_crashes_are_recovered():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        assert run(live_and_die(seed, chance.randint(1, 400), lives=chance.randint(1, 4))) > 0


def test_amended_stop_prices_agree_with_the_venue():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        assert run(live_and_die(seed, chance.randint(1, 400), capabilities=STOPS)) > 0
