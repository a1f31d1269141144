"""Exact money: an integer counts atoms, and every asset has 10^18 atoms in one unit."""

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from kit.base.numbers import NumberError, format_scaled, parse_number

ATOM_PLACES = 18
ATOMS_PER_UNIT: int = 10**ATOM_PLACES
ATOM = Decimal(1).scaleb(-ATOM_PLACES)
EXACT = Context(prec=200)
DIGITS_MAX = 60
"""Of an amount as text: more than any balance has."""


def amount_of(atoms: int) -> Decimal:
    """Return atoms as a decimal amount without trailing zeros after the point."""
    whole, rest = divmod(atoms, ATOMS_PER_UNIT)
    if not rest:
        return Decimal(whole)
    return EXACT.normalize(EXACT.scaleb(Decimal(atoms), -ATOM_PLACES))


def atoms_of(amount: Decimal) -> int:
    """Return a decimal amount in atoms; digits below one atom are cut off."""
    return int(EXACT.scaleb(amount, ATOM_PLACES))


def parse_atoms(text: str) -> int:
    """Return the atoms of a decimal text. Raises NumberError when it is not a number, or smaller
    than an atom in its last digit."""
    unscaled, places = parse_number(text, DIGITS_MAX)
    if places <= ATOM_PLACES:
        return unscaled * int(10 ** (ATOM_PLACES - places))
    atoms, rest = divmod(unscaled, int(10 ** (places - ATOM_PLACES)))
    if rest:
        raise NumberError(f"{text!r} has more than {ATOM_PLACES} decimal places")
    return atoms


def atoms_text(atoms: int) -> str:
    """Return atoms as decimal text without trailing zeros."""
    return format_scaled(atoms, ATOM_PLACES)


@dataclass(frozen=True, slots=True)
class Ratio:
    """An exact factor for integer amounts. ``denominator`` is positive."""

    numerator: int
    denominator: int

    @classmethod
    def of(cls, factor: Decimal | Fraction) -> "Ratio":
        """Return the exact ratio that a number stands for."""
        return cls(*factor.as_integer_ratio())

    def apply(self, count: int) -> int:
        """Return ``count`` times the ratio, cut towards zero to an integer."""
        product = count * self.numerator
        if product >= 0:
            return product // self.denominator
        return -(-product // self.denominator)
