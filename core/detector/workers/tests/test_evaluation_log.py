"""What is kept of the newest bars."""

from decimal import Decimal

import pytest

from core.detector.evaluation import BarStep
from core.detector.workers import evaluation_log
from core.detector.workers.hosted_instance import HostedInstance
from kit.strategy.tests.market import BTCUSDT, bar, crossing, loaded

FLAT = Decimal(0)
PRICES = (106, 105, 104, 103, 102, 101, 100, 99, 98, 97, 99, 102, 106, 110, 115, 109, 100, 92, 90)
"""It falls, rises and falls: the fast average crosses the slow one twice."""


@pytest.fixture
def hosted():
    return HostedInstance(loaded(crossing()), BTCUSDT)


def steps(*numbers):
    return [BarStep(bar(number, PRICES[number])) for number in numbers]


def known(values):
    return [one.value if one.HasField("value") else None for one in values]


def test_each_bar_has_what_its_explanation_says(hosted):
    hosted.warm_up(steps(0, 1, 2))
    for number in range(3, len(PRICES)):
        hosted.update(steps(number), FLAT)
        said, newest = hosted.explain(bar(number)), hosted.evaluations(0).evaluations[-1]
        assert newest.open_time_ns == bar(number).open_time_ns
        assert newest.close_time_ns == bar(number).close_time_ns
        assert newest.HasField("score") == said.HasField("score")
        assert newest.score == said.score
        rules = [rule.score if rule.HasField("score") else None for rule in said.rules]
        # The last one is a veto.
        assert known(newest.rules)[:-1] == rules[:-1]
        assert known(newest.rules)[-1] in (None, float(said.rules[-1].is_veto))
    found = hosted.evaluations(0)
    assert len(found.evaluations) == len(PRICES)
    assert [(one.rule, one.weight, one.is_veto) for one in found.rules] == [
        ("up", 2.0, False),
        ("down", 2.0, False),
        ("flow", 1.0, False),
        ("high", 0.0, True),
    ]
    assert list(found.exits) == ["long_over", "short_over"]
    ups, downs, *_ = zip(*(known(one.rules) for one in found.evaluations), strict=True)
    assert 1.0 in ups
    assert -1.0 in downs
    exits = [known(one.exits) for one in found.evaluations]
    assert [1.0, 0.0] in exits
    assert [0.0, 1.0] in exits


def test_lines_are_those_that_a_chart_can_draw(hosted):
    hosted.warm_up(steps(*range(len(PRICES))))
    found = hosted.evaluations(0)
    assert sorted(found.price_lines) == ["ema(close, 3)", "ema(close, 8)"]
    fast = list(found.price_lines).index("ema(close, 3)")
    lines = [known(one.price_lines)[fast] for one in found.evaluations]
    # The simple mean of three, then (105 + 103) / 2.
    assert lines[:4] == [None, None, 105.0, 104.0]


def test_only_the_newest_bars_are_kept(monkeypatch):
    monkeypatch.setattr(evaluation_log, "BARS_MAX", 4)
    hosted = HostedInstance(loaded(crossing()), BTCUSDT)
    hosted.update(steps(*range(10)), FLAT)
    opened = [one.open_time_ns for one in hosted.evaluations(0).evaluations]
    assert opened == [bar(number).open_time_ns for number in (6, 7, 8, 9)]
    newer = hosted.evaluations(bar(7).open_time_ns).evaluations
    assert [one.open_time_ns for one in newer] == opened[2:]
    # Numbers of 10 values each: the score, four rules, two exits and two lines, and their times.
    monkeypatch.setattr(evaluation_log, "NUMBERS_MAX", 20)
    hosted = HostedInstance(loaded(crossing()), BTCUSDT)
    hosted.update(steps(*range(10)), FLAT)
    assert len(hosted.evaluations(0).evaluations) == 2
