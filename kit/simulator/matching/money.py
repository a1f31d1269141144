"""Exact money: atoms, of which any asset has 10^18 in one unit. So it adds up as integers do."""

from dataclasses import dataclass
from decimal import Context, Decimal

ATOM_PLACES = 18
ATOMS: int = 10**ATOM_PLACES
"""Of one unit."""
ATOM = Decimal(1).scaleb(-ATOM_PLACES)
EXACT = Context(prec=200)


def amount(atoms: int) -> Decimal:
    """Atoms as a number without needless zeros."""
    whole, rest = divmod(atoms, ATOMS)
    if not rest:
        return Decimal(whole)
    return EXACT.normalize(EXACT.scaleb(Decimal(atoms), -ATOM_PLACES))


def atoms_of(number: Decimal) -> int:
    """The other way round; what is less than an atom is cut off."""
    return int(EXACT.scaleb(number, ATOM_PLACES))


@dataclass(frozen=True, slots=True)
class Share:
    """An exact fraction of amounts of atoms. What is less than an atom is cut off."""

    above: int
    below: int

    @classmethod
    def of(cls, share: Decimal) -> "Share":
        """As many of one as a number says."""
        return cls(*share.as_integer_ratio())

    def take(self, atoms: int) -> int:
        """The share of so much."""
        whole = atoms * self.above
        return whole // self.below if whole >= 0 else -(-whole // self.below)
