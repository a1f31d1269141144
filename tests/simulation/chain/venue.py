"""The process of a venue with one account: it keeps the contract of TradeFlow, and its answers are
lost, late, unclear or repeated.

One request id makes one order. Of an approval that has expired, or whose epoch was replaced, it
takes nothing. Exits fill at most what is left of their group, one after the other. Nothing keeps a
caller from closing more than it has: that would be found.
"""

from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.tests.lying_venue import (
    CANCELLED,
    EXPIRED,
    FEE,
    FILLED,
    MARKET,
    OPEN,
    UNKNOWN,
    _copy,
)
from core.inspector.tests.rig import KEY
from core.inspector.venue_processes import CallRefused, order_id
from kit.accounting.amounts import ZERO, floor_to, plain
from kit.accounting.instruments import spot_base
from kit.base.errors import ApprovalRejected, NotSupported
from kit.execution.approval.keys import INSPECTOR_LAST_EPOCH, NEVER_NS, ApproverKey
from kit.execution.approval.signing import MeshScope
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier
from kit.execution.client_order_ids import client_order_id
from kit.execution.request_ids import ATTEMPT_MARK, attempt_request_id
from tests.simulation.chain.execution_news import VenueNews
from tests.simulation.chain.history import Promise
from tests.simulation.chain.unreliable_calls import UnreliableCalls

PARTLY_FILLED = orders_pb2.ORDER_STATE_PARTLY_FILLED
REJECTED = orders_pb2.ORDER_STATE_REJECTED
STOP = orders_pb2.ORDER_TYPE_STOP
TAKE_PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT
BUY = types_pb2.SIDE_BUY
ENTRY = orders_pb2.GROUP_ROLE_ENTRY
VALIDITY_NS = 60 * 10**9


@dataclass
class Group:
    """Orders that were placed together."""

    ids: list[str]
    """Client order ids, with those of later attempts."""
    size: Decimal
    """Of the first one."""


def is_exit(content):
    """Whether an order waits for a price to close something."""
    return bool(content.stop_price or content.trailing_offset)


