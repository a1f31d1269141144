"""Each indicator, bar by bar, against its formula over the whole history."""

import math
from itertools import pairwise
from statistics import fmean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.features import indicators
from kit.features.evaluator import Evaluator, FeatureBar
from kit.features.expression import Expression
from kit.features.indicators import close, crosses_above, ema, previous, rsi, sma
from kit.features.windows import Sum

PRICES = st.lists(st.integers(1, 500).map(float), min_size=1, max_size=60)
PERIODS = st.integers(1, 8)


def bar(price, high=None, low=None, volume=2.0, buy_volume=1.0):
    quote_volume = volume * price
    return FeatureBar(
        price, high or price, low or price, price, volume, buy_volume, 3, quote_volume
    )


def values(expression, bars):
    evaluator = Evaluator([expression])
    place = evaluator.places[expression]
    return [evaluator.update(one)[place] for one in bars]


def smoothed(numbers, period, share):
    average = fmean(numbers[:period])
    for number in numbers[period:]:
        average += (number - average) * share
    return average


def expected_rsi(prices, period):
    moves = [after - before for before, after in pairwise(prices)]
    gain = smoothed([max(move, 0) for move in moves], period, 1 / period)
    loss = smoothed([max(-move, 0) for move in moves], period, 1 / period)
    return 100 * gain / (gain + loss) if gain + loss else 50.0


@given(PRICES, PERIODS)
def test_each_indicator_equals_its_formula(prices, period):
    expected = {
        "sma": (sma(period), period, lambda: fmean(prices[-period:])),
        "ema": (ema(period), period, lambda: smoothed(prices, period, 2 / (period + 1))),
        "highest": (indicators.highest(period), period, lambda: max(prices[-period:])),
        "lowest": (indicators.lowest(period), period, lambda: min(prices[-period:])),
        "previous": (previous(close, period), period + 1, lambda: prices[-period - 1]),
        "rsi": (rsi(period), period + 1, lambda: expected_rsi(prices, period)),
    }
    for name, (expression, needed, formula) in expected.items():
        found = values(expression, map(bar, prices))[-1]
        if len(prices) < needed:
            assert (name, found) == (name, None)
        else:
            assert (name, found) == (name, pytest.approx(formula(), abs=1e-9))


def test_the_true_range_includes_the_close_before():
    bars = [bar(10.0), bar(12.0, high=13.0, low=11.5), bar(8.0, high=9.0, low=7.0)]
    assert values(indicators.atr(1), bars) == [None, 3.0, 5.0]
    assert values(indicators.atr(2), bars) == [None, None, 4.0]


def test_the_flow_of_trades_is_unknown_without_trades():
    bars = [bar(1.0, volume=4.0, buy_volume=3.0), bar(1.0, volume=0.0, buy_volume=0.0)]
    assert values(indicators.trade_flow, bars) == [0.5, None]


def test_a_crossing_is_one_bar():
    crossing = crosses_above(close, sma(2))
    found = values(crossing, map(bar, [5, 4, 3, 6, 7, 8]))
    assert found == [None, False, False, True, False, False]


def test_what_depends_on_an_unknown_value_is_unknown_unless_decided():
    unknown, yes = sma(9) > 1, close > 0
    cases = {unknown & yes: None, unknown & ~yes: False, unknown | yes: True, ~unknown: None}
    evaluator = Evaluator(list(cases))
    evaluator.update(bar(1.0))
    assert [evaluator.value(expression) for expression in cases] == list(cases.values())


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (crosses_above(ema(12), ema(26)), "(opposite((previous(ema(close, 26), 1) < "),
        ((rsi(14) < 30) & (close / sma(5) > 1.5), "((rsi(close, 14) < 30) & (1.5 < (close / "),
    ],
)
def test_an_expression_can_be_read(expression, text):
    assert str(expression).startswith(text)


def test_parts_that_are_shared_are_computed_once(monkeypatch):
    calls = []
    count = Sum.next

    def counted(self, value):
        calls.append(value)
        return count(self, value)

    monkeypatch.setattr(Sum, "next", counted)
    Evaluator([sma(3) > 1, sma(3) < 9, previous(sma(3))]).update(bar(1.0))
    assert len(calls) == 1


def test_a_long_average_does_not_drift():
    prices = [1e9 if number % 7 == 0 else 1e-3 for number in range(5_000)]
    found = values(sma(3), map(bar, prices))[-1]
    assert math.isclose(found, fmean(prices[-3:]), rel_tol=1e-6)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(TypeError, match=r"write & \| ~"):
        bool(close > 1)
    with pytest.raises(ValueError, match="a period of 0 bars"):
        ema(0)
    with pytest.raises(ValueError, match="'emma' is no indicator"):
        Evaluator([Expression("emma", (3.0,), (close,))])


ALL = [
    sma(3),
    ema(3),
    rsi(4),
    indicators.atr(3),
    indicators.highest(3),
    indicators.lowest(4),
    previous(ema(2), 2),
    indicators.wma(3),
    indicators.kama(3),
    indicators.rank(4),
    indicators.cci(3),
    indicators.obv(),
    indicators.session_vwap(),
    indicators.bollinger(3).upper,
    indicators.correlation(3, close, indicators.volume),
    indicators.adx(2).adx,
    indicators.aroon(3).up,
    indicators.bars_since(close > 200),
    crosses_above(ema(2), sma(5)) & ~(indicators.trade_flow > 0.1),
]


@given(PRICES)
def test_an_evaluator_restored_after_each_bar_gives_the_same_values(prices):
    uninterrupted, restored = Evaluator(ALL), Evaluator(ALL)
    for price in prices:
        one = bar(price, price + 1, price - 1, buy_volume=price % 3)
        saved = msgspec.msgpack.decode(msgspec.msgpack.encode(restored.save()))
        restored = Evaluator(ALL)
        restored.restore(saved)
        assert restored.results == uninterrupted.results
        assert restored.update(one) == uninterrupted.update(one)


def test_a_sum_is_added_up_again_at_the_same_bars_after_a_restart(monkeypatch):
    monkeypatch.setattr(Sum, "RENEW_AFTER", 5)
    uninterrupted, restored = Evaluator([sma(3)]), Evaluator([sma(3)])
    for number in range(40):
        one = bar(0.1 * number + 0.7)
        saved, restored = restored.save(), Evaluator([sma(3)])
        restored.restore(saved)
        assert restored.update(one) == uninterrupted.update(one)


def test_the_state_of_other_expressions_is_refused():
    saved = Evaluator([ema(3), rsi(4)]).save()
    with pytest.raises(ValueError, match="values were saved"):
        Evaluator([ema(3)]).restore(saved)
