"""A venue whose limit orders are filled as the price moves, and what is held and open there."""

import asyncio
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.legacy_positions import ADOPTED
from core.inspector.tests.lying_venue import CANCELLED, FILLED, MARKET, OPEN
from core.inspector.venue_processes import NoAnswer
from kit.accounting.amounts import ZERO
from kit.execution.request_ids import lifecycle_of
from tests.simulation.chain.venue import BUY, ENTRY, STOP, ChainVenue
from tests.simulation.risk.promises import Promise

LIMIT = orders_pb2.ORDER_TYPE_LIMIT
LATE_S = 0.2


class TradingVenue(ChainVenue):
    """It knows whose order each is by its lifecycle."""

    def __init__(self, *arguments, owner):
        """``owner``: of a lifecycle, the strategy; "" for a person."""
        super().__init__(*arguments)
        self._owner = owner
        self._asked_s = {}
        self._silent_s = 0
        self._first_stops = {}
        """By client order id, where a stop was placed."""

    def on_price(self):
        super().on_price()
        for order in list(self.orders.values()):
            is_free = order.state == OPEN and order.client_order_id not in self._working
            if is_free and order.content.type == LIMIT and self._is_reached(order):
                self._work(order, Decimal(order.content.size) - Decimal(order.filled_size))

    def cancel_entries(self):
        """Cancel what rests in the book: nothing is opened any more."""
        for order in list(self.orders.values()):
            is_free = order.state == OPEN and order.client_order_id not in self._working
            if is_free and is_entry(order):
                self._end(order, CANCELLED)

    def _is_reached(self, order):
        price, at = self._market.price, Decimal(order.content.price)
        return price <= at if order.content.side == BUY else price >= at

    def owner_of(self, order):
        """The strategy; ADOPTED for what closes something else; "" for an order of a person."""
        return self._owner(lifecycle_of(order.request_id)) or ("" if is_entry(order) else ADOPTED)

    def held_of_no_strategy(self):
        """What persons have opened, and adopted positions have not closed."""
        return self.held("") + self.held(ADOPTED)

    async def _point(self, name):
        loop = asyncio.get_running_loop()
        call = object()
        self._asked_s[call] = loop.time()
        try:
            await super()._point(name)
        except NoAnswer:
            self._silent_s = loop.time()
            raise
        finally:
            del self._asked_s[call]

    def is_late(self, now_s, seconds):
        """Whether a question for an order was not answered just now, or not within some seconds."""
        return self._silent_s > now_s - LATE_S or any(
            now_s - asked_s > seconds for asked_s in self._asked_s.values()
        )

    def held(self, owner):
        """What the fills of an owner leave, without fees."""
        found = ZERO
        for fill in self.all_fills:
            if self.owner_of(self.orders[fill.client_order_id]) == owner:
                size = Decimal(fill.size)
                found += size if fill.side == BUY else -size
        return found

    def to_fill(self):
        """What may still be filled of entries: sizes, each with the content of its order."""
        return tuple(
            (Decimal(order.content.size) - Decimal(order.filled_size), order.content)
            for order in self.orders.values()
            if order.state < FILLED and is_entry(order)
        )

    def _make(self, approved):
        order = super()._make(approved)
        if order.content.type == STOP:
            self._first_stops[order.client_order_id] = Decimal(order.content.stop_price)
        owner = self.owner_of(order)
        if order.content.type == MARKET and not is_entry(order):
            others = [
                one.request_id
                for one in self.orders.values()
                if one is not order
                and one.content.type == MARKET
                and not is_entry(one)
                and one.state < FILLED
                and self.owner_of(one) == owner
            ]
            if others:
                self._history.broke(Promise.ONE_EXIT, f"{order.request_id} beside {others}")
        return order

    def _amend(self, approved):
        order = super()._amend(approved)
        content, first = order.content, self._first_stops.get(order.client_order_id)
        if first is not None:
            moved = Decimal(content.stop_price) - first
            if (moved < 0) is (content.side != BUY) and moved:
                text = f"{order.request_id} from {first} to {content.stop_price}"
                self._history.broke(Promise.TRAILED, text)
        return order

    def _check_closing(self, order, before):
        """Check that what closes a position of a strategy does not open another one."""
        owner = self.owner_of(order)
        # What persons have opened may change beside its adopted part: see Checks.
        if is_entry(order) or owner == ADOPTED:
            return
        last = Decimal(self.all_fills[-1].size)
        after = self.held(owner)
        before = after - (last if order.content.side == BUY else -last)
        if before * after < 0 or abs(after) > abs(before):
            text = f"{order.request_id} has changed the position from {before} to {after}"
            self._history.broke(Promise.CLOSED, text)


def is_entry(order):
    """Whether an order may open something."""
    content = order.content
    if content.reduce_only or content.stop_price:
        return False
    return content.group.role == ENTRY or (not content.group.role and content.type == LIMIT)
