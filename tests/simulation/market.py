"""A market whose price moves at random."""

from decimal import Decimal

from kit.accounting import amounts
from kit.execution.prices.reference_prices import BestPrices
from kit.execution.tests.simulated_process import Prices

TICK = Decimal("0.5")
START = Decimal(100)
LOWEST = Decimal(60)
HIGHEST = Decimal(160)
STEPS = (-2, -1, -1, 0, 0, 1, 1, 2)
JUMPS = (-8, -5, 5, 8)


class Market:
    """The price of the one instrument, and what the process sees of it."""

    def __init__(self, chance) -> None:
        self._chance = chance
        self.last = START
        self.prices = Prices()
        self.is_stale = False
        """Whether the process gets no market data."""
        self._show()

    @property
    def best(self) -> BestPrices:
        """The best bid and ask."""
        return BestPrices(self.last - TICK, self.last + TICK)

    def move(self) -> None:
        """Make a trade at the next price."""
        steps = self._chance.choice(JUMPS if self._chance.random() < 0.04 else STEPS)
        self.move_to(self.last + steps * TICK)

    def move_to(self, price) -> None:
        """Make a trade at a price."""
        self.last = min(max(price, LOWEST), HIGHEST)
        self._show()
        if not self.is_stale and self.prices.listeners:
            self.prices.trade(self.last)

    def set_stale(self, is_stale: bool) -> None:
        """End or resume the market data of the process."""
        self.is_stale = is_stale
        self.prices.problem = "its data is stale" if is_stale else ""
        self._show()

    def price_at(self, percent: int) -> Decimal:
        """Return the price so many percent away from the last one, on a tick."""
        return amounts.floor_to(self.last * (100 + percent) / 100, TICK)

    def _show(self) -> None:
        self.prices.spread = None if self.is_stale else self.best
