"""The marks of a simulated market: a pure function of seed and time."""

import math

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.listing import DerivativeMark
from kit.simulator.market_events import Instrument
from kit.simulator.price import PriceNoise

FUNDING_INTERVAL_NS = 8 * 3600 * NANOSECONDS_PER_SECOND
PREMIUM_DEVIATION = 2e-4
"""The mark price above the index price, relative to it."""
PREMIUM_PERIODS_S = (60, 3600)
INTEREST = 1e-4
"""The funding rate where there is no premium."""
FUNDING_MOST = 3e-3
MORE_PLACES = 2
"""Decimal places that an index has more than a price."""


class MarkPriceModel:
    """The marks of one instrument."""

    def __init__(
        self, instrument: Instrument, seed: str, funding_interval_ns: int = FUNDING_INTERVAL_NS
    ) -> None:
        self._funding_interval_ns = funding_interval_ns
        self._places = instrument.price_scale + MORE_PLACES
        self._noises = [
            PriceNoise(f"{seed}/premium/{period_s}", period_s, PREMIUM_DEVIATION / math.sqrt(2))
            for period_s in PREMIUM_PERIODS_S
        ]

    def at(self, time_ns: int, fair_price: float) -> DerivativeMark:
        """The mark at this time, when the index is the fair price."""
        seconds = time_ns / NANOSECONDS_PER_SECOND
        premiums = [noise.at(seconds) for noise in self._noises]
        rate = max(-FUNDING_MOST, min(FUNDING_MOST, INTEREST + premiums[-1]))
        interval_ns = self._funding_interval_ns
        return DerivativeMark(
            mark_price=f"{fair_price * (1 + sum(premiums)):.{self._places}f}",
            index_price=f"{fair_price:.{self._places}f}",
            funding_rate=f"{rate:.8f}",
            next_funding_time_ns=time_ns - time_ns % interval_ns + interval_ns,
        )
