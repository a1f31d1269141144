"""The venue as it really is: orders, fills, balances and a position, matched at the market's price.

It publishes news late, twice, in any order or not at all, as its faults say.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts
from kit.accounting.stop_triggers import is_triggered, triggers_on_rise
from kit.execution.contract import (
    Fee,
    OrderRequest,
    StreamInterrupted,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from kit.execution.order_types import IMMEDIATE, TAKE_PROFITS, TRIGGERED_TYPES
from kit.execution.orders import order_states

NEWS_LATE_S = 1.5
MARKET = orders_pb2.ORDER_TYPE_MARKET


class Refused(Exception):
    """The venue rejects a request, with one of its codes."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(eq=False)
class ActualOrder:
    """An order as it really is."""

    now: VenueOrder
    request: OrderRequest
    visible_at: float
    is_triggered: bool = False
    past: list[tuple[float, VenueOrder]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.now.state not in order_states.FINAL

    @property
    def left(self) -> Decimal:
        return self.now.size - self.now.filled_size

    @property
    def kind(self):
        """The type, or what it has become."""
        kind = self.request.type
        return TRIGGERED_TYPES.get(kind, kind) if self.is_triggered else kind


class SimulatedVenue:
    """One account at a venue that outlives the processes trading there."""

    def __init__(self, chance, clock, market, terms, faults) -> None:
        self.random, self.clock, self.market, self.faults = chance, clock, market, faults
        self.instrument, self.capabilities = terms.instrument, terms.capabilities
        self.takes_fee_in_base = terms.takes_fee_in_base
        self.lists_newest_fills_first = terms.lists_newest_fills_first
        self.orders = {}
        """ActualOrder by venue order id."""
        self.by_client_id = {}
        self.fills = []
        """(visible at, VenueFill)."""
        self.stream = None
        """The queue of the process that follows the account."""
        self.publishes = True
        self.position = Decimal(0)
        self.totals = {"BTC": Decimal(10), "USDT": Decimal(100_000)}
        self.changed = []
        """Functions that are given each order that has changed."""
        self.counts = Counter()
        self._ids = 0

    @property
    def time(self):
        return asyncio.get_running_loop().time()

    @property
    def is_spot(self):
        return self.instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT

    def later(self, seconds, work, *arguments):
        asyncio.get_running_loop().call_later(seconds, work, *arguments)

    def open_orders(self):
        return [truth for truth in self.orders.values() if truth.is_open]

    def find(self, key):
        """The order with one of these ids, or None."""
        return self.by_client_id.get(key.client_order_id) or self.orders.get(key.venue_order_id)

    def place(self, request):
        """Take an order. Raises Refused."""
        self._check(request)
        order = VenueOrder(
            symbol=request.symbol,
            venue_order_id=self._new_id(),
            client_order_id=request.client_order_id,
            side=request.side,
            type=request.type,
            size=request.size,
            price=request.price,
            state=order_states.OPEN,
            filled_size=Decimal(0),
            stop_price=request.stop_price,
        )
        truth = ActualOrder(order, request, self.time + self._lag_s())
        self.orders[order.venue_order_id] = truth
        if request.client_order_id:
            self.by_client_id[request.client_order_id] = truth
        self._change(truth)
        self._match(truth)
        return truth

    def amend(self, key, request):
        """Change the terms of an order. Raises Refused."""
        truth = self.find(key)
        if truth is None or not truth.is_open or request.size <= truth.now.filled_size:
            raise Refused("-2038", "Order amend rejected")
        terms = {"size": request.size, "price": request.price, "stop_price": request.stop_price}
        truth.now = replace(truth.now, **terms)
        self._change(truth)
        self._match(truth)
        return truth

    def cancel(self, key):
        """Cancel an order. Raises Refused."""
        truth = self.find(key)
        if truth is None or not truth.is_open:
            raise Refused("-2011", "Unknown order sent.")
        self.end(truth, order_states.CANCELLED)
        return truth

    def cancel_all(self):
        """Cancel all orders."""
        for truth in self.open_orders():
            self.end(truth, order_states.CANCELLED)

    def end(self, truth, state):
        """End an order that is open."""
        if not truth.is_open:
            return
        if state == order_states.REJECTED and truth.now.filled_size:
            state = order_states.CANCELLED
        truth.now = replace(truth.now, state=state)
        self._change(truth)

    def end_any(self):
        """End an order that is open, as no caller wanted."""
        open_orders = self.open_orders()
        if open_orders:
            states = order_states.CANCELLED, order_states.EXPIRED, order_states.REJECTED
            truth, state = self.random.choice(open_orders), self.random.choice(states)
            reason = orders_pb2.REJECT_REASON_INSTRUMENT
            if state == order_states.REJECTED:
                truth.now = replace(truth.now, reject_reason=reason, detail="halted")
            self.end(truth, state)

    def on_price(self):
        """Match all orders at the market's new price."""
        for truth in self.open_orders():
            self._match(truth)

    def fill(self, truth, size, price):
        """Fill a part of an order; what only reduces, up to the position."""
        order = truth.now
        size = min(size, truth.left, self._reducible(truth.request))
        if not truth.is_open or size <= 0:
            return
        self._ids += 1
        fill = VenueFill(
            symbol=order.symbol,
            fill_id=self._new_id(),
            venue_order_id=order.venue_order_id,
            client_order_id="" if self._leaves_id_out() else order.client_order_id,
            side=order.side,
            price=price,
            size=size,
            fees=(self._fee(truth.request.buys, size, price),),
            liquidity=orders_pb2.LIQUIDITY_MAKER,
            venue_time_ns=self.clock.actual_ns(),
        )
        self.fills.append((self.time + self._lag_s(), fill))
        self._book(truth.request.buys, fill)
        filled = order.filled_size + size
        state = order_states.FILLED if filled == order.size else order_states.PARTLY_FILLED
        truth.now = replace(order, state=state, filled_size=filled)
        self._publish(fill)
        self._change(truth)
        self._publish_holdings()

    def balances(self):
        return [VenueBalance(name, total, total) for name, total in self.totals.items()]

    def positions(self):
        return [VenuePosition("BTCUSDT", self.position)] if self.position else []

    def visible(self, truth):
        """The order as the venue answers a query for it, which may be old; None if it is new."""
        if truth.visible_at > self.time:
            return None
        before = self.time - self._lag_s()
        old = [order for at, order in truth.past if at <= before]
        return old[-1] if old else truth.past[0][1]

    def visible_fills(self, since_time_ns, until_time_ns):
        """The fills of a span that the venue lists already, oldest first."""
        return [
            fill
            for at, fill in self.fills
            if at <= self.time and since_time_ns <= fill.venue_time_ns < until_time_ns
        ]

    def interrupt(self, seconds):
        """Interrupt the account's stream for a while."""
        self.publishes = False
        self.later(seconds, self.resume)

    def resume(self):
        """Resume the account's stream."""
        self.publishes = True
        self._deliver(StreamInterrupted("the stream was interrupted"))

    def _check(self, request):
        crosses = self._crosses(request.buys, request.price)
        if request.post_only and crosses and request.type == orders_pb2.ORDER_TYPE_LIMIT:
            raise Refused("-5022", "Post Only order will be rejected")
        if request.reduce_only and not self._reducible(request):
            raise Refused("-2022", "ReduceOnly Order is rejected.")
        if self.is_spot and not request.buys and request.type not in TRIGGERED_TYPES:
            sells = [one for one in self.open_orders() if not one.request.buys]
            reserved = sum(one.left for one in sells if one.kind not in TRIGGERED_TYPES)
            if self.totals["BTC"] - reserved < request.size:
                raise Refused("-2010", "Account has insufficient balance for requested action.")

    def _match(self, truth):
        if not truth.is_open or not self._is_in_book(truth):
            return
        request, kind = truth.request, truth.kind
        price = truth.now.price if kind != MARKET else None
        is_immediate = kind == MARKET or request.time_in_force in IMMEDIATE
        if price is None or self._crosses(request.buys, price):
            self._trade(truth, price, is_immediate)
        if is_immediate:
            states = order_states.CANCELLED, order_states.EXPIRED
            self.end(truth, self.random.choice(states))
        elif not self._reducible(request):
            self.end(truth, order_states.CANCELLED)

    def _is_in_book(self, truth):
        request = truth.request
        if request.type not in TRIGGERED_TYPES or truth.is_triggered:
            return True
        on_rise = triggers_on_rise(request.buys, request.type in TAKE_PROFITS)
        truth.is_triggered = is_triggered(self.market.last, truth.now.stop_price, on_rise)
        return truth.is_triggered

    def _trade(self, truth, price, is_immediate):
        best = self.market.best
        at = price
        if is_immediate or price is None:
            at = best.ask if truth.request.buys else best.bid
        share = self.random.random()
        if share < 0.55 or truth.request.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
            self.fill(truth, truth.left, at)
        elif share < 0.85:
            self.fill(truth, amounts.floor_to(truth.left / 2, Decimal("0.001")), at)

    def _crosses(self, buys, price):
        if price is None:
            return True
        best = self.market.best
        return price >= best.ask if buys else price <= best.bid

    def _reducible(self, request):
        """How much of an order may be filled."""
        if self.is_spot or not request.reduce_only:
            return Decimal("Infinity")
        return max(-self.position if request.buys else self.position, Decimal(0))

    def _fee(self, buys, size, price):
        if self.is_spot and buys and self.takes_fee_in_base:
            return Fee("BTC", size / 1000)
        return Fee("USDT", price * size / 1000)

    def _book(self, buys, fill):
        size = fill.size if buys else -fill.size
        if not self.is_spot:
            self.position += size
            return
        self.totals["BTC"] += size
        self.totals["USDT"] -= size * fill.price
        for fee in fill.fees:
            self.totals[fee.asset] -= fee.amount

    def _publish_holdings(self):
        if self.is_spot:
            for balance in self.balances():
                self._publish(balance)
        else:
            self._publish(VenuePosition("BTCUSDT", self.position))

    def _change(self, truth):
        truth.now = replace(truth.now, venue_time_ns=self.clock.actual_ns())
        truth.past.append((self.time, truth.now))
        for changed in self.changed:
            changed(truth)
        self._publish(truth.now)

    def _publish(self, update):
        chance, faults = self.random, self.faults
        if chance.random() < faults.lost_news:
            return
        is_found = isinstance(update, VenueOrder) and self.capabilities.finds_by_client_id
        if is_found and chance.random() < faults.nameless_news:
            update = replace(update, client_order_id="")
        if chance.random() >= faults.news:
            self.later(0.01, self._deliver, update)
            return
        for _ in range(2 if chance.random() < 0.3 else 1):
            self.later(chance.uniform(0, NEWS_LATE_S), self._deliver, update)

    def _deliver(self, update):
        if self.publishes and self.stream is not None:
            self.stream.put_nowait(update)

    def _leaves_id_out(self):
        """Fills may lack our ids, unless nothing else could match them."""
        return self.capabilities.finds_by_client_id and self._ids % 3 == 0

    def _lag_s(self):
        return self.random.uniform(0, self.faults.lag_s) if self.faults.lag_s else 0

    def _new_id(self):
        self._ids += 1
        return str(self._ids)
