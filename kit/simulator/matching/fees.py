"""What a fill costs: by tier, as maker or as taker."""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from kit.clock import NANOSECONDS_PER_SECOND
from kit.simulator.matching.contract import FeeTier
from kit.simulator.matching.money import ATOM_PLACES, EXACT, atoms_of

DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
DAYS = 30
RATE_PLACES = 10
RATES: int = 10**RATE_PLACES


class Volume:
    """What an account has traded in the last 30 days, in whole days."""

    def __init__(self) -> None:
        self.atoms = 0
        self._days: deque[list[int]] = deque()
        """[day, atoms]"""

    def add(self, atoms: int, time_ns: int) -> None:
        """It has traded."""
        day = time_ns // DAY_NS
        if self._days and self._days[-1][0] == day:
            self._days[-1][1] += atoms
        else:
            self._days.append([day, atoms])
            while self._days[0][0] <= day - DAYS:
                self.atoms -= self._days.popleft()[1]
        self.atoms += atoms


class FeeTable:
    """The tiers of a house."""

    def __init__(self, tiers: Sequence[FeeTier], places: int) -> None:
        self._unit: int = 10 ** (ATOM_PLACES - places)
        self._tiers = [
            (atoms_of(tier.volume_from), _rate(tier.maker), _rate(tier.taker)) for tier in tiers
        ]
        self._highest = max(0, *(max(maker, taker) for _, maker, taker in self._tiers))

    def fee(self, atoms: int, volume: Volume, is_maker: bool) -> int:
        """Of so much. Digits beyond those of a fee are cut off; negative: it is received."""
        maker, taker = self._rates(volume)
        cost = atoms * (maker if is_maker else taker)
        unit = RATES * self._unit
        return cost // unit * self._unit if cost >= 0 else -(-cost // unit * self._unit)

    def most(self, atoms: int) -> int:
        """What a fill of so much costs at most, in whichever tier an account will be by then."""
        return atoms * self._highest // RATES

    def _rates(self, volume: Volume) -> tuple[int, int]:
        _, maker, taker = self._tiers[0]
        for start, lower_maker, lower_taker in self._tiers[1:]:
            if volume.atoms < start:
                break
            maker, taker = lower_maker, lower_taker
        return maker, taker


def _rate(share: Decimal) -> int:
    return int(EXACT.scaleb(share, RATE_PLACES))
