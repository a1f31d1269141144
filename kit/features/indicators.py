"""The indicators, with their usual formulas; a docstring gives the formula if there are several.

All look at this bar and the ones before it, never at a later one.
"""

from typing import NamedTuple

from kit.features.expression import Expression, Operand, of

PERIOD_MAX = 100_000

open_price = Expression("open")
high = Expression("high")
low = Expression("low")
close = Expression("close")
volume = Expression("volume")
"""Base units, or contracts."""
quote_volume = Expression("quote_volume")
"""Sum of price times size."""
trade_count = Expression("trade_count")
trade_flow = Expression("trade_flow")
"""Volume in which the taker bought minus that in which it sold, as a share of all: -1 to 1."""
coverage = Expression("coverage")
"""The part of the bar without a gap, 0 to 1."""
revision = Expression("revision")
"""How often late trades had amended the bar when it was first seen."""
typical_price = (high + low + close) / 3


# Values of other bars, and operations on values.


def previous(source: Expression, bars: int = 1) -> Expression:
    """The value some bars ago."""
    return over("previous", bars, source)


def crosses_above(first: Expression, second: Operand) -> Expression:
    """The first was at or below the second one bar ago, and is above it now."""
    other = of(second)
    return (previous(first) <= previous(other)) & (first > other)


def crosses_below(first: Expression, second: Operand) -> Expression:
    """The first was at or above the second one bar ago, and is below it now."""
    other = of(second)
    return (previous(first) >= previous(other)) & (first < other)


def minimum(first: Operand, second: Operand) -> Expression:
    return Expression("minimum", operands=(of(first), of(second)))


def maximum(first: Operand, second: Operand) -> Expression:
    return Expression("maximum", operands=(of(first), of(second)))


def absolute(source: Expression) -> Expression:
    return Expression("absolute", operands=(source,))


def sign(source: Expression) -> Expression:
    """1, 0 or -1."""
    return Expression("sign", operands=(source,))


def logarithm(source: Expression) -> Expression:
    """Natural logarithm; not known of numbers up to 0."""
    return Expression("logarithm", operands=(source,))


def square_root(source: Expression) -> Expression:
    return Expression("square_root", operands=(source,))


def where(condition: Expression, first: Operand, second: Operand) -> Expression:
    """The first while the condition is true, the second while it is false."""
    return Expression("where", operands=(condition, of(first), of(second)))


def is_known(source: Expression) -> Expression:
    """Whether it has a value."""
    return Expression("is_known", operands=(source,))


def otherwise(source: Expression, value: Operand) -> Expression:
    """The source, or another value while it is not known."""
    return Expression("otherwise", operands=(source, of(value)))


def clipped(source: Expression, most: float = 1.0) -> Expression:
    """Not further than ``most`` from 0."""
    return maximum(minimum(source, most), -most)


def bars_since(condition: Expression) -> Expression:
    """How many bars ago it was last true; 0: now. Not known before the first time."""
    return Expression("bars_since", operands=(condition,))


def share_true(period: int, condition: Expression) -> Expression:
    """The part of the last bars in which it was true, 0 to 1."""
    return sma(period, where(condition, 1.0, 0.0))


# Averages.


def sma(period: int, source: Expression = close) -> Expression:
    """Simple moving average, over this bar and the ones before it."""
    return over("sma", period, source)


def ema(period: int, source: Expression = close) -> Expression:
    """Exponential moving average with the factor 2 / (period + 1). It starts as the simple average
    of the first ``period`` values."""
    return over("ema", period, source)


def wilder(period: int, source: Expression = close) -> Expression:
    """Wilder's average: as ``ema``, with the factor 1 / period."""
    return over("wilder", period, source)


def wma(period: int, source: Expression = close) -> Expression:
    """Linearly weighted: the newest value counts ``period`` times, the oldest once."""
    return over("wma", period, source)


def dema(period: int, source: Expression = close) -> Expression:
    """Double exponential: 2 ema - ema of ema."""
    once = ema(period, source)
    return 2 * once - ema(period, once)


def tema(period: int, source: Expression = close) -> Expression:
    """Triple exponential: 3 ema - 3 ema of ema + ema of ema of ema."""
    once = ema(period, source)
    twice = ema(period, once)
    return 3 * once - 3 * twice + ema(period, twice)


