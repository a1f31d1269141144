"""What an instrument's sizes are worth at a price, for spot, linear, inverse and quanto.

Prices and sizes are integers: a price counts ``price_unit``, a size counts ``size_unit``. Values
are atoms of the asset that pays them.

spot     size x price, paid in the quote asset
linear   size x multiplier x price, settled in the quote asset
quanto   size x multiplier x price, settled in a third asset, in which the multiplier is stated
inverse  size x multiplier / price, settled in the base asset
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from kit.accounting.money import ATOM, ATOMS_PER_UNIT, Ratio, atoms_of


class ContractKind(StrEnum):
    """How a price becomes a value, and which asset pays it."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"
    QUANTO = "quanto"


@dataclass(frozen=True, slots=True)
class ContractAssets:
    """The assets of an instrument."""

    base: str
    quote: str
    settle: str = ""
    """The asset that pays profit and loss; empty for spot."""

    @property
    def kind(self) -> ContractKind:
        """The kind of contract that these assets make."""
        if not self.settle:
            return ContractKind.SPOT
        if self.settle == self.quote:
            return ContractKind.LINEAR
        return ContractKind.INVERSE if self.settle == self.base else ContractKind.QUANTO


class Contract:
    """One instrument's arithmetic."""

    __slots__ = (
        "_is_whole",
        "_unit_value",
        "_value_denominator",
        "_value_numerator",
        "base",
        "direction",
        "is_inverse",
        "is_spot",
        "kind",
        "multiplier",
        "price_unit",
        "quote",
        "settle",
        "size_unit",
        "size_unit_atoms",
        "symbol",
    )

    def __init__(
        self,
        symbol: str,
        assets: ContractAssets,
        multiplier: Decimal = Decimal(1),
        price_unit: Decimal = ATOM,
        size_unit: Decimal = ATOM,
    ) -> None:
        """``multiplier``: what a size of 1 represents, in base units; in quote units of an inverse
        contract; in settlement units per quote unit of a quanto contract."""
        self.symbol = symbol
        self.kind = assets.kind
        self.base, self.quote = assets.base, assets.quote
        self.settle = assets.settle or assets.quote
        self.multiplier = multiplier
        self.price_unit, self.size_unit = price_unit, size_unit
        self.is_spot = self.kind is ContractKind.SPOT
        self.is_inverse = self.kind is ContractKind.INVERSE
        self.direction = -1 if self.is_inverse else 1
        """Sign of the change of a long position's value when the price rises."""
        self.size_unit_atoms = atoms_of(size_unit)
        self._unit_value = Fraction(multiplier) * Fraction(size_unit) * ATOMS_PER_UNIT
        """Atoms of one size unit at a price of 1."""
        price = Fraction(price_unit)
        value = self._unit_value / price if self.is_inverse else self._unit_value * price
        self._value_numerator, self._value_denominator = value.as_integer_ratio()
        self._is_whole = self._value_denominator == 1

    def value(self, price: int, size: int) -> int:
        """Return the value of a size that is not negative, in atoms; digits below one atom are cut
        off. ``price`` must not be 0 for an inverse contract."""
        if self.is_inverse:
            return size * self._value_numerator // (price * self._value_denominator)
        value = price * size * self._value_numerator
        return value if self._is_whole else value // self._value_denominator

    def notional(self, price: int, size: int) -> int:
        """Return the value of a size in the quote asset, in atoms."""
        return int(self._unit_value * size) if self.is_inverse else self.value(price, size)

    def unit_value(self, price: Decimal) -> Ratio:
        """Return the atoms that one size unit is worth at any price."""
        rate = Fraction(price)
        return Ratio.of(self._unit_value / rate if self.is_inverse else self._unit_value * rate)

    def size_of(self, count: int) -> Decimal:
        """Return a count of size units as a decimal size."""
        return self.size_unit * count
