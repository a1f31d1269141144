"""Candle intervals, and the candles that exchanges send by the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView
from kit.simulator.history import Candle

DAY_S = 86_400
DAY_NS = DAY_S * NANOSECONDS_PER_SECOND
MONTH_S_MAX = 31 * DAY_S + DAY_S // 2


@dataclass(frozen=True, slots=True)
class CandleInterval:
    """How time is cut into candles. Times are ns since the Unix epoch."""

    seconds: int
    """0: calendar months, in UTC."""
    first_open_s: int = 0
    """Some time at which a candle opens, in seconds since the Unix epoch."""

    def start_ns(self, time_ns: int) -> int:
        """When the candle opened that a time belongs to."""
        if not self.seconds:
            moment = datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC)
            start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
            return int(start.timestamp()) * NANOSECONDS_PER_SECOND
        first_ns = self.first_open_s * NANOSECONDS_PER_SECOND
        return time_ns - (time_ns - first_ns) % (self.seconds * NANOSECONDS_PER_SECOND)

    def end_ns(self, start_ns: int) -> int:
        """When the candle closes that opened at a time."""
        if not self.seconds:
            return self.start_ns(start_ns + MONTH_S_MAX * NANOSECONDS_PER_SECOND)
        return start_ns + self.seconds * NANOSECONDS_PER_SECOND


MONTH = CandleInterval(0)
WEEK = CandleInterval(7 * DAY_S, first_open_s=4 * DAY_S)
"""From Monday: the Unix epoch was a Thursday."""


def day_of(market_view: MarketView, symbol: str) -> Candle | None:
    """The last 24 hours as one candle; None before the first trade."""
    now_ns = market_view.time_ns()
    return day_before(market_view, symbol, now_ns)


def day_before(market_view: MarketView, symbol: str, time_ns: int) -> Candle | None:
    """The 24 hours before a time as one candle; None: nothing was traded by then."""
    first_ns = time_ns - DAY_NS
    found = market_view.history(symbol).candles(lambda at_ns: first_ns, first_ns, time_ns)
    return found[0] if found else None


def open_candles(
    market_view: MarketView, symbol: str, interval: CandleInterval, time_ns: int
) -> Sequence[Candle]:
    """What is sent each second: the candle that is open, and in its first second also the one that
    has just closed."""
    start_ns = interval.start_ns(time_ns)
    if time_ns - start_ns < NANOSECONDS_PER_SECOND:
        start_ns = interval.start_ns(start_ns - 1)
    return market_view.history(symbol).candles(interval.start_ns, start_ns, time_ns)
