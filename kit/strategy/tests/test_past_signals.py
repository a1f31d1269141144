"""Strategies over past bars."""

from decimal import Decimal

from kit.features.indicators import close
from kit.strategy.instance import CLOSE, FLIP, OPEN, REDUCE, feature_bar
from kit.strategy.past_signals import AssumedPositions, RecordedPositions, past_signals
from kit.strategy.strategy import Exit, Rule
from kit.strategy.tests.market import bar, instance, strategy

BARS = [feature_bar(bar(number, 100 + number)) for number in range(6)]
OVER = (Exit(name="over", condition=close > 102),)


def actions(found):
    return [
        (BARS.index(one.bar), one.raised.action, Decimal(one.raised.position_size)) for one in found
    ]


def test_assumed_positions_follow_the_signals():
    found = past_signals(instance(strategy(exits=OVER)), BARS, 0, AssumedPositions())
    assert actions(found) == [(0, OPEN, 0), (3, CLOSE, 1), (4, OPEN, 0), (5, CLOSE, 1)]


def test_assumed_positions_are_reduced_and_flipped():
    half = Exit(name="half", condition=close > 101, fraction="0.5")
    rules = (
        Rule(name="up", condition=close > 0, weight=1.0),
        Rule(name="down", condition=close > 103, score=-1.0, weight=3.0),
    )
    flipping = strategy(rules=rules, exits=(half,), flips=True, threshold=0.2)
    found = past_signals(instance(flipping), BARS, 0, AssumedPositions())
    assert actions(found) == [
        (0, OPEN, 0),
        (2, REDUCE, 1),
        (4, FLIP, Decimal("0.5")),
        (5, REDUCE, -1),
    ]


def test_recorded_positions_are_those_of_their_bars():
    seen = [(BARS[0].open_time_ns, Decimal(0)), (BARS[4].open_time_ns, Decimal("0.5"))]
    found = past_signals(instance(strategy(exits=OVER)), BARS, 0, RecordedPositions(seen))
    assert actions(found) == [
        *((number, OPEN, 0) for number in range(4)),
        (4, CLOSE, Decimal("0.5")),
        (5, CLOSE, Decimal("0.5")),
    ]


def test_bars_of_the_warm_up_raise_nothing():
    first_ns = BARS[4].open_time_ns
    found = past_signals(instance(strategy()), BARS, first_ns, AssumedPositions())
    assert actions(found) == [(4, OPEN, 0)]
