"""The example strategies on a market that a test makes."""

import math
import random
from pathlib import Path

import pytest

from kit.events.event_log import encoded
from kit.features.evaluator import FeatureBar
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputRow
from kit.strategy.instance import BUY, CLOSE, FLIP, REDUCE, SELL, StrategyInstance
from kit.strategy.loader import load_file
from kit.strategy.past_signals import AssumedPositions, past_signals
from kit.strategy.tests.market import BEGIN_NS, bar

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "strategies" / "examples").glob("*.py"))
COUNT = 4_000


def market(length_ns):
    """Bars, and the rows of other series: a random walk with calm and wild hours, whose other
    venue moves one bar earlier."""
    source, price, before = random.Random(16), 30_000.0, 0.0
    for number in range(COUNT):
        wildness = 0.0001 if number // 100 % 2 else 0.002
        opened, moves = price, source.gauss(0.0, wildness)
        price *= math.exp(before + source.gauss(0.0, wildness / 10))
        before = moves
        leading = price * math.exp(moves)
        high, low = max(opened, price) * (1 + wildness / 9), min(opened, price) * (1 - wildness / 9)
        bought, sold = source.expovariate(1.0), source.expovariate(1.0)
        size = (bought + sold) * (5 if wildness > 0.001 else 1)
        open_time_ns = BEGIN_NS + number * length_ns
        close_time_ns = open_time_ns + length_ns
        numbers = (opened, high, low, price, size, size * bought / (bought + sold))
        times = (open_time_ns, close_time_ns, length_ns)
        yield (
            FeatureBar(*numbers, 5, size * price, *times),
            {
                InputKind.QUOTES: (price - 1, 3 * bought, price + 1, 3 * sold),
                InputKind.MARKS: (price, price * 1.0005, source.gauss(0.0, 0.0005), 0.0),
                InputKind.BARS: (leading, leading, leading, leading, 2.0, 2.0 * (moves > 0), 1, 1),
            },
        )


def signals(file):
    (loaded,) = load_file(file)
    (instrument,) = loaded.strategy.parsed_instruments()
    of, length_ns = StrategyInstance(loaded, instrument), loaded.strategy.bar_interval.length_ns
    made = list(market(length_ns))
    first_ns = made[loaded.strategy.warm_up_bars][0].open_time_ns

    def bars():
        for one, rows in made:
            for series in of.inputs.series:
                of.inputs.add(series, InputRow(one.close_time_ns, rows[series.kind]))
            yield one

    found = past_signals(of, bars(), first_ns, AssumedPositions())
    return [of.event(bar(0), one.raised) for one in found]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_raises_the_same_signals_each_time(file):
    found = signals(file)
    assert len(found) > 4
    assert list(map(encoded, found)) == list(map(encoded, signals(file)))


def test_stop_and_reverse_flips_and_reduces_positions_of_both_sides():
    (file,) = [one for one in FILES if one.stem == "stop_and_reverse"]
    found = [one.signal_raised for one in signals(file)]
    wanted = {(one.action, one.side) for one in found}
    assert {(action, side) for action in (REDUCE, FLIP) for side in (BUY, SELL)} <= wanted
    assert CLOSE not in [one.action for one in found]


def test_each_example_has_a_page():
    pages = {page.stem for page in (ROOT / "docs" / "strategies").glob("*.md")}
    assert pages == {file.stem for file in FILES}
    assert len(FILES) == 9
