"""The indicators. Each is the usual one of its name; the formula stands where there are several."""

from kit.features.expression import Expression

PERIOD_MAX = 100_000

open_price = Expression("open")
high = Expression("high")
low = Expression("low")
close = Expression("close")
volume = Expression("volume")
"""Base units, or contracts."""
trade_count = Expression("trade_count")
trade_flow = Expression("trade_flow")
"""Volume in which the taker bought minus that in which it sold, as a share of all: -1 to 1."""


def sma(period: int, source: Expression = close) -> Expression:
    """Simple moving average, over this bar and the ones before it."""
    return _over("sma", period, source)


def ema(period: int, source: Expression = close) -> Expression:
    """Exponential moving average with the factor 2 / (period + 1). It starts as the simple average
    of the first ``period`` values."""
    return _over("ema", period, source)


def highest(period: int, source: Expression = high) -> Expression:
    """The highest of the last values, this bar's included."""
    return _over("highest", period, source)


def lowest(period: int, source: Expression = low) -> Expression:
    """The lowest of the last values, this bar's included."""
    return _over("lowest", period, source)


def previous(source: Expression, bars: int = 1) -> Expression:
    """The value some bars ago."""
    return _over("previous", bars, source)


def rsi(period: int, source: Expression = close) -> Expression:
    """Relative strength index, 0 to 100, with Wilder's smoothing: the averages of gains and losses
    start as simple ones, then avg = (avg * (period - 1) + value) / period. 50 without any move."""
    return _over("rsi", period, source)


def atr(period: int) -> Expression:
    """Average true range, with Wilder's smoothing as of ``rsi``; the first true range needs a close
    before it."""
    return _over("atr", period)


def crosses_above(first: Expression, second: Expression) -> Expression:
    """The first was at or below the second one bar ago, and is above it now."""
    return (previous(first) <= previous(second)) & (first > second)


def crosses_below(first: Expression, second: Expression) -> Expression:
    """The first was at or above the second one bar ago, and is below it now."""
    return crosses_above(second, first)


def _over(name: str, period: int, *operands: Expression) -> Expression:
    if not 1 <= period <= PERIOD_MAX:
        raise ValueError(f"{name}: a period of {period} bars; allowed are 1 to {PERIOD_MAX}")
    return Expression(name, (float(period),), operands)
