"""A process that dies at any await closes no more than was opened, and ends its groups.

The default runs are a sample. VENUEMESH_CRASH_RUNS=10000 makes so many seeded runs, and dies at
every step of the scenario instead of at some.
"""

import asyncio
import os
import random
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import VenuemeshError
from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import RequestRejected
from kit.execution.groups import group_plan
from kit.execution.orders import order_states
from kit.execution.retries import ATTEMPTS_MAX, MARK, PASSING
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES
from kit.execution.tests.order_groups import bracket, oco, place
from kit.execution.tests.simulated_process import SPOT, Prices, World, amend, run

RUNS = int(os.environ.get("VENUEMESH_CRASH_RUNS", "0"))
SEEDED_RUNS = RUNS or 12
STEPS_APART = 1 if RUNS else 41
SETTINGS = OrdersSettings(pause_max_s=10, reconcile_interval_s=30)
NATIVE = replace(CAPABILITIES, types=ALL_TYPES, amends_stop_price=True)
MARKET = orders_pb2.ORDER_TYPE_MARKET
LATEST_S = 40
ATTEMPTS_S = 600
"""How long all attempts of an exit may take, with queries for those without a verdict."""
REASONS = sorted(PASSING - {orders_pb2.REJECT_REASON_NEVER_ARRIVED})


class Watch:
    """Checks that the venue never has two open exits, nor fills of more than was opened."""

    def __init__(self, world, names):
        self.world = world
        self.names = names
        self.faults = []
        venue = world.venue
        self._change, venue.change = venue.change, self.change

    def change(self, truth):
        self._change(truth)
        exits = self.there(self.exits)
        live = [one for one in exits if one.now.state not in order_states.FINAL]
        done = sum(one.now.filled_size for one in exits)
        # What is raised here nobody would hear of.
        if len(live) > 1:
            self.faults.append("two exits at the venue")
        if done > self.opened():
            self.faults.append(f"closed {done} of {self.opened()}")

    @property
    def exits(self):
        return self.names[1:] if self.is_bracket else self.names

    @property
    def is_bracket(self):
        return len(self.names) == 3

    def truth(self, name):
        return self.world.venue.by_client_id.get(client_order_id("fake", "main", name))

    def there(self, names):
        """Those of these orders that arrived at the venue, as any attempt."""
        after = [f"{name}{MARK}{number}" for name in names for number in range(2, ATTEMPTS_MAX + 1)]
        found = [self.truth(name) for name in (*names, *after)]
        return [one for one in found if one is not None]

    def opened(self):
        if not self.is_bracket:
            return Decimal(2)
        entry = self.truth(self.names[0])
        return entry.now.filled_size if entry is not None else Decimal(0)

    def market(self):
        """Fill the market orders at the venue; at the end, all exits."""
        for truth in self.there(self.names):
            if truth.now.type == MARKET:
                self.world.venue.fill(truth, truth.now.size)


def stir(world, watch, chance):
    """Schedule fills, and prices that trigger exits and that do not."""

    def fill(name):
        for truth in watch.there([name]):
            world.venue.fill(truth, Decimal(chance.choice(["0.5", "1", "2"])))

    for name in (watch.names[0], *watch.names):
        world.venue.later(chance.uniform(0, LATEST_S), fill, name)
    for _ in range(12):
        price = chance.choice(["94", "96", "100", "105", "109", "110"])
        at = chance.uniform(0, LATEST_S)
        world.venue.later(at, world.prices.trade, price)


def refuse(world, watch, chance, share):
    """Have the venue reject a number of exits, at once or after it accepted them."""
    client = world.account.client
    take = client.place
    first = client_order_id("fake", "main", watch.names[0])

    async def place(request, priority):
        is_entry = watch.is_bracket and request.client_order_id == first
        if is_entry or chance.random() >= share:
            return await take(request, priority)
        assert not client.is_dead()
        world.venue.sends[request.client_order_id] += 1
        await world.clock.sleep(chance.uniform(0, 0.2))
        if chance.random() < 0.5:
            return RequestRejected(chance.choice(REASONS), "not now")
        truth = world.venue.arrive(request)
        world.venue.later(chance.uniform(0, 0.5), world.venue.end, truth, order_states.REJECTED)
        return await client._no_answer()

    client.place = place


async def change(world, contents, number):
    """Amend the stop price of an exit, once."""
    name, content = next(one for one in contents.items() if one[1].stop_price)
    wanted = orders_pb2.OrderContent()
    wanted.CopyFrom(content)
    wanted.stop_price = "94.5"
    entry = world.account.state.index.orders.get(client_order_id("fake", "main", name))
    if entry is not None:
        with suppress(VenuemeshError):
            await amend(world.account.amender, entry, wanted, f"change{number}")


def begin(world, contents, number):
    """Run something in the current process, if there is one."""
    if not world.process.is_dead:
        world.process.start(change(world, contents, number))


async def place_group(world, contents):
    """Place a group; repeat the request until it is answered or rejected."""
    await world.ready()
    while True:
        try:
            return await place(world, contents)
        except VenuemeshError:
            await world.clock.sleep(0.5)


