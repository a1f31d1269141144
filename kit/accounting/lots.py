"""A position whose fills are closed in the order in which they were opened: first in, first out."""

from collections import deque
from collections.abc import Iterable


class LotPosition:
    """One position as a list of lots. Sizes count the contract's size unit, costs are atoms."""

    __slots__ = ("cost", "direction", "lots", "size")

    def __init__(self, direction: int, lots: Iterable[tuple[int, int]] = ()) -> None:
        """``direction``: that of the contract. ``lots``: sizes and costs, oldest first; both are
        negative for a short position."""
        self.direction = direction
        self.lots = deque(lot for lot in lots if lot[0])
        self.size = sum(size for size, _ in self.lots)
        self.cost = sum(cost for _, cost in self.lots)

    def trade(self, buys: bool, value: int, size: int) -> int:
        """Book a fill of a value in atoms. Return the profit of the part that it closes."""
        sign = 1 if buys else -1
        closing = min(size, abs(self.size)) if self.size * sign < 0 else 0
        closed_value = value * closing // size if size else 0
        closed_cost = self._close(closing)
        self.size += sign * size
        self.cost += sign * (closed_cost + value - closed_value)
        if size > closing:
            self.lots.append((sign * (size - closing), sign * (value - closed_value)))
        return self.direction * -sign * (closed_value - closed_cost) if closing else 0

    def _close(self, size: int) -> int:
        """Take so much of the oldest lots. Return what it had cost, not negative."""
        closed_cost = 0
        while size:
            lot_size, lot_cost = self.lots.popleft()
            taken = min(size, abs(lot_size))
            cost = abs(lot_cost) * taken // abs(lot_size)
            closed_cost += cost
            size -= taken
            if taken < abs(lot_size):
                sign = 1 if lot_size > 0 else -1
                self.lots.appendleft((lot_size - sign * taken, lot_cost - sign * cost))
        return closed_cost
