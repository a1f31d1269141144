"""What an account holds of one derivative, and how much it has won or lost by it.

A position's cost is what it was opened for, in atoms of what settles it: positive when bought. The
coins that an inverse contract is worth get fewer when the price rises, so its gain is what the cost
is more than the worth.
"""

from dataclasses import dataclass
from decimal import Context, Decimal

from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.money import EXACT, Share, amount

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
    buying: int = 0
    """Atoms for which it would be bought if all orders that wait were filled."""
    selling: int = 0

    def expect(self, buys: bool, atoms: int) -> None:
        """Orders would buy, or sell, for so much more."""
        if buys:
            self.buying += atoms
        else:
            self.selling += atoms

    def trade(self, board: InstrumentBook, buys: bool, value: int, lots: int) -> int:
        """Bought or sold for so many atoms. Returns what is won or lost by what was closed."""
        sign = 1 if buys else -1
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

    def worth(self, lot: Share) -> int:
        """While a lot is worth so much; negative when sold."""
        return lot.take(self.lots)

    def gain(self, board: InstrumentBook, lot: Share) -> int:
        """What would be won if it was closed."""
        return board.direction * (lot.take(self.lots) - self.cost)

    def entry_price(self, board: InstrumentBook) -> Decimal:
        """Mean price at which it was opened."""
        size = board.lot * board.contract * self.lots
        cost = amount(self.cost)
        price = SHOWN.divide(size, cost) if board.is_inverse else SHOWN.divide(cost, size)
        return price.normalize(SHOWN) + 0

    def price_for(self, board: InstrumentBook, rest: int, margin_share: Decimal) -> Decimal | None:
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
