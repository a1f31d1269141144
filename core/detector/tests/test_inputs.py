"""Market data besides bars, over restarts."""

import random

import pytest

from core.detector.shared_inputs import SharedInputs
from core.detector.tests.rig import rig_for
from kit.events.event_log import encoded
from kit.features.market import Market, mark_price, own
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputRow
from kit.strategy.instance import FLAT
from kit.strategy.strategy import Rule
from kit.strategy.tests.market import SECOND_NS, bar, instance, strategy
from tests.support.waiting import until

OTHER = Market("okx/BTC-USDT")
RULES = (
    Rule(name="quotes", condition=own.quote_imbalance),
    Rule(name="marks", condition=own.funding_rate * 100 + mark_price * 0),
    Rule(name="other", condition=OTHER.close - 100, weight=2.0),
)


class MadeInputs:
    """Rows that are there from the beginning, and those that come late."""

    def __init__(self, rows):
        self.rows_of = rows
        self.is_there = True
        self.reads = 0

    async def rows(self, series, interval, after_ns, until_ns):
        self.reads += 1
        if self.is_there:
            for row in self.rows_of[series.kind]:
                if after_ns < row.time_ns <= until_ns:
                    yield row

    async def book(self, series, time_ns):
        return None


def made(seed, count):
    """Rows between the ends of bars; some say a part only."""
    source = random.Random(seed)
    first_ns = bar(0).open_time_ns
    times = [sorted(source.randrange(count * SECOND_NS) for _ in range(4 * count)) for _ in "ab"]
    quotes = [(1.0, float(source.randrange(1, 9)), 2.0, 3.0) for _ in times[0]]
    marks = [(source.choice([None, 100.0]), None, source.choice([None, 0.001])) for _ in times[1]]
    return {
        InputKind.QUOTES: [
            InputRow(first_ns + time_ns, values)
            for time_ns, values in zip(times[0], quotes, strict=True)
        ],
        InputKind.MARKS: [
            InputRow(first_ns + time_ns, (*values, None))
            for time_ns, values in zip(times[1], marks, strict=True)
        ],
        InputKind.BARS: [
            InputRow(first_ns + number * SECOND_NS, (100.0 + source.random(),) * 8)
            for number in range(1, count + 5)
        ],
    }


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def expected(of, rows, bars):
    """The signals of a strategy that has all rows from the beginning."""
    for series in of.inputs.series:
        for row in rows[series.kind]:
            of.inputs.add(series, row)
    found = (of.update(one, FLAT) for one in bars)
    return [encoded(event) for event in found if event is not None]


async def test_restarts_change_no_signal_that_rests_on_market_data(rig):
    count, source = 80, random.Random(2)
    rows, of = made(7, count), strategy(rules=RULES, threshold=0.05)
    object.__setattr__(rig.context, "inputs", MadeInputs(rows))
    number = 0
    while number < count:
        runner = rig.runner(of)
        async with rig.running(runner):
            for _ in range(source.randrange(1, 12)):
                newest = bar(number)
                rig.bars.add(newest)
                await until(lambda runner=runner, newest=newest: runner.bar == newest)
                number += 1
        # Bars that nobody receives.
        for _ in range(source.randrange(3)):
            rig.bars.add(bar(number))
            number += 1
    live = [encoded(event) for event in await rig.signals()]
    seen = [bar(one) for one in range(number)][
        : (runner.bar.open_time_ns - bar(0).open_time_ns) // SECOND_NS + 1
    ]
    assert live == expected(instance(of), rows, seen)
    assert len(live) > 20


async def test_many_strategies_read_the_rows_of_late_bars_together(rig):
    count, strategies = 60, 8
    rows = made(7, count + 5)
    inputs = MadeInputs(rows)
    object.__setattr__(rig.context, "inputs", SharedInputs(inputs, rig.context.clock))
    names = [f"s{number}" for number in range(strategies)]
    of = [strategy(name=name, rules=RULES, threshold=0.05) for name in names]
    runners = [rig.runner(one) for one in of]
    async with rig.running(*runners):
        for number in range(count):
            rig.bars.add(bar(number))
        await until(lambda: all(runner.bar == bar(count - 1) for runner in runners))
    live = await rig.signals()
    for name, one in zip(names, of, strict=True):
        found = [encoded(event) for event in live if event.instance == name]
        assert found == expected(instance(one), rows, map(bar, range(count)))
    # One read for each series and bar would be 1,440.
    assert inputs.reads < 300


async def test_rows_that_come_late_are_waited_for(rig, monkeypatch):
    # The bar is old.
    monkeypatch.setattr("kit.strategy.input_feed.WAIT_SECONDS", 600.0)
    monkeypatch.setattr("kit.strategy.input_feed.LATE_SECONDS", float("inf"))
    rows, of = made(7, 5), strategy(rules=RULES, threshold=0.05)
    inputs = MadeInputs(rows)
    inputs.is_there = False
    object.__setattr__(rig.context, "inputs", inputs)
    runner = rig.runner(of)
    async with rig.running(runner):
        rig.bars.add(bar(2))
        # It looks again, as no series is known.
        await until(lambda: inputs.reads > 2 * len(RULES))
        assert runner.bar is None
        inputs.is_there = True
        await until(lambda: runner.bar == bar(2))
    (event,) = await rig.signals()
    assert all(rule.HasField("score") for rule in event.signal_raised.rules)


async def test_what_does_not_come_is_not_known(rig, monkeypatch):
    monkeypatch.setattr("kit.strategy.input_feed.WAIT_SECONDS", 0.01)
    runner = rig.runner(strategy(rules=RULES, threshold=0.05))
    async with rig.running(runner):
        rig.bars.add(bar(0))
        await until(lambda: runner.bar == bar(0))
        said = await runner.explain()
    assert await rig.signals() == []
    assert said.abstains_because == "too many rules abstain"
