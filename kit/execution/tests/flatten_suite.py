"""Flatten in a process that dies at any await.

``flatten_and_die(seed, dies_at)`` runs one seeded scenario on virtual time: a position, an entry, a
stop and a bracket at an unreliable venue that does not hold orders to their label reduce-only; the
process is killed at its ``dies_at``-th step (0: never) and restarted, and the caller repeats its
request. It raises AssertionError if more was closed than was open, if an order was sent twice, or
if the answer says that the account is flat while it is not. It returns the number of steps. Call it
with ``simulated_process.run(flatten_and_die(seed, dies_at))``.
"""

import asyncio

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import VenuemeshError
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import bracket, live, place
from kit.execution.tests.position_venue import flatten, position_world
from kit.execution.tests.simulated_process import Prices, verified

SETTINGS = OrdersSettings(pause_max_s=10, reconcile_interval_s=30)
HELD = ("2", "-1.5", "0", "0.5")


async def flatten_and_die(seed, dies_at, *, is_spot=False):
    """Run one scenario. Returns the steps of the last process."""
    held = HELD[seed % len(HELD)].replace("-", "" if is_spot else "-")
    world = position_world(seed, held, unreliable=True, is_spot=is_spot, settings=SETTINGS)
    world.prices = Prices()
    world.start()
    await world.ready()
    await world.do(_trade(world))
    world.crash()
    world.start(dies_at=dies_at)
    answer = await world.do(_flatten(world))
    while world.process.is_dead:
        world.crash()
        world.start(
            dies_at=dies_at + world.random.randint(0, 50) if world.random.random() < 0.3 else 0
        )
        answer = await world.do(_flatten(world))
    steps = world.process.steps
    check_answer(world, answer, is_spot=is_spot)
    await world.let_pass(120)
    assert not world.venue.opened_by_market, "more was closed than was open"
    assert all(count == 1 for count in world.venue.sends.values()), "sent twice"
    check_answer(world, answer, is_spot=is_spot)
    return steps


def check_answer(world, answer, *, is_spot):
    """Compare what the answer says with what the venue has."""
    if answer.left_open:
        assert is_spot
        assert "below the minimum" in answer.left_open[0].detail
        assert str(world.venue.held) == answer.left_open[0].found
    else:
        assert world.venue.held == 0
    assert not live(world)


async def _trade(world):
    """Place what there may be to cancel. The venue may reject it or lose it."""
    symbol = world.venue.symbol
    sell = {"side": types_pb2.SIDE_SELL, "symbol": symbol}
    stop = limit_order(
        price="", type=orders_pb2.ORDER_TYPE_STOP, stop_price="90", reduce_only=True, **sell
    )
    submitter = world.account.submitter
    group = bracket()
    for content in group.values():
        content.symbol = symbol
    await asyncio.gather(
        submitter.submit(verified(limit_order(symbol=symbol), "entry")),
        submitter.submit(verified(stop, "stop"), held_here=True),
        place(world, group),
        return_exceptions=True,
    )


async def _flatten(world):
    """Repeat the request until the work has ended, and make another one as long as something is
    left to close."""
    symbol, number = world.venue.symbol, 0
    while True:
        try:
            answer = await flatten(world, symbol, f"f{number}")
        except VenuemeshError:
            await world.clock.sleep(0.5)
            continue
        if world.random.random() < 0.3:
            world.prices.trade("90")
        is_dust = all("below the minimum" in one.detail for one in answer.left_open)
        if not answer.under_way and is_dust:
            return answer
        number += not answer.under_way
