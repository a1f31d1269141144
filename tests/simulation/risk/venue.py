"""A venue whose limit orders are filled as the price moves, and what is held and open there."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.tests.lying_venue import FILLED, OPEN
from kit.accounting.amounts import ZERO
from kit.execution.request_ids import lifecycle_of
from tests.simulation.chain.venue import BUY, ENTRY, ChainVenue
from tests.simulation.risk.promises import Promise

LIMIT = orders_pb2.ORDER_TYPE_LIMIT


class TradingVenue(ChainVenue):
    """It knows whose order each is by its lifecycle."""

    def __init__(self, *arguments, owner):
        """``owner``: of a lifecycle, the strategy; "" for a person."""
        super().__init__(*arguments)
        self._owner = owner

    def on_price(self):
        super().on_price()
        for order in list(self.orders.values()):
            is_free = order.state == OPEN and order.client_order_id not in self._working
            if is_free and order.content.type == LIMIT and self._is_reached(order):
                self._work(order, Decimal(order.content.size) - Decimal(order.filled_size))

    def _is_reached(self, order):
        price, at = self._market.price, Decimal(order.content.price)
        return price <= at if order.content.side == BUY else price >= at

    def owner_of(self, order):
        return self._owner(lifecycle_of(order.request_id))

    def held(self, owner):
        """What the fills of an owner leave, without fees."""
        found = ZERO
        for fill in self.all_fills:
            if self.owner_of(self.orders[fill.client_order_id]) == owner:
                size = Decimal(fill.size)
                found += size if fill.side == BUY else -size
        return found

    def to_fill(self, is_buy):
        """What may still be filled of entries of a side."""
        return sum(
            Decimal(order.content.size) - Decimal(order.filled_size)
            for order in self.orders.values()
            if order.state < FILLED and is_entry(order) and (order.content.side == BUY) is is_buy
        )

    def _check_closing(self, order, before):
        """Check that what closes a position of a strategy does not open another one."""
        owner = self.owner_of(order)
        if is_entry(order) or not owner:
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