class ChainVenue(UnreliableCalls):
    """VenueOrders of all processes of a run."""

    amends_stops = True

    def __init__(self, chance, clock, market, faults, history):
        super().__init__(chance, clock, faults, history)
        self._market = market
        self.instruments[market.key] = market.instrument
        self._base = spot_base(market.instrument)
        self._step = Decimal(market.instrument.size_step)
        self._min = Decimal(market.instrument.size_min)
        key = ApproverKey(
            "inspector",
            KEY.public_key(),
            "trade",
            frozenset("*"),
            0,
            INSPECTOR_LAST_EPOCH,
            NEVER_NS,
        )
        scope = AccountScope(MeshScope("local", "simulate"), "binance", "paper")
        self._verifier = ApprovalVerifier(scope, {"inspector": key}.get, VALIDITY_NS)
        self._groups = {}
        """By client order id, the orders that were placed together."""
        self._working = set()
        """Client order ids of orders whose fills are on their way."""
        self.news = VenueNews()
        self.made_ns = {}
        """By request id, when an order was made."""

    async def best_price(self, venue, symbol, *, is_buy):
        return self._market.price

    @property
    def interruptions(self):
        """Share of news after which the stream ends."""
        return self._shares.interrupted

    def is_settled(self):
        """Whether nothing is on its way at the venue."""
        return not self._working and len(self.news.fills) == len(self.all_fills)

    def on_price(self):
        """Fill the exits that the price has reached."""
        for order in self._free_exits():
            price, at = self._market.price, self._trigger_price(order)
            is_below = (order.content.type != TAKE_PROFIT) == (order.content.side != BUY)
            if price <= at if is_below else price >= at:
                self._trigger(order)

    def _trigger_price(self, order):
        """Where an exit triggers; one that trails follows the price first."""
        content = order.content
        if not content.trailing_offset:
            return Decimal(content.stop_price)
        is_sale, offset = content.side != BUY, Decimal(content.trailing_offset)
        now = self._market.price - offset if is_sale else self._market.price + offset
        best = (max if is_sale else min)(now, Decimal(order.trigger_price or now))
        order.trigger_price = plain(best)
        return best

    def end_all_exits(self):
        """Fill every exit that is open and works."""
        for order in self._free_exits():
            self._trigger(order)

    def cancel_exits(self):
        """Cancel exits that are open and work, mostly all of them."""
        for order in self._free_exits():
            if self._chance.random() < 0.8:
                self._end(order, CANCELLED)

    def _free_exits(self):
        """Exits that are open and wait for no other order of their group."""
        for order in list(self.orders.values()):
            if order.state == OPEN and is_exit(order.content) and not self._is_busy(order):
                yield order

    def entries(self):
        """The orders that open something."""
        return [one for one in self.orders.values() if one.content.group.role == ENTRY]

    def working_exits(self):
        """The orders that protect something now."""
        return [
            order
            for order in self.orders.values()
            if order.state < FILLED and is_exit(order.content)
        ]

    def _verify(self, approved):
        try:
            self._verifier.verify(approved, self.clock.time_ns())
        except ApprovalRejected as error:
            raise CallRefused(error.reason, error.message) from None

    def _place(self, approved):
        for one in approved:
            self._verify(one)
        ids = [order_id(one) for one in approved]
        known = [self.orders.get(one) for one in ids]
        if any(known):
            is_same = all(known) and [one.request_id for one in approved] == [
                one.request_id for one in known
            ]
            if not is_same:
                raise CallRefused("REQUEST_ID_REUSED", "another group")
            return [_copy(order) for order in known]
        group = Group(ids, Decimal(approved[0].content.size))
        self._groups |= dict.fromkeys(ids, group)
        made = [self._make(one) for one in approved]
        for order in made:
            if order.content.type == MARKET:
                self._work(order, Decimal(order.content.size))
        return [_copy(order) for order in made]

    def _make(self, approved):
        return self._add(approved.content, approved.request_id, order_id(approved))

    def _add(self, content, request_id, client_id):
        order = orders_pb2.Order(
            content=content,
            request_id=request_id,
            client_order_id=client_id,
            filled_size="0",
        )
        self.orders[client_id] = order
        self.made.append(request_id)
        self.made_ns[request_id] = self.clock.time_ns()
        self._history.note("order", f"{request_id} {content.side} {content.size}")
        self._set(order, OPEN)
        return order

    def _cancel(self, approved):
        self._verify(approved)
        order = self.orders.get(approved.target_client_order_id)
        if order is None:
            raise CallRefused("UNKNOWN_ORDER", "no such order")
        for one in self._attempts(order):
            if one.state < FILLED and not one.cancel_requested_by:
                one.cancel_requested_by = "key inspector"
                self._set(one, one.state)
                if self._chance.random() < 0.5:
                    self._end_cancelled(one)
                else:
                    self._later(
                        self._chance.choice((0.01, 0.5, 4)),
                        lambda one=one: self._end_cancelled(one),
                    )
        return _copy(order)

    def _amend(self, approved):
        self._verify(approved)
        if not self.amends_stops:
            raise CallRefused(NotSupported.reason, "stops cannot be amended here")
        order = self.orders.get(approved.target_client_order_id)
        if order is not None and (order.state >= FILLED or order.client_order_id in self._working):
            raise CallRefused("INVALID_ORDER", "it is being filled, or has ended")
        return super()._amend(approved)

    def _end_cancelled(self, order):
        if order.state < FILLED and order.state != UNKNOWN:
            self._end(order, CANCELLED)

    # Outcomes of orders.

    def _attempts(self, order):
        """All attempts of an order."""
        first = order.request_id.partition(ATTEMPT_MARK)[0]
        return [one for one in self._members(order) if one.request_id.startswith(first)]

    def _members(self, order):
        return [self.orders[one] for one in self._groups[order.client_order_id].ids]

    def _is_busy(self, order):
        """Whether an exit has to wait for another order of its group."""
        members = self._members(order)
        entry = next((one for one in members if one.content.group.role == ENTRY), None)
        if entry is not None and (entry.state < FILLED or entry.client_order_id in self._working):
            return True
        return any(one.client_order_id in self._working for one in members)

    def left(self, order):
        """What is left of the group of an exit."""
        members = self._members(order)
        exits = [one for one in members if one.content.group.role != ENTRY]
        entry = next((one for one in members if one.content.group.role == ENTRY), None)
        size = self._groups[order.client_order_id].size
        if entry is not None:
            size = Decimal(entry.filled_size) - self._base_fees(entry)
        left = size - sum(Decimal(one.filled_size) for one in exits)
        return floor_to(max(left, ZERO), self._step)

    def _base_fees(self, order):
        return sum(
            Decimal(one.fee.amount)
            for one in self.all_fills
            if one.client_order_id == order.client_order_id and one.fee.asset == self._base
        )

    def _trigger(self, order):
        left = self.left(order)
        if left < self._min:
            self._end(order, CANCELLED)
            return
        self._history.note("triggered", order.request_id)
        order.content.size = plain(left)
        self._work(order, left)

    def _work(self, order, size):
        """Find out what the venue makes of an order, now or later."""
        chance, shares = self._chance, self._shares
        self._working.add(order.client_order_id)
        if chance.random() < shares.unknown:
            self._set(order, UNKNOWN)
            self._later(chance.choice((0.5, 5, 30)), lambda: self._resolve(order, size))
        elif chance.random() < 0.5:
            self._resolve(order, size)
        else:
            self._later(chance.choice((0.005, 0.3, 3)), lambda: self._resolve(order, size))

    def _resolve(self, order, size):
        chance, shares = self._chance, self._shares
        if order.state >= FILLED:
            self._working.discard(order.client_order_id)
        elif chance.random() < shares.rejected:
            self._end(order, REJECTED)
        elif order.cancel_requested_by and chance.random() < 0.5:
            self._end(order, CANCELLED)
        elif chance.random() < shares.parts:
            part = floor_to(size * chance.choice((Decimal("0.3"), Decimal("0.9"))), self._step)
            self._fill_part(order, part, size - part)
        else:
            self._fill_part(order, size, ZERO)

    def _fill_part(self, order, part, rest):
        """Fill a part; the rest is filled later, or never."""
        if order.state >= FILLED:
            return
        if part:
            self._fill(order, part)
        if not rest:
            self._end(order, FILLED)
        elif self._chance.random() < 0.3:
            self._end(order, EXPIRED if order.content.type == MARKET else REJECTED)
        else:
            self._set(order, PARTLY_FILLED)
            self._later(
                self._chance.choice((0.01, 1, 6)), lambda: self._fill_part(order, rest, ZERO)
            )

    def _end(self, order, state):
        """An order has ended; exits follow from that."""
        self._working.discard(order.client_order_id)
        self._set(order, state)
        self._history.note("ended", f"{order.request_id} {orders_pb2.OrderState.Name(state)}")
        role = order.content.group.role
        others = [one for one in self._members(order) if one.state < FILLED]
        if role == ENTRY and not Decimal(order.filled_size):
            for one in others:
                self._end(one, CANCELLED)
        elif role and role != ENTRY and self.left(order) < self._min:
            for one in others:
                if one.state < FILLED and one.client_order_id not in self._working:
                    self._end(one, CANCELLED)
        elif is_exit(order.content) and state == REJECTED and not order.cancel_requested_by:
            self._try_again(order)

    def _try_again(self, order):
        """The next attempt of an exit that was rejected."""
        name = attempt_request_id(order.request_id, len(self._attempts(order)) + 1)
        key = client_order_id(order.content.venue, order.content.account, name)
        group = self._groups[key] = self._groups[order.client_order_id]
        self._add(order.content, name, key).content.size = plain(self.left(order))
        group.ids.append(key)

    def _fill(self, order, size):
        content = order.content
        before = self.position()
        is_buy = content.side == BUY
        asset = self._base if is_buy and self._base else "USDT"
        fill = orders_pb2.Fill(
            venue=content.venue,
            account=content.account,
            symbol=content.symbol,
            fill_id=str(len(self.all_fills) + 1),
            client_order_id=order.client_order_id,
            side=content.side,
            price=plain(self._market.price),
            size=plain(size),
            fee=orders_pb2.Fee(asset=asset, amount=plain(size * FEE)),
            venue_time_ns=self.clock.time_ns(),
        )
        self.all_fills.append(fill)
        order.filled_size = plain(Decimal(order.filled_size) + size)
        self._history.note("fill", f"{order.request_id} {size}, position {self.position()}")
        self._check_closing(order, before)
        # It is told of in its turn.
        if (chance := self._chance).random() < self._shares.late_fills:
            self._later(chance.choice((0.05, 1, 7)), lambda: self.news.add_fills(self.all_fills))
        elif len(self.news.fills) == len(self.all_fills) - 1:
            self.news.add_fills(self.all_fills)

    def _check_closing(self, order, before):
        """Check that what closes a position does not open another one."""
        is_entry, after = order.content.group.role == ENTRY, self.position()
        if not is_entry and (before * after < 0 or abs(after) > abs(before)):
            text = f"{order.request_id} has changed the position from {before} to {after}"
            self._history.broke(Promise.CLOSED, text)

    async def fills(self, order):
        await self._point("fills")
        return [one for one in self.news.fills if one.client_order_id == order.client_order_id]

    def position(self):
        """What the fills leave."""
        found = ZERO
        for fill in self.all_fills:
            size = Decimal(fill.size)
            found += size if fill.side == BUY else -size
            found -= Decimal(fill.fee.amount) if fill.fee.asset == self._base else ZERO
        return found

    def _set(self, order, state):
        order.state = state
        order.updated_time_ns = max(order.updated_time_ns + 1, self.clock.time_ns())
        self.news.add(_copy(order))
