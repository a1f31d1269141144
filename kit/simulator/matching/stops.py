"""Orders of one instrument that wait for a trigger price: stops, take-profits, trailing stops.

The price that triggers them is the last trade's.
"""

import heapq

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.stop_triggers import best_price, is_triggered, trailing_price, triggers_on_rise
from kit.execution.order_types import TAKE_PROFITS
from kit.simulator.matching.contract import OrderStatus
from kit.simulator.matching.order import MatchingOrder


class StopOrderBook:
    """The waiting orders. An order that was cancelled or has got another stop price is dropped when
    its old price is reached."""

    def __init__(self) -> None:
        self._rising: list[tuple[int, int, MatchingOrder]] = []
        self._falling: list[tuple[int, int, MatchingOrder]] = []
        """By the negative stop price."""
        self._trailing: dict[int, MatchingOrder] = {}

    def __bool__(self) -> bool:
        return bool(self._rising or self._falling or self._trailing)

    def add(self, order: MatchingOrder, last_ticks: int) -> None:
        """Let an order wait, or wait for another price than before."""
        if order.ticket.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
            self._trailing[order.number] = order
            _trail(order, last_ticks)
        elif _triggers_on_rise(order):
            heapq.heappush(self._rising, (order.stop_ticks, order.number, order))
        else:
            heapq.heappush(self._falling, (-order.stop_ticks, order.number, order))

    def note(self, ticks: int) -> list[MatchingOrder]:
        """Take in the price of a trade. Return the orders that it triggers, nearest stop price
        first."""
        found: list[MatchingOrder] = []
        for heap, key in ((self._rising, ticks), (self._falling, -ticks)):
            while heap and heap[0][0] <= key:
                stop_ticks, _, order = heapq.heappop(heap)
                if order.status is OrderStatus.UNTRIGGERED and order.stop_ticks == abs(stop_ticks):
                    found.append(order)
        for order in list(self._trailing.values()):
            if order.status is not OrderStatus.UNTRIGGERED:
                del self._trailing[order.number]
                continue
            _trail(order, ticks)
            if is_reached(order, ticks):
                del self._trailing[order.number]
                found.append(order)
        return found


def is_reached(order: MatchingOrder, ticks: int) -> bool:
    """Whether a price has reached an order's stop price; False while it has none."""
    if not order.stop_ticks or not ticks:
        return False
    return is_triggered(ticks, order.stop_ticks, _triggers_on_rise(order))


def _triggers_on_rise(order: MatchingOrder) -> bool:
    return triggers_on_rise(order.buys, order.ticket.type in TAKE_PROFITS)


def _trail(order: MatchingOrder, ticks: int) -> None:
    if ticks:
        near = trailing_price(ticks, order.trail_ticks, order.buys)
        order.stop_ticks = best_price(near, order.stop_ticks or None, order.buys)
