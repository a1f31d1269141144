"""A fake venue that is as unreliable as its seed says.

It loses requests and answers, is late, publishes updates twice, in any order or not at all,
interrupts the stream, and does not find new orders at once. It continues when the process that
sent an order is dead.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import VenueUnavailable
from kit.base.request_budget import Priority
from kit.execution.account_configuration import AccountConfiguration
from kit.execution.contract import (
    NO_END_NS,
    Fee,
    FillsPage,
    OrderCapabilities,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    StreamInterrupted,
    VenueBalance,
    VenueFill,
    VenueOrder,
)
from kit.execution.orders import order_states

LAG_S = 2.0
PLENTY = Decimal(10**9)
ARRIVAL_S = 9.5
ALL_TYPES = frozenset(orders_pb2.OrderType.values()) - {0}
CAPABILITIES = OrderCapabilities(
    types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT}),
    times_in_force=frozenset(orders_pb2.TimeInForce.values()),
    reduce_only=True,
    self_trade_prevention=frozenset(orders_pb2.SelfTradePrevention.values()),
    lag_s=LAG_S,
    fills_kept_days=3,
)


@dataclass
class ActualOrder:
    """An order as it really is at the venue."""

    now: VenueOrder
    visible_at: float
    past: list[tuple[float, VenueOrder]] = field(default_factory=list)


class FakeVenue:
    """The venue, which outlives the processes that trade there."""

    def __init__(self, seed, clock, capabilities=CAPABILITIES, *, unreliable=True):
        self.random = random.Random(seed)
        self.clock = clock
        self.capabilities = capabilities
        self.unreliable = unreliable
        self.orders = {}
        """ActualOrder by venue order id."""
        self.by_client_id = {}
        self.fills = []
        """(visible at, VenueFill)."""
        self.sends = Counter()
        self.priorities = []
        """The priorities of the orders, in the order of sending."""
        self.self_trade_modes = {}
        """What each order asked for, by client order id."""
        self.client = None
        self.publishes = True
        self.balances = [VenueBalance(asset, PLENTY, PLENTY) for asset in ("BTC", "USDT")]
        self.positions = []
        self.configuration = AccountConfiguration(may_trade=True, excess_permissions=())
        self.clock_offset = None
        self.countdowns = []
        self.acknowledged = []
        """Amendments that were acknowledged and are not done: (ActualOrder, OrderRequest)."""
        self.calls = Counter()
        self._ids = 0

    @property
    def time(self):
        return asyncio.get_running_loop().time()

    def later(self, seconds, work, *arguments):
        asyncio.get_running_loop().call_later(seconds, work, *arguments)

    def new_id(self):
        self._ids += 1
        return str(self._ids)

    def arrive(self, request):
        """An order arrives at the venue."""
        if request.client_order_id in self.by_client_id:
            return self.by_client_id[request.client_order_id]
        order = VenueOrder(
            symbol=request.symbol,
            venue_order_id=self.new_id(),
            client_order_id=request.client_order_id,
            side=request.side,
            type=request.type,
            size=request.size,
            price=request.price,
            state=order_states.OPEN,
            filled_size=Decimal(0),
            venue_time_ns=self.clock.time_ns(),
            stop_price=request.stop_price,
        )
        lag = self.random.uniform(0, LAG_S) if self.unreliable else 0
        truth = ActualOrder(order, self.time + lag)
        self.orders[order.venue_order_id] = truth
        self.by_client_id[request.client_order_id] = truth
        self.change(truth)
        if self.unreliable:
            self.plan(truth)
        return truth

    def plan(self, truth):
        """Schedule what happens to an order."""
        outcome = self.random.random()
        at = self.random.uniform(0, 3)
        half = truth.now.size / 2
        if outcome < 0.3:
            self.later(at, self.fill, truth, half)
            self.later(at + self.random.uniform(0, 2), self.fill, truth, half)
        elif outcome < 0.5:
            self.later(at, self.fill, truth, half)
        elif outcome < 0.6:
            self.later(at, self.fill, truth, half)
            self.later(at + 1, self.end, truth, order_states.CANCELLED)
        elif outcome < 0.65:
            self.later(at, self.end, truth, order_states.EXPIRED)
        elif outcome < 0.7:
            self.later(at / 100, self.end, truth, order_states.REJECTED)

    def fill(self, truth, size):
        order = truth.now
        size = min(size, order.size - order.filled_size)
        if order.state in order_states.FINAL or size <= 0:
            return
        filled = order.filled_size + size
        price = Decimal(100 + self._ids % 7)
        fill = VenueFill(
            symbol=order.symbol,
            fill_id=self.new_id(),
            venue_order_id=order.venue_order_id,
            client_order_id="" if self._leaves_id_out() else order.client_order_id,
            side=order.side,
            price=price,
            size=size,
            fees=(Fee("USDT", price * size / 1000),),
            liquidity=orders_pb2.LIQUIDITY_MAKER,
            venue_time_ns=self.clock.time_ns(),
        )
        lag = self.random.uniform(0, LAG_S) if self.unreliable else 0
        self.fills.append((self.time + lag, fill))
        self.publish(fill)
        state = order_states.FILLED if filled == order.size else order_states.PARTLY_FILLED
        truth.now = replace(order, state=state, filled_size=filled)
        self.change(truth)

    def _leaves_id_out(self):
        """Updates may lack our ids, unless nothing else could match them."""
        return self.unreliable and self.capabilities.finds_by_client_id and self._ids % 2

    def end(self, truth, state):
        if truth.now.state in order_states.FINAL:
            return
        if state == order_states.REJECTED and truth.now.filled_size:
            state = order_states.CANCELLED
        truth.now = replace(truth.now, state=state)
        self.change(truth)

    def amend(self, truth, request):
        terms = {"size": request.size, "price": request.price, "stop_price": request.stop_price}
        truth.now = replace(truth.now, **terms)
        self.change(truth)

    def change(self, truth):
        truth.now = replace(truth.now, venue_time_ns=self.clock.time_ns())
        truth.past.append((self.time, truth.now))
        self.publish(truth.now)

    def publish(self, update):
        """Deliver an update late, twice, and in any order; or not at all without a process."""
        if not self.unreliable:
            self.deliver(update)
            return
        is_order = isinstance(update, VenueOrder) and self.capabilities.finds_by_client_id
        if is_order and self.random.random() < 0.2:
            update = replace(update, client_order_id="")
        for _ in range(2 if self.random.random() < 0.2 else 1):
            self.later(self.random.uniform(0, 1.5), self.deliver, update)

    def deliver(self, update):
        if self.publishes and self.client is not None:
            self.client.events.put_nowait(update)

    def interrupt(self, seconds):
        """Interrupt the stream for a while."""
        self.publishes = False
        self.later(seconds, self._resume)

    def _resume(self):
        self.publishes = True
        self.deliver(StreamInterrupted("the stream was interrupted"))

    def visible(self, truth):
        """The order as the venue answers a query for it, which may be late."""
        if truth.visible_at > self.time:
            return None
        before = self.time - (self.random.uniform(0, LAG_S) if self.unreliable else 0)
        old = [order for at, order in truth.past if at <= before]
        return old[-1] if old else truth.past[0][1]


class FakeClient:
    """An ExecutionClient for the venue. It is silent once its process is dead."""

    def __init__(self, venue, is_dead=lambda: False):
        self.venue = venue
        self.is_dead = is_dead
        self.events = asyncio.Queue()
        self.verdicts = []
        """Functions that answer the next orders in place of the seed."""
        self.failures = 0
        """How many of the next queries get no answer."""
        venue.client = self

    @property
    def capabilities(self):
        return self.venue.capabilities

    async def configuration(self, symbols=()):
        self.venue.calls["configuration"] += 1
        await self._travel()
        return self.venue.configuration

    async def clock_offset(self):
        return self.venue.clock_offset

    async def place(self, request, priority=Priority.NEW):
        assert not self.is_dead()
        self.venue.sends[request.client_order_id] += 1
        self.venue.self_trade_modes[request.client_order_id] = request.self_trade_prevention
        self.venue.priorities.append(priority)
        self.venue.calls["place"] += 1
        if self.verdicts:
            return await self.verdicts.pop(0)(request)
        chance = self.venue.random.random() if self.venue.unreliable else 0
        if chance < 0.55:
            await self._travel()
            truth = self.venue.arrive(request)
            await self._travel()
            order = truth.now if self.venue.random.random() < 0.5 else None
            return RequestAccepted(truth.now.venue_order_id, order)
        if chance < 0.62:
            await self._travel()
            return RequestRejected(orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS, "too little")
        if chance < 0.9:
            self.venue.later(self.venue.random.uniform(0, ARRIVAL_S), self.venue.arrive, request)
        return await self._no_answer()

    async def amend(self, key, request, priority=Priority.NEW):
        self.venue.calls["amend"] += 1
        self.venue.priorities.append(priority)
        chance = self.venue.random.random() if self.venue.unreliable else 0
        truth = self._truth(key)
        if (
            truth is None
            or truth.now.state in order_states.FINAL
            or request.size <= truth.now.filled_size
        ):
            return RequestRejected(orders_pb2.REJECT_REASON_OTHER, "not open")
        await self._travel()
        if truth.now.state in order_states.FINAL or request.size <= truth.now.filled_size:
            return RequestRejected(orders_pb2.REJECT_REASON_OTHER, "not open")
        if self.capabilities.amends_later:
            self.venue.acknowledged.append((truth, request))
        elif chance < 0.8:
            self.venue.amend(truth, request)
        await self._travel()
        if chance < 0.6:
            return RequestAccepted(truth.now.venue_order_id)
        return await self._no_answer()

    async def cancel(self, key):
        self.venue.calls["cancel"] += 1
        chance = self.venue.random.random() if self.venue.unreliable else 0
        await self._travel()
        truth = self._truth(key)
        if chance < 0.8:
            if truth is None or truth.now.state in order_states.FINAL:
                return RequestRejected(orders_pb2.REJECT_REASON_OTHER, "unknown order")
            self.venue.end(truth, order_states.CANCELLED)
        if chance < 0.7:
            return RequestAccepted(truth.now.venue_order_id)
        return await self._no_answer()

    async def cancel_all(self, symbol=""):
        self.venue.calls["cancel_all"] += 1
        await self._travel()
        self._may_fail()
        for truth in self.venue.orders.values():
            if symbol in ("", truth.now.symbol):
                self.venue.end(truth, order_states.CANCELLED)
        return RequestAccepted("")

    async def find(self, key):
        self.venue.calls["find"] += 1
        await self._travel()
        self._may_fail()
        truth = self._truth(key)
        if truth is None:
            return None
        if not self.capabilities.finds_by_client_id and truth.now.state in order_states.FINAL:
            return None
        return self.venue.visible(truth)

    async def open_orders(self, symbol=""):
        self.venue.calls["open_orders"] += 1
        await self._travel()
        self._may_fail()
        visible = [self.venue.visible(truth) for truth in self.venue.orders.values()]
        found = [one for one in visible if one is not None and symbol in ("", one.symbol)]
        return [one for one in found if one.state not in order_states.FINAL]

    async def fills(self, symbol, since_time_ns, until_time_ns=NO_END_NS):
        await self._travel()
        self._may_fail()
        fills = [fill for at, fill in self.venue.fills if at <= self.venue.time]
        fills = [fill for fill in fills if since_time_ns <= fill.venue_time_ns < until_time_ns]
        fills = [fill for fill in fills if symbol in ("", fill.symbol)]
        yield FillsPage(fills, since_time_ns, until_time_ns)

    async def balances(self):
        await self._travel()
        self._may_fail()
        return list(self.venue.balances)

    async def positions(self):
        await self._travel()
        self._may_fail()
        return list(self.venue.positions)

    async def countdown(self, seconds):
        self.venue.countdowns.append(seconds)

    async def follow(self):
        await self._travel()
        yield StreamInterrupted("the stream starts")
        while True:
            yield await self.events.get()

    async def close(self):
        self.venue.client = None

    def _truth(self, key):
        return self.venue.by_client_id.get(key.client_order_id) or self.venue.orders.get(
            key.venue_order_id
        )

    async def _travel(self):
        await asyncio.sleep(self.venue.random.uniform(0, 0.1) if self.venue.unreliable else 0.001)

    async def _no_answer(self):
        chance = self.venue.random.random()
        if chance < 0.3:
            return OutcomeUnknown("connection lost")
        if chance < 0.5:
            raise ConnectionResetError("by peer")
        return await asyncio.get_running_loop().create_future()

    def _may_fail(self):
        if self.failures:
            self.failures -= 1
            raise VenueUnavailable("away", detail="away")
        if self.venue.unreliable and self.venue.random.random() < 0.1:
            raise VenueUnavailable("away", detail="away")


def limit_order(size="2", price="100", symbol="BTCUSDT", **more):
    """The content of a limit order that passes the checks."""
    fields = {
        "venue": "fake",
        "account": "main",
        "symbol": symbol,
        "side": types_pb2.SIDE_BUY,
        "type": orders_pb2.ORDER_TYPE_LIMIT,
        "size": size,
        "price": price,
    }
    return orders_pb2.OrderContent(**{**fields, **more})
