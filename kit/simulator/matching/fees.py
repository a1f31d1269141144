"""What a fill costs: by tier, as maker or as taker."""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.matching.contract import FeeTier
from kit.simulator.matching.money import ATOM_PLACES, Share, atoms_of

DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
DAYS = 30


class Volume:
    """What an account has traded in the last 30 days, in whole days."""

    __slots__ = ("_days", "_today_end_ns", "atoms")

    def __init__(self) -> None:
        self.atoms = 0
        self._today_end_ns = 0
        self._days: deque[list[int]] = deque()
        """[day, atoms]"""

    def add(self, atoms: int, time_ns: int) -> None:
        """It has traded."""
        if time_ns >= self._today_end_ns:
            day = time_ns // DAY_NS
            self._today_end_ns = (day + 1) * DAY_NS
            self._days.append([day, 0])
            while self._days[0][0] <= day - DAYS:
                self.atoms -= self._days.popleft()[1]
        self._days[-1][1] += atoms
        self.atoms += atoms


class FeeTable:
    """The tiers of a house."""

    def __init__(self, tiers: Sequence[FeeTier], places: int) -> None:
        self._unit: int = 10 ** (ATOM_PLACES - places)
        self._tiers = [
            (atoms_of(tier.volume_from), self._rate(tier.maker), self._rate(tier.taker))
            for tier in tiers
        ]
        self._starts = [start for start, _, _ in self._tiers[1:]]
        self._highest = Share.of(max(Decimal(0), *(max(one.maker, one.taker) for one in tiers)))

    def fee(self, atoms: int, volume: Volume, is_maker: bool) -> int:
        """Of so much. Digits beyond those of a fee are cut off; negative: it is received."""
        tier = 0
        for start in self._starts:
            if volume.atoms < start:
                break
            tier += 1
        _, maker, taker = self._tiers[tier]
        above, below = maker if is_maker else taker
        if above < 0:
            return -(-above * atoms // below * self._unit)
        return above * atoms // below * self._unit

    def most(self, atoms: int) -> int:
        """What a fill of so much costs at most, in whichever tier an account will be by then."""
        return self._highest.take(atoms)

    def _rate(self, share: Decimal) -> tuple[int, int]:
        """Units of a fee for one atom, as a fraction."""
        above, below = share.as_integer_ratio()
        return above, below * self._unit
