"""Fees of fills, by tier and by maker or taker."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from kit.accounting.money import ATOM_PLACES, Ratio, atoms_of
from kit.base.clock import NANOSECONDS_PER_SECOND

DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
VOLUME_DAYS = 30


@dataclass(frozen=True, slots=True)
class FeeTier:
    """Fee rates from a traded volume on, as shares of the value. A negative rate is a rebate."""

    maker: Decimal
    taker: Decimal
    volume_from: Decimal = Decimal(0)
    """Traded within 30 days, in US dollars or a stablecoin."""


class FeeAsset(StrEnum):
    """The asset in which a spot fee is paid. Fees of derivatives are paid in the settlement
    asset."""

    RECEIVED = "received"
    """The asset that the order receives: the base for a buy, the quote for a sell."""
    QUOTE = "quote"


class TradedVolume:
    """The volume that an account has traded in the last 30 days, counted in whole days."""

    __slots__ = ("_days", "_today_end_ns", "atoms")

    def __init__(self) -> None:
        self.atoms = 0
        self._today_end_ns = 0
        self._days: deque[list[int]] = deque()
        """[day, atoms]"""

    def add(self, atoms: int, time_ns: int) -> None:
        if time_ns >= self._today_end_ns:
            day = time_ns // DAY_NS
            self._today_end_ns = (day + 1) * DAY_NS
            self._days.append([day, 0])
            while self._days[0][0] <= day - VOLUME_DAYS:
                self.atoms -= self._days.popleft()[1]
        self._days[-1][1] += atoms
        self.atoms += atoms


class FeeCalculator:
    """The fees of one venue."""

    def __init__(self, tiers: Sequence[FeeTier], places: int = 8) -> None:
        """``tiers``: by rising volume, the first from 0. ``places``: decimals of a fee; digits
        beyond them are cut off."""
        self._unit: int = 10 ** (ATOM_PLACES - places)
        self._rates = [(self._rate(tier.taker), self._rate(tier.maker)) for tier in tiers]
        self._starts = [atoms_of(tier.volume_from) for tier in tiers[1:]]
        rates = [max(tier.maker, tier.taker) for tier in tiers]
        self._highest = Ratio.of(max(Decimal(0), *rates))

    def fee(self, atoms: int, volume: TradedVolume, is_maker: bool) -> int:
        """Return the fee of a fill of this value, in atoms; negative for a rebate."""
        above, below = self._rates[bisect_right(self._starts, volume.atoms)][is_maker]
        if above < 0:
            return -(-above * atoms // below * self._unit)
        return above * atoms // below * self._unit

    def highest(self, atoms: int) -> int:
        """Return the highest fee that a fill of this value can cost, in any tier."""
        return self._highest.apply(atoms)

    def _rate(self, rate: Decimal) -> tuple[int, int]:
        """Fee units of one atom, as a fraction."""
        above, below = rate.as_integer_ratio()
        return above, below * self._unit