async def live_and_die(seed, dies_at, lives=1, capabilities=CAPABILITIES, refused=0.0):
    """Place a group while prices move, kill the process at these steps, restart it, and check."""
    chance = random.Random(seed)
    world = World(seed, SETTINGS, capabilities=capabilities)
    world.instruments["BTCUSDT"] = SPOT
    world.prices = Prices()
    contents = bracket() if seed % 3 else oco()
    watch = Watch(world, list(contents))
    stir(world, watch, chance)
    for life in range(lives + 1):
        dying = life < lives and dies_at
        world.start(dies_at=dies_at if dying else 0)
        refuse(world, watch, chance, refused)
        work = world.process.start(place_group(world, contents))
        world.venue.later(chance.uniform(0, LATEST_S), begin, world, contents, life)
        if chance.random() < 0.3:
            world.venue.later(chance.uniform(0, 5), world.disk.fail, OSError(28, "full"))
            world.venue.later(7, world.disk.fail, None)
        if not dying:
            if chance.random() < 0.5:
                world.venue.later(chance.uniform(0, 5), world.venue.interrupt, 3)
            async with asyncio.timeout(120):
                await work
            break
        await asyncio.wait({world.process.died}, timeout=LATEST_S)
        world.crash()
        dies_at += chance.randint(0, 50)
    await settle(world, watch, LATEST_S + (ATTEMPTS_S if refused else 60))
    check(world, watch)
    return world.process.steps


async def settle(world, watch, seconds):
    """Wait for all prices and until nothing is in doubt; then close what is left."""
    await world.let_pass(seconds)
    account = world.account
    for price in ("94", "110", "94", "110"):
        await world.until(
            lambda: not account.resolver.open_queries and not account.readiness.detail
        )
        watch.market()
        world.prices.trade(price)
        await world.let_pass(30)
    await world.until(lambda: not account.resolver.open_queries and not account.readiness.detail)
    assert account.state.unknown_count() == 0


def check(world, watch):
    assert not watch.faults
    index = world.account.state.index
    assert all(count == 1 for count in world.venue.sends.values()), "sent twice"
    known = [index.orders.get(client_order_id("fake", "main", name)) for name in watch.names]
    assert all(known) or not any(known), "a part of a group"
    if not any(known):
        assert not world.venue.sends
        return
    known = index.groups[known[0].group_id]
    for entry in known:
        truth = world.venue.by_client_id.get(entry.key)
        if truth is None:
            assert entry.held_here or entry.is_final
            assert not entry.fills
        else:
            assert not entry.held_here
            assert (entry.state, entry.filled_size) == (truth.now.state, truth.now.filled_size)
            if truth.now.stop_price is not None and not entry.is_final:
                assert entry.stop_price == truth.now.stop_price
        assert entry.is_final or not entry.is_amending
    entry = group_plan.entry_of(known)
    exits = group_plan.exits_of(known)
    left = group_plan.left_of(known, SPOT)
    if left == 0 and (entry is None or entry.is_final):
        assert all(one.is_final for one in exits), "the group goes on"
    elif entry is None or entry.is_final:
        # Somebody goes on closing it, or all of them were tried and ended.
        assert all(
            one.is_final or one.held_here or one.key in world.venue.by_client_id for one in exits
        )
        assert all(
            one.key in world.venue.sends or one.held_here for one in exits if not one.is_final
        )
        check_tried(exits)


def check_tried(exits):
    """Check that no exit held here ended with a passing rejection before its last attempt."""
    names = {one.request_id for one in exits}
    for one in exits:
        first, _, number = one.request_id.partition(MARK)
        number = int(number or 1)
        is_passing = one.state == order_states.REJECTED and one.reject_reason in PASSING
        if is_passing and one.was_held_here and not one.held_here and not one.cancel_requested:
            assert f"{first}{MARK}{number + 1}" in names or number == ATTEMPTS_MAX


def test_group_closes_no_more_than_was_opened():
    for seed in range(SEEDED_RUNS):
        assert run(live_and_die(seed, 0)) > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_crash_at_any_step_is_recovered(seed):
    steps = run(live_and_die(seed, 0))
    assert steps > 100
    for step in range(1, min(steps, 900), STEPS_APART):
        run(live_and_die(seed, step))


def test_group_with_stops_of_the_venue_closes_no_more_than_was_opened():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        assert run(live_and_die(seed, chance.randint(1, 600), capabilities=NATIVE)) > 0


def test_several_crashes_are_recovered():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        lives = chance.randint(1, 4)
        assert run(live_and_die(seed, chance.randint(1, 500), lives=lives)) > 0


def test_rejected_exits_are_retried_one_at_a_time():
    for seed in range(SEEDED_RUNS):
        assert run(live_and_die(seed, 0, refused=0.7)) > 0


def test_crash_during_retries_is_recovered():
    for seed in range(SEEDED_RUNS):
        chance = random.Random(seed)
        lives = chance.randint(1, 4)
        assert run(live_and_die(seed, chance.randint(60, 900), lives=lives, refused=0.7)) > 0


@pytest.mark.parametrize("seed", [3, 4])
def test_crash_at_any_step_of_retries_is_recovered(seed):
    steps = run(live_and_die(seed, 0, refused=0.9))
    assert steps > 100
    for step in range(1, min(steps, 1500), STEPS_APART):
        run(live_and_die(seed, step, refused=0.9))
