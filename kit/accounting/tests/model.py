"""An account's arithmetic in fractions, written without ``kit.accounting``.

Nothing is rounded here; the tests allow what cutting to atoms can change.
"""

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class ModelPosition:
    """A position in one derivative by the average-cost method."""

    is_inverse: bool
    multiplier: Fraction
    size: Fraction = Fraction(0)
    entry: Fraction = Fraction(0)
    """Average entry price."""
    profit: Fraction = Fraction(0)
    """Realised, without fees."""

    def value(self, price: Fraction, size: Fraction) -> Fraction:
        """The settlement units that a size is worth."""
        return size * self.multiplier * (1 / price if self.is_inverse else price)

    def gain(self, price: Fraction, size: Fraction) -> Fraction:
        """The profit of closing a part of the position."""
        if not self.entry:
            return Fraction(0)
        gain = self.value(price, size) - self.value(self.entry, size)
        return -gain if self.is_inverse else gain

    def trade(self, price: Fraction, size: Fraction) -> None:
        """Buy a size; sell if it is negative."""
        if self.size * size < 0:
            closed = size if abs(size) <= abs(self.size) else -self.size
            self.profit += self.gain(price, -closed)
            self.size += closed
            size -= closed
        if size:
            self._open(price, size)

    def _open(self, price: Fraction, size: Fraction) -> None:
        total = self.size + size
        if not self.size:
            self.entry = price
        elif self.is_inverse:
            self.entry = total / (self.size / self.entry + size / price)
        else:
            self.entry = (self.size * self.entry + size * price) / total
        self.size = total


@dataclass
class ModelAccount:
    """Positions that share one balance and its margin."""

    balance: Fraction
    initial: Fraction
    maintenance: Fraction
    positions: dict[str, ModelPosition] = field(default_factory=dict)
    marks: dict[str, Fraction] = field(default_factory=dict)

    def equity(self) -> Fraction:
        """The balance if all positions were closed at their marks."""
        held = self.positions.items()
        return self.balance + sum(one.gain(self.marks[name], one.size) for name, one in held)

    def value(self, symbol: str) -> Fraction:
        """The absolute value of a position at its mark."""
        position = self.positions[symbol]
        return abs(position.value(self.marks[symbol], position.size))

    def required(self) -> Fraction:
        """Initial margin of the positions, plus the unrealised loss."""
        margin = sum(self.value(symbol) for symbol in self.positions) * self.initial
        return margin + max(Fraction(0), self.balance - self.equity())

    def excess(self) -> Fraction:
        """Equity above the maintenance margin; negative when positions are liquidated."""
        values = sum(self.value(symbol) for symbol in self.positions)
        return self.equity() - values * self.maintenance
