"""Indicators of several bars against plain formulas over the whole history."""

import math
from itertools import pairwise
from statistics import correlation as pearson
from statistics import fmean, pstdev, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.features import indicators as own
from kit.features.evaluator import Evaluator, FeatureBar
from kit.features.expression import Expression
from kit.features.indicators import close
from kit.features.market import lead, price_gap_bps
from kit.features.times import FRIDAY, MONDAY, between, on_days

HOUR_NS = 3_600_000_000_000
MONDAY_NS = 4 * 24 * HOUR_NS
ROWS = st.lists(
    st.tuples(st.integers(50, 150), st.integers(0, 9), st.integers(0, 9), st.integers(1, 20)),
    min_size=40,
    max_size=60,
)


def made(rows):
    """Bars of an hour each, from a Monday on."""
    return [
        FeatureBar(
            open=float(price),
            high=float(price + above),
            low=float(price - below),
            close=float(price),
            volume=float(size),
            buy_volume=float(size) / 4,
            trade_count=2,
            quote_volume=float(size * price),
            close_time_ns=MONDAY_NS + number * HOUR_NS,
        )
        for number, (price, above, below, size) in enumerate(rows)
    ]


def last(bars, *expressions):
    evaluator = Evaluator(expressions)
    for bar in bars:
        evaluator.update(bar)
    return [evaluator.value(one) for one in expressions]


def near(value):
    return pytest.approx(value, abs=1e-7, rel=1e-9)


@given(ROWS)
def test_windows_equal_their_formulas(rows):
    bars = made(rows)
    prices, volumes = [bar.close for bar in bars], [bar.volume for bar in bars]
    window, volume = prices[-7:], volumes[-7:]
    weights = range(1, 8)
    below = sum(price < window[-1] for price in window)
    equal = sum(price == window[-1] for price in window)
    expected = [
        (own.wma(7), sum(map(float.__mul__, map(float, weights), window)) / 28),
        (own.variance(7), pvariance(window)),
        (own.deviation(7), pstdev(window)),
        (own.rank(7), (below + equal / 2) / 7),
        (own.sum_over(7, own.volume), sum(volume)),
        (own.vwap(7), sum(map(float.__mul__, window, volume)) / sum(volume)),
        (own.momentum(6), window[-1] - window[0]),
        (own.rate_of_change(6), window[-1] / window[0] - 1),
        (own.highest(7, close), max(window)),
        (own.donchian(7).lower, min(bar.low for bar in bars[-7:])),
        (own.bollinger(7, 1.5).upper, fmean(window) + 1.5 * pstdev(window)),
        (
            own.realised_volatility(6),
            math.sqrt(sum(math.log(b / a) ** 2 for a, b in pairwise(window))),
        ),
    ]
    found = last(bars, *(expression for expression, _ in expected))
    assert found == [near(value) for _, value in expected]


def test_deviation_of_equal_prices_is_zero_after_another_price_has_left_the_window():
    bars = made([(50, 0, 0, 1)] * 23 + [(88, 0, 0, 1)] + [(50, 0, 0, 1)] * 16)
    assert last(bars, own.variance(7), own.deviation(7), own.realised_volatility(6)) == [0.0] * 3


@given(ROWS)
def test_pairs_equal_their_formulas(rows):
    bars = made(rows)
    prices, volumes = [bar.close for bar in bars[-9:]], [bar.volume for bar in bars[-9:]]
    (found,) = last(bars, own.correlation(9, close, own.volume))
    if pstdev(prices) > 0 and pstdev(volumes) > 0:
        assert found == pytest.approx(pearson(prices, volumes), abs=1e-6)
        (slope,) = last(bars, own.beta(9, close, close))
        assert slope == pytest.approx(1.0)
    else:
        assert found is None or abs(found) <= 1


@given(ROWS)
def test_stochastics_and_directions_stay_in_their_bounds(rows):
    adx = own.adx(5)
    bars = made(rows)
    for value in last(bars, adx.adx, adx.plus, adx.minus, own.stochastic(5).d, own.mfi(5)):
        assert value is None or -1e-9 <= value <= 100 + 1e-9
    (efficiency,) = last(bars, own.efficiency_ratio(5))
    assert efficiency is None or -1e-9 <= efficiency <= 1 + 1e-9


def test_totals_begin_again_with_the_day():
    bars = made([(100, 0, 0, 1)] * 24 + [(200, 0, 0, 3), (100, 0, 0, 1)])
    assert last(bars, own.session_vwap()) == [near(175.0)]
    assert last(bars[:24], own.session_vwap()) == [near(100.0)]
    assert last(bars, own.obv()) == [near(3.0 - 1.0)]


def test_times_are_those_of_the_end_of_the_bar():
    bars = made([(100, 0, 0, 1)] * 200)
    inside, night = between("08:00", "10:00"), between("22:00", "02:00")
    working = on_days(MONDAY, FRIDAY)
    evaluator = Evaluator([inside, night, working])
    hours = {inside: [], night: [], working: []}
    for number, bar in enumerate(bars):
        evaluator.update(bar)
        for expression, found in hours.items():
            if evaluator.value(expression):
                found.append(number)
    assert hours[inside][:3] == [8, 9, 32]
    assert hours[night][:5] == [0, 1, 22, 23, 24]
    assert {number // 24 for number in hours[working]} == {0, 4, 7}
    for wrong in ("8:00", "24:60", "noon"):
        with pytest.raises(ValueError, match="allowed: 00:00 to 24:00"):
            between(wrong, "10:00")
    with pytest.raises(ValueError, match="allowed are 0"):
        on_days(7)


def test_operators_compute_what_they_say():
    bars = made([(100, 0, 0, 4), (90, 0, 0, 1)])
    cases = {
        own.minimum(close, 95): 90.0,
        own.maximum(95, close): 95,
        own.absolute(close - 100): 10.0,
        own.sign(close - 100): -1.0,
        own.square_root(close * 10): 30.0,
        own.square_root(-close): None,
        own.logarithm(close - 90): None,
        own.where(close < 95, 1.0, 2.0): 1.0,
        own.where(own.sma(9) > 1, 1.0, 2.0): None,
        own.otherwise(own.sma(9), 7.0): 7.0,
        own.is_known(own.sma(9)): False,
        own.clipped(close): 1.0,
        100 - close: 10.0,
        2 * close: 180.0,
        180 / close: 2.0,
        own.bars_since(close > 95): 1,
        own.bars_since(close > 200): None,
        own.share_true(2, close > 95): 0.5,
        price_gap_bps(close, own.previous(close)): near(-1000.0),
        lead(1, close, own.volume): near(math.log(0.9) - math.log(0.25)),
    }
    assert last(bars, *cases) == list(cases.values())


@pytest.mark.parametrize("huge", [float("nan"), float("inf"), 1e200])
def test_a_number_that_is_not_finite_is_not_known_and_spoils_nothing(huge):
    other = Expression("close", source="okx/BTC-USDT")
    expressions = [other, own.sma(2, other), own.variance(2, other), other * other]
    evaluator = Evaluator(expressions)
    bar = made([(100, 0, 0, 1)])[0]
    for number, value in enumerate([5.0, huge, 7.0]):
        evaluator.update(bar, (value,))
        known = [evaluator.value(one) is not None for one in expressions]
        assert known == ([number != 1, number == 2, number == 2, number != 1])
    assert evaluator.value(expressions[1]) == 6.0