def hma(period: int, source: Expression = close) -> Expression:
    """Hull's: wma over √period of 2 wma(period / 2) - wma(period)."""
    half, root = max(1, period // 2), max(1, round(period**0.5))
    return wma(root, 2 * wma(half, source) - wma(period, source))


def kama(period: int, source: Expression = close) -> Expression:
    """Kaufman's adaptive average, with his periods 2 and 30."""
    return over("kama", period, source)


def sum_over(period: int, source: Expression) -> Expression:
    """The sum of the last values."""
    return over("sum_over", period, source)


def vwap(period: int) -> Expression:
    """Volume-weighted average price of the last bars, of their trades."""
    return sum_over(period, quote_volume) / sum_over(period, volume)


def session_vwap() -> Expression:
    """Volume-weighted average price since 00:00 UTC."""
    return _of_day(quote_volume) / _of_day(volume)


# Extremes and channels.


class Channel(NamedTuple):
    """Three lines around the price."""

    upper: Expression
    middle: Expression
    lower: Expression


def highest(period: int, source: Expression = high) -> Expression:
    """The highest of the last values, this bar's included."""
    return over("highest", period, source)


def lowest(period: int, source: Expression = low) -> Expression:
    """The lowest of the last values, this bar's included."""
    return over("lowest", period, source)


def donchian(period: int) -> Channel:
    """Highest high and lowest low, this bar's included. A breakout compares the close with
    ``previous`` of a line."""
    upper, lower = highest(period), lowest(period)
    return Channel(upper, (upper + lower) / 2, lower)


def bollinger(period: int = 20, width: float = 2.0, source: Expression = close) -> Channel:
    """The simple average, and so many standard deviations around it."""
    middle, distance = sma(period, source), width * deviation(period, source)
    return Channel(middle + distance, middle, middle - distance)


def keltner(period: int = 20, width: float = 2.0) -> Channel:
    """The exponential average, and so many average true ranges around it."""
    middle, distance = ema(period), width * atr(period)
    return Channel(middle + distance, middle, middle - distance)


def position_in(channel: Channel, source: Expression = close) -> Expression:
    """0 at the lower line, 1 at the upper one."""
    return (source - channel.lower) / (channel.upper - channel.lower)


# Momentum and trend.


class Macd(NamedTuple):
    """Moving average convergence divergence."""

    line: Expression
    signal: Expression
    histogram: Expression


class Adx(NamedTuple):
    """Wilder's directional movement, each 0 to 100."""

    adx: Expression
    plus: Expression
    minus: Expression


class Stochastic(NamedTuple):
    """Where the close is between the lowest low and the highest high, 0 to 100."""

    k: Expression
    d: Expression


def rsi(period: int, source: Expression = close) -> Expression:
    """Relative strength index, 0 to 100, with Wilder's smoothing: the averages of gains and losses
    start as simple ones, then avg = (avg * (period - 1) + value) / period. 50 without any move."""
    return over("rsi", period, source)


def macd(fast: int = 12, slow: int = 26, signal: int = 9, source: Expression = close) -> Macd:
    """Fast ema less slow ema, and its ema."""
    line = ema(fast, source) - ema(slow, source)
    average = ema(signal, line)
    return Macd(line, average, line - average)


def stochastic(period: int = 14, smooth: int = 3, average: int = 3) -> Stochastic:
    """Slow stochastics. A bar is left out where the highest high is the lowest low."""
    upper, lower = highest(period), lowest(period)
    k = sma(smooth, 100 * (close - lower) / (upper - lower))
    return Stochastic(k, sma(average, k))


def williams_r(period: int = 14) -> Expression:
    """-100 at the lowest low, 0 at the highest high."""
    upper, lower = highest(period), lowest(period)
    return -100 * (upper - close) / (upper - lower)


def momentum(period: int, source: Expression = close) -> Expression:
    """The change over some bars."""
    return source - previous(source, period)


def rate_of_change(period: int, source: Expression = close) -> Expression:
    """The change over some bars as a part of the value then."""
    return source / previous(source, period) - 1


def cci(period: int = 20) -> Expression:
    """Commodity channel index, with Lambert's factor 0.015."""
    distance = typical_price - sma(period, typical_price)
    return distance / (0.015 * over("mean_deviation", period, typical_price))


def mfi(period: int = 14) -> Expression:
    """Money flow index, 0 to 100: the rsi of typical price times volume."""
    flow, before = typical_price * volume, previous(typical_price)
    rising = sum_over(period, where(typical_price > before, flow, 0.0))
    falling = sum_over(period, where(typical_price < before, flow, 0.0))
    return 100 * rising / (rising + falling)


def obv() -> Expression:
    """On-balance volume since the first bar."""
    return _total(volume * sign(close - previous(close)))


def adx(period: int = 14) -> Adx:
    """Average directional index, with both directional indicators."""
    up, down = high - previous(high), previous(low) - low
    plus_movement = where((up > down) & (up > 0), up, 0.0)
    minus_movement = where((down > up) & (down > 0), down, 0.0)
    ranges = over("wilder_sum", period, true_range())
    plus = 100 * over("wilder_sum", period, plus_movement) / ranges
    minus = 100 * over("wilder_sum", period, minus_movement) / ranges
    return Adx(wilder(period, 100 * absolute(plus - minus) / (plus + minus)), plus, minus)


class Aroon(NamedTuple):
    """How long ago the extremes were: 100 is now, 0 is ``period`` bars ago."""

    up: Expression
    down: Expression


def aroon(period: int = 14) -> Aroon:
    """Of the last ``period`` + 1 bars."""
    since_highest = over("bars_since_highest", period + 1, high)
    since_lowest = over("bars_since_lowest", period + 1, low)
    return Aroon(100 - 100 * since_highest / period, 100 - 100 * since_lowest / period)


def efficiency_ratio(period: int, source: Expression = close) -> Expression:
    """The distance over some bars as a part of the way: 1 is a straight move, near 0 is noise."""
    way = sum_over(period, absolute(source - previous(source)))
    return absolute(momentum(period, source)) / way


# Ranges and statistics.


def true_range() -> Expression:
    """Of the high and the low, both with the close before."""
    before = previous(close)
    return maximum(high, before) - minimum(low, before)


def atr(period: int) -> Expression:
    """Average true range, with Wilder's smoothing as of ``rsi``; the first true range needs a close
    before it."""
    return wilder(period, true_range())


def variance(period: int, source: Expression = close) -> Expression:
    """Of the last values, with their number as divisor."""
    return over("variance", period, source)


def deviation(period: int, source: Expression = close) -> Expression:
    """Standard deviation of the last values, with their number as divisor."""
    return square_root(variance(period, source))


def zscore(period: int, source: Expression = close) -> Expression:
    """Distance from the simple average, in standard deviations. Not known while these are 0."""
    return (source - sma(period, source)) / deviation(period, source)


def rank(period: int, source: Expression = close) -> Expression:
    """The part of the last values that are below this one, equal ones by half: 0 to 1."""
    return over("rank", period, source)


def log_return(source: Expression = close) -> Expression:
    """Logarithm of the value over the one before."""
    return logarithm(source / previous(source))


def realised_volatility(period: int, source: Expression = close) -> Expression:
    """Square root of the sum of the squared log returns of the last bars; not annualised."""
    change = log_return(source)
    return square_root(sum_over(period, change * change))


def covariance(period: int, first: Expression, second: Expression) -> Expression:
    """Of the last pairs, with their number as divisor."""
    return over("covariance", period, first, second)


def correlation(period: int, first: Expression, second: Expression) -> Expression:
    """Pearson's, -1 to 1. Not known while one of both does not change."""
    deviations = deviation(period, first) * deviation(period, second)
    return clipped(covariance(period, first, second) / deviations)


def beta(period: int, source: Expression, reference: Expression) -> Expression:
    """How much the source moves with the reference: their covariance over its variance."""
    return covariance(period, source, reference) / variance(period, reference)


def over(name: str, period: int, *operands: Expression) -> Expression:
    """An indicator with a period. Raises ValueError."""
    if not isinstance(period, int) or not 1 <= period <= PERIOD_MAX:
        raise ValueError(f"{name}: a period of {period} bars; allowed are 1 to {PERIOD_MAX}")
    return Expression(name, (float(period),), operands)


def _total(source: Expression) -> Expression:
    return Expression("total_since_change", operands=(source, of(0)))


def _of_day(source: Expression) -> Expression:
    return Expression("total_since_change", operands=(source, Expression("day")))
