"""Size, cost and profit of a position in one derivative.

The cost of a position is the value of the fills that opened it, in atoms of the settlement asset:
positive for a long position, negative for a short one. A part that is closed takes its share of the
cost, and the profit is the difference between that share and the value of the closing fill. The
base asset that an inverse contract is worth decreases when the price rises, so the profit of an
inverse position is cost minus value.
"""

from decimal import Context, Decimal
from fractions import Fraction

from kit.accounting.contract import Contract
from kit.accounting.money import ATOMS_PER_UNIT, EXACT, Ratio, amount_of

PRICE_DIGITS = 16
"""Significant digits of a computed price."""
GUARD_DIGITS = 3
"""Digits of an inverse position's cost that rounding to atoms may have changed."""
_PRICE = Context(prec=PRICE_DIGITS)


class Position:
    """One account's position in one derivative. Sizes count the contract's size unit."""

    __slots__ = (
        "_funding",
        "buying",
        "contract",
        "cost",
        "realized",
        "selling",
        "size",
        "unsettled",
    )

    def __init__(self, contract: Contract, size: int = 0, cost: int = 0, realized: int = 0) -> None:
        self.contract = contract
        self.size = size
        """Negative for a short position."""
        self.cost = cost
        self.realized = realized
        """Profit since the position was opened, with funding, without fees."""
        self.buying = 0
        """Value in atoms of the open orders that buy."""
        self.selling = 0
        """Value in atoms of the open orders that sell."""
        self.unsettled = 0
        """Profit that is paid with the next settlement, where the venue pays it then."""
        self._funding = 0
        """Accrued funding that is not paid yet, in 10^-18 atoms."""

    def expect(self, buys: bool, atoms: int) -> None:
        """Add to the value of the open orders of one side."""
        if buys:
            self.buying += atoms
        else:
            self.selling += atoms

    def trade(self, buys: bool, value: int, size: int) -> int:
        """Book a fill of a value in atoms. Return the profit of the part that it closes."""
        sign = 1 if buys else -1
        profit = closing = 0
        if self.size * sign < 0:
            held = abs(self.size)
            closing = min(size, held)
            # Settlements may have paid more than the position had cost: then it is negative.
            closed_cost = -sign * self.cost * closing // held
            closed_value = value * closing // size
            profit = self.contract.direction * -sign * (closed_value - closed_cost)
            self.cost += sign * closed_cost
            self.size += sign * closing
            self.realized += profit
            value -= closed_value
        if size > closing:
            if not self.size:
                self.realized = 0
            self.size += sign * (size - closing)
            self.cost += sign * value
        return profit

    def value(self, unit_value: Ratio) -> int:
        """Return the value in atoms while one size unit is worth this; negative if short."""
        return unit_value.apply(self.size)

    def unrealized(self, unit_value: Ratio) -> int:
        """Return the profit in atoms of closing the position now."""
        return self.contract.direction * (unit_value.apply(self.size) - self.cost)

    def settle(self, unit_value: Ratio) -> int:
        """Pay out all profit up to now, of the open position too, whose cost is then its value.
        Return it in atoms."""
        unrealized = self.unrealized(unit_value)
        paid, self.unsettled = self.unsettled + unrealized, 0
        self.cost += self.contract.direction * unrealized
        return paid

    def entry_price(self) -> Decimal | None:
        """Return the average entry price. None without a position, and for one that settlements
        have paid more than it had cost. Of an inverse contract it is the harmonic mean, to as many
        digits as the cost is known to."""
        if self.size * self.cost <= 0:
            return None
        size = EXACT.multiply(self.contract.size_of(self.size), self.contract.multiplier)
        cost = amount_of(self.cost)
        if not self.contract.is_inverse:
            return _shortest(_PRICE.divide(cost, size), PRICE_DIGITS)
        known = len(str(abs(self.cost))) - GUARD_DIGITS
        return _shortest(EXACT.divide(size, cost), max(1, min(PRICE_DIGITS, known)))

    def price_at_margin(self, rest: int, margin: Ratio) -> Decimal | None:
        """Return the price at which ``rest`` atoms and the unrealised profit are this share of the
        position's value, or None if there is no such price."""
        contract = self.contract
        size = Fraction(contract.size_unit) * Fraction(contract.multiplier) * self.size
        required = abs(size) * Fraction(margin.numerator, margin.denominator)
        if contract.is_inverse:
            above, below = size + required, Fraction(rest + self.cost, ATOMS_PER_UNIT)
        else:
            above, below = Fraction(self.cost - rest, ATOMS_PER_UNIT), size - required
        if not below or not above or (above > 0) is not (below > 0):
            return None
        price = above / below
        return _PRICE.divide(Decimal(price.numerator), Decimal(price.denominator))

    def accrue_funding(self, unit_value: Ratio, rate: Fraction) -> None:
        """Add funding at a rate, which is a share of the position's value."""
        numerator, denominator = rate.as_integer_ratio()
        scaled = Ratio(numerator * ATOMS_PER_UNIT, denominator)
        self._funding += scaled.apply(self.value(unit_value))

    @property
    def has_funding(self) -> bool:
        """Whether funding has accrued that is not paid yet."""
        return self._funding != 0

    def pay_funding(self) -> int:
        """Realise the accrued funding. Return the atoms that the account pays; negative if it
        receives them."""
        paid = Ratio(1, ATOMS_PER_UNIT).apply(self._funding)
        self._funding = 0
        self.realized -= paid
        return paid


def _shortest(price: Decimal, digits: int) -> Decimal:
    context = Context(prec=digits)
    return context.plus(price).normalize(context) + 0
