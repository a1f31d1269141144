"""Groups of orders for tests, and a TradeFlow that takes them."""

import asyncio
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.client_order_ids import client_order_id
from kit.execution.journal.records import OrderSent
from kit.execution.orders import order_states
from kit.execution.service import TradeFlowServicer
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import Prices, signer, world

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
ENTRY = orders_pb2.GROUP_ROLE_ENTRY
EXIT = orders_pb2.GROUP_ROLE_EXIT
ALTERNATIVE = orders_pb2.GROUP_ROLE_ALTERNATIVE
MARKET = orders_pb2.ORDER_TYPE_MARKET
LIMIT = orders_pb2.ORDER_TYPE_LIMIT
STOP = orders_pb2.ORDER_TYPE_STOP
STOP_LIMIT = orders_pb2.ORDER_TYPE_STOP_LIMIT
PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT
SIGNER = signer()
WHERE = {"venue": "fake", "account": "main"}


def order(role, kind=LIMIT, **more):
    """One order; its group is filled in by ``group``."""
    if "stop_price" in more and kind != STOP_LIMIT:
        more["price"] = ""
    return limit_order(type=kind, group=orders_pb2.OrderGroup(role=role), **more)


def group(*contents, group_id="g"):
    """These orders as one group, with request ids."""
    found = {}
    for number, content in enumerate(contents):
        content.group.group_id, content.group.count = group_id, len(contents)
        found[f"{group_id}{number}"] = content
    return found


def bracket(*exits, **entry):
    """To buy 2 at 100; by default with a limit order at 110 and a stop at 95."""
    default = (
        order(EXIT, side=SELL, price="110"),
        order(EXIT, STOP, side=SELL, stop_price="95"),
    )
    return group(order(ENTRY, **entry), *(exits or default))


def oco(*others):
    """To sell 2 at 110, or at 95."""
    default = (
        order(ALTERNATIVE, side=SELL, price="110"),
        order(ALTERNATIVE, STOP, side=SELL, stop_price="95"),
    )
    return group(*(others or default))


def approved(world, contents):
    """Approve all orders for a minute."""
    ends_ns = world.clock.time_ns() + 60 * NANOSECONDS_PER_SECOND
    return [SIGNER.approve(content, name, ends_ns) for name, content in contents.items()]


def flow(world):
    """The TradeFlow service of the current process."""
    return TradeFlowServicer("fake", {"main": world.account})


async def place(world, contents):
    """Place a group. Returns its orders as messages."""
    request = batches_pb2.PlaceOrderGroupRequest(approved=approved(world, contents))
    return list((await flow(world).PlaceOrderGroup(request, None)).orders)


async def placed(contents, **venue):
    """A world where a group was placed, and its orders."""
    found = world(**venue)
    found.prices = Prices()
    found.start()
    await found.ready()
    await place(found, contents)
    await found.let_pass(0.1)
    return found, entries(found, contents)


async def lost_before_sent(contents):
    """A world whose process died when a group was on disk and the mark that its first order was
    being sent was not; the next process is ready."""
    found = world()
    found.prices = Prices()
    found.start()
    await found.ready()

    async def no_disk(*_):
        await asyncio.get_running_loop().create_future()

    journal = found.account.journal
    commit, journal.commit = journal.commit, no_disk
    placing = asyncio.ensure_future(place(found, contents))
    await found.let_pass(1)
    index = found.account.state.index
    await commit(*(one for one in index.records() if not isinstance(one, OrderSent)))
    placing.cancel()
    found.crash()
    found.start()
    await found.ready()
    return found


def entries(world, contents):
    """The orders of a group."""
    index = world.account.state.index
    return [index.orders[client_order_id("fake", "main", name)] for name in contents]


def at_venue(world, entry):
    """The order at the venue; None if it never arrived."""
    return world.venue.by_client_id.get(entry.key)


def fill(world, entry, size):
    """Fill a part of an order."""
    world.venue.fill(at_venue(world, entry), Decimal(size))


def standing(members):
    """The names of the orders' states."""
    return [orders_pb2.OrderState.Name(one.state).removeprefix("ORDER_STATE_") for one in members]


def live(world):
    """The open orders at the venue, by client order id."""
    return {
        name: truth.now
        for name, truth in world.venue.by_client_id.items()
        if truth.now.state not in order_states.FINAL
    }
