"""What is held of a derivative, and what was won or lost by it."""

from dataclasses import dataclass
from decimal import Context, Decimal

from kit.execution.amounts import ZERO, add, product, quotient, subtract
from kit.execution.paper.terms import ATOM, Terms, cut

SHOWN = Context(prec=16)
"""Digits of prices that were worked out."""


@dataclass(slots=True)
class Position:
    """Of one instrument. What cannot be divided stays in the cost, so that nothing is lost."""

    size: Decimal = ZERO
    """Negative when sold."""
    cost: Decimal = ZERO
    """What it was opened for; negative when sold."""
    realized: Decimal = ZERO
    """What was won by it since it was opened, with funding, without fees."""

    def trade(self, terms: Terms, *, buys: bool, price: Decimal, size: Decimal) -> Decimal:
        """Bought or sold. Returns what is won or lost by what was closed."""
        sign = Decimal(1 if buys else -1)
        value, won, closing = terms.value(price, size), ZERO, ZERO
        if self.size * sign < ZERO:
            closing = min(size, self.size.copy_abs())
            ended = _part(self.cost.copy_abs(), closing, self.size.copy_abs())
            paid = _part(value, closing, size)
            won = product(sign, subtract(ended, paid))
            won = won.copy_negate() if terms.is_inverse else won
            self.cost = add(self.cost, product(sign, ended))
            self.size = add(self.size, product(sign, closing))
            self.realized = add(self.realized, won)
            value = subtract(value, paid)
        if size > closing:
            if not self.size:
                self.realized = ZERO
            self.size = add(self.size, product(sign, subtract(size, closing)))
            self.cost = add(self.cost, product(sign, value))
        return won

    def worth(self, terms: Terms, price: Decimal) -> Decimal:
        """At a price; negative when sold."""
        return terms.value(price, self.size)

    def gain(self, terms: Terms, price: Decimal) -> Decimal:
        """What would be won if it was closed at a price."""
        gain = subtract(self.worth(terms, price), self.cost)
        return gain.copy_negate() if terms.is_inverse else gain

    def entry_price(self, terms: Terms) -> Decimal | None:
        """Mean price at which it was opened."""
        held = product(self.size, terms.contract)
        if not held or not self.cost:
            return None
        above, below = (held, self.cost) if terms.is_inverse else (self.cost, held)
        return SHOWN.divide(above, below).normalize(SHOWN) + 0


def _part(whole: Decimal, size: Decimal, of: Decimal) -> Decimal:
    return whole if size == of else cut(quotient(product(whole, size), of), ATOM)
