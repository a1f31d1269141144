"""Orders of one instrument that wait for a price: stops, take-profits, trailing stops.

The price is that of the last trade. A stop that buys, or a take-profit that sells, waits for it to
rise to its stop price; the others for it to fall. The stop price of a trailing stop follows the
last price at its distance, and never goes back.
"""

import heapq

from kit.simulator.matching.contract import OrderKind, Status
from kit.simulator.matching.order import Order

TAKE_PROFITS = frozenset({OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT})


class Stops:
    """Those that wait. One that is cancelled or has another stop price is left out when its turn
    comes."""

    def __init__(self) -> None:
        self._rising: list[tuple[int, int, Order]] = []
        self._falling: list[tuple[int, int, Order]] = []
        """By the negative stop price."""
        self._trailing: dict[int, Order] = {}

    def __bool__(self) -> bool:
        return bool(self._rising or self._falling or self._trailing)

    def add(self, order: Order, last_ticks: int) -> None:
        """An order waits, or waits for another price than before."""
        if order.ticket.kind is OrderKind.TRAILING_STOP:
            self._trailing[order.number] = order
            _follow(order, last_ticks)
        elif _waits_for_rise(order):
            heapq.heappush(self._rising, (order.stop_ticks, order.number, order))
        else:
            heapq.heappush(self._falling, (-order.stop_ticks, order.number, order))

    def note(self, ticks: int) -> list[Order]:
        """There was a trade. Returns the orders that wait no more, nearest stop price first."""
        found: list[Order] = []
        for heap, key in ((self._rising, ticks), (self._falling, -ticks)):
            while heap and heap[0][0] <= key:
                stop_ticks, _, order = heapq.heappop(heap)
                if order.status is Status.UNTRIGGERED and order.stop_ticks == abs(stop_ticks):
                    found.append(order)
        for order in list(self._trailing.values()):
            if order.status is not Status.UNTRIGGERED:
                del self._trailing[order.number]
                continue
            _follow(order, ticks)
            if is_reached(order, ticks):
                del self._trailing[order.number]
                found.append(order)
        return found


def is_reached(order: Order, ticks: int) -> bool:
    """Whether a price is at or beyond an order's stop price; never where it has none yet."""
    if not order.stop_ticks or not ticks:
        return False
    return ticks >= order.stop_ticks if _waits_for_rise(order) else ticks <= order.stop_ticks


def _waits_for_rise(order: Order) -> bool:
    return order.buys is not (order.ticket.kind in TAKE_PROFITS)


def _follow(order: Order, ticks: int) -> None:
    """Bring the stop price of a trailing stop after a price."""
    if not ticks:
        return
    if order.buys:
        near = ticks + order.trail_ticks
        order.stop_ticks = min(order.stop_ticks, near) if order.stop_ticks else near
    else:
        order.stop_ticks = max(order.stop_ticks, ticks - order.trail_ticks)
