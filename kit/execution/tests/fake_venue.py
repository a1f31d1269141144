"""A venue with its own truth, which is nasty by a seed.

It loses requests and answers, is late, says things twice, in any order and not at all, cuts the
stream, and does not find at once what it has taken. What it does after it was asked goes on when
the process that asked is dead.
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
from kit.execution.contract import (
    Accepted,
    Fee,
    OrderCapabilities,
    OutcomeUnknown,
    Rejected,
    StreamInterrupted,
    VenueFill,
    VenueOrder,
)
from kit.execution.orders import states

LAG_S = 2.0
ARRIVAL_S = 9.5
ALL_TYPES = frozenset(orders_pb2.OrderType.values()) - {0}
RULES = OrderCapabilities(
    types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT}),
    times_in_force=frozenset(orders_pb2.TimeInForce.values()),
    reduce_only=True,
    lag_s=LAG_S,
)


@dataclass
class Truth:
    """An order as it is."""

    now: VenueOrder
    visible_at: float
    past: list[tuple[float, VenueOrder]] = field(default_factory=list)


class FakeVenue:
    """Survives the processes that trade there."""

    def __init__(self, seed, clock, rules=RULES, *, nasty=True):
        self.random = random.Random(seed)
        self.clock = clock
        self.rules = rules
        self.nasty = nasty
        self.orders = {}
        """Truth by venue order id."""
        self.by_client_id = {}
        self.fills = []
        """(visible at, VenueFill)."""
        self.sends = Counter()
        self.priorities = []
        """Of the orders, as they were sent."""
        self.desk = None
        self.tells = True
        self.holdings = []
        self.held = []
        self.countdowns = []
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

    def arrive(self, wish):
        """An order comes to the venue."""
        if wish.client_order_id in self.by_client_id:
            return self.by_client_id[wish.client_order_id]
        order = VenueOrder(
            symbol=wish.symbol,
            venue_order_id=self.new_id(),
            client_order_id=wish.client_order_id,
            side=wish.side,
            type=wish.type,
            size=wish.size,
            price=wish.price,
            state=states.OPEN,
            filled_size=Decimal(0),
            venue_time_ns=self.clock.time_ns(),
            stop_price=wish.stop_price,
        )
        lag = self.random.uniform(0, LAG_S) if self.nasty else 0
        truth = Truth(order, self.time + lag)
        self.orders[order.venue_order_id] = truth
        self.by_client_id[wish.client_order_id] = truth
        self.change(truth)
        if self.nasty:
            self.plan(truth)
        return truth

    def plan(self, truth):
        """What will become of it."""
        fate = self.random.random()
        at = self.random.uniform(0, 3)
        half = truth.now.size / 2
        if fate < 0.3:
            self.later(at, self.fill, truth, half)
            self.later(at + self.random.uniform(0, 2), self.fill, truth, half)
        elif fate < 0.5:
            self.later(at, self.fill, truth, half)
        elif fate < 0.6:
            self.later(at, self.fill, truth, half)
            self.later(at + 1, self.end, truth, states.CANCELLED)
        elif fate < 0.65:
            self.later(at, self.end, truth, states.EXPIRED)
        elif fate < 0.7:
            self.later(at / 100, self.end, truth, states.REJECTED)

    def fill(self, truth, size):
        order = truth.now
        size = min(size, order.size - order.filled_size)
        if order.state in states.FINAL or size <= 0:
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
        lag = self.random.uniform(0, LAG_S) if self.nasty else 0
        self.fills.append((self.time + lag, fill))
        self.tell(fill)
        state = states.FILLED if filled == order.size else states.PARTLY_FILLED
        truth.now = replace(order, state=state, filled_size=filled)
        self.change(truth)

    def _leaves_id_out(self):
        """Where orders are not found by our ids, news have them; else nobody could say."""
        return self.nasty and self.rules.finds_by_client_id and self._ids % 2

    def end(self, truth, state):
        if truth.now.state in states.FINAL:
            return
        if state == states.REJECTED and truth.now.filled_size:
            state = states.CANCELLED
        truth.now = replace(truth.now, state=state)
        self.change(truth)

    def amend(self, truth, wish):
        terms = {"size": wish.size, "price": wish.price, "stop_price": wish.stop_price}
        truth.now = replace(truth.now, **terms)
        self.change(truth)

    def change(self, truth):
        truth.now = replace(truth.now, venue_time_ns=self.clock.time_ns())
        truth.past.append((self.time, truth.now))
        self.tell(truth.now)

    def tell(self, news):
        """Late, twice, and in any order; or not at all, where nobody listens."""
        if not self.nasty:
            self.deliver(news)
            return
        is_order = isinstance(news, VenueOrder) and self.rules.finds_by_client_id
        if is_order and self.random.random() < 0.2:
            news = replace(news, client_order_id="")
        for _ in range(2 if self.random.random() < 0.2 else 1):
            self.later(self.random.uniform(0, 1.5), self.deliver, news)

    def deliver(self, news):
        if self.tells and self.desk is not None:
            self.desk.heard.put_nowait(news)

    def cut(self, seconds):
        """The stream is cut for a while."""
        self.tells = False
        self.later(seconds, self._mend)

    def _mend(self):
        self.tells = True
        self.deliver(StreamInterrupted("the stream was cut"))

    def seen(self, truth):
        """What the venue answers of an order: not always the newest."""
        if truth.visible_at > self.time:
            return None
        before = self.time - (self.random.uniform(0, LAG_S) if self.nasty else 0)
        old = [order for at, order in truth.past if at <= before]
        return old[-1] if old else truth.past[0][1]


class FakeDesk:
    """A process's connection to the venue. When the process is dead, it says nothing any more."""

    def __init__(self, venue, is_dead=lambda: False):
        self.venue = venue
        self.is_dead = is_dead
        self.heard = asyncio.Queue()
        self.rights = []
        self.answers = []
        """What is to be done with the next orders in place of what the seed says."""
        self.fails = 0
        """So many questions are not answered."""
        venue.desk = self

    @property
    def capabilities(self):
        return self.venue.rules

    async def authenticate(self):
        await self._travel()
        return self.rights

    async def place(self, wish, priority=Priority.NEW):
        assert not self.is_dead()
        self.venue.sends[wish.client_order_id] += 1
        self.venue.priorities.append(priority)
        self.venue.calls["place"] += 1
        if self.answers:
            return await self.answers.pop(0)(wish)
        chance = self.venue.random.random() if self.venue.nasty else 0
        if chance < 0.55:
            await self._travel()
            truth = self.venue.arrive(wish)
            await self._travel()
            order = truth.now if self.venue.random.random() < 0.5 else None
            return Accepted(truth.now.venue_order_id, order)
        if chance < 0.62:
            await self._travel()
            return Rejected(orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS, "too little")
        if chance < 0.9:
            self.venue.later(self.venue.random.uniform(0, ARRIVAL_S), self.venue.arrive, wish)
        return await self._no_answer()

    async def amend(self, key, wish):
        chance = self.venue.random.random() if self.venue.nasty else 0
        truth = self._truth(key)
        if truth is None or truth.now.state in states.FINAL or wish.size <= truth.now.filled_size:
            return Rejected(orders_pb2.REJECT_REASON_OTHER, "not open")
        await self._travel()
        if truth.now.state in states.FINAL or wish.size <= truth.now.filled_size:
            return Rejected(orders_pb2.REJECT_REASON_OTHER, "not open")
        if chance < 0.8:
            self.venue.amend(truth, wish)
        await self._travel()
        if chance < 0.6:
            return Accepted(truth.now.venue_order_id)
        return await self._no_answer()

    async def cancel(self, key):
        self.venue.calls["cancel"] += 1
        chance = self.venue.random.random() if self.venue.nasty else 0
        await self._travel()
        truth = self._truth(key)
        if chance < 0.8:
            if truth is None or truth.now.state in states.FINAL:
                return Rejected(orders_pb2.REJECT_REASON_OTHER, "unknown order")
            self.venue.end(truth, states.CANCELLED)
        if chance < 0.7:
            return Accepted(truth.now.venue_order_id)
        return await self._no_answer()

    async def cancel_all(self, symbol=""):
        self.venue.calls["cancel_all"] += 1
        await self._travel()
        self._may_fail()
        for truth in self.venue.orders.values():
            if symbol in ("", truth.now.symbol):
                self.venue.end(truth, states.CANCELLED)
        return Accepted("")

    async def find(self, key):
        self.venue.calls["find"] += 1
        await self._travel()
        self._may_fail()
        truth = self._truth(key)
        if truth is None:
            return None
        if not self.capabilities.finds_by_client_id and truth.now.state in states.FINAL:
            return None
        return self.venue.seen(truth)

    async def open_orders(self, symbol=""):
        self.venue.calls["open_orders"] += 1
        await self._travel()
        self._may_fail()
        seen = [self.venue.seen(truth) for truth in self.venue.orders.values()]
        return [
            order
            for order in seen
            if order is not None
            and order.state not in states.FINAL
            and symbol in ("", order.symbol)
        ]

    async def fills(self, symbol, since_time_ns):
        await self._travel()
        self._may_fail()
        now = self.venue.time
        return [
            fill
            for at, fill in self.venue.fills
            if at <= now and fill.venue_time_ns >= since_time_ns and symbol in ("", fill.symbol)
        ]

    async def balances(self):
        await self._travel()
        self._may_fail()
        return list(self.venue.holdings)

    async def positions(self):
        return list(self.venue.held)

    async def countdown(self, seconds):
        self.venue.countdowns.append(seconds)

    async def follow(self):
        await self._travel()
        while True:
            yield await self.heard.get()

    async def close(self):
        self.venue.desk = None

    def _truth(self, key):
        return self.venue.by_client_id.get(key.client_order_id) or self.venue.orders.get(
            key.venue_order_id
        )

    async def _travel(self):
        await asyncio.sleep(self.venue.random.uniform(0, 0.1) if self.venue.nasty else 0.001)

    async def _no_answer(self):
        chance = self.venue.random.random()
        if chance < 0.3:
            return OutcomeUnknown("connection lost")
        if chance < 0.5:
            raise ConnectionResetError("by peer")
        return await asyncio.get_running_loop().create_future()

    def _may_fail(self):
        if self.fails:
            self.fails -= 1
            raise VenueUnavailable("away", detail="away")
        if self.venue.nasty and self.venue.random.random() < 0.1:
            raise VenueUnavailable("away", detail="away")


def limit_order(size="2", price="100", symbol="BTCUSDT", **more):
    """A content that can be placed."""
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
