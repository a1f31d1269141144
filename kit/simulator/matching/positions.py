"""What an account holds of one derivative, and how much it has won or lost by it.

A position's cost is what it was opened for, in atoms of what settles it: positive when bought. The
coins that an inverse contract is worth get fewer when the price rises, so its gain is what the cost
is more than the worth.
"""

from dataclasses import dataclass
from decimal import Context, Decimal

from kit.simulator.matching.board import Board
from kit.simulator.matching.money import EXACT, amount

SHOWN = Context(prec=16)
"""Digits of prices that were worked out."""


@dataclass(slots=True)
class Position:
    """Of one account and instrument."""

    lots: int = 0
    """Negative when sold."""
    cost: int = 0
    realized: int = 0
    """Since it was opened, with funding, without fees."""

    def trade(self, board: Board, buys: bool, ticks: int, lots: int) -> int:
        """Bought or sold. Returns what is won or lost by what was closed."""
        sign = 1 if buys else -1
        value = board.value(ticks, lots)
        won = closing = 0
        if self.lots * sign < 0:
            closing = min(lots, abs(self.lots))
            ended = abs(self.cost) * closing // abs(self.lots)
            paid = value * closing // lots
            won = board.direction * -sign * (paid - ended)
            self.cost += sign * ended
            self.lots += sign * closing
            self.realized += won
            value -= paid
        if lots > closing:
            if not self.lots:
                self.realized = 0
            self.lots += sign * (lots - closing)
            self.cost += sign * value
        return won

    def worth(self, board: Board, price: Decimal) -> int:
        """At a price; negative when sold."""
        return board.value_at(price, self.lots)

    def gain(self, board: Board, price: Decimal) -> int:
        """What would be won if it was closed at a price."""
        return board.direction * (self.worth(board, price) - self.cost)

    def entry_price(self, board: Board) -> Decimal:
        """Mean price at which it was opened."""
        size = board.lot * board.contract * self.lots
        cost = amount(self.cost)
        price = SHOWN.divide(size, cost) if board.is_inverse else SHOWN.divide(cost, size)
        return price.normalize(SHOWN) + 0

    def price_for(self, board: Board, rest: int, margin_share: Decimal) -> Decimal | None:
        """The price at which ``rest`` atoms and the gain are just that share of the worth; None:
        there is no such price."""
        size = EXACT.multiply(board.lot * board.contract, Decimal(self.lots))
        held = EXACT.multiply(abs(size), margin_share)
        if board.is_inverse:
            above, below = size + held, amount(rest + self.cost)
        else:
            above, below = amount(self.cost - rest), size - held
        if not below or not above or (above > 0) is not (below > 0):
            return None
        return SHOWN.divide(above, below)
