"""What was raised live is raised again over the record, byte for byte."""

import random
from decimal import Decimal

import pytest

from core.detector import run_store, store
from core.detector.tests.rig import rig_for
from kit.events.event_log import encoded
from kit.strategy.instance import feature_bar
from kit.strategy.past_signals import RecordedPositions, past_signals
from kit.strategy.tests.market import bar, crossing, instance
from tests.support.waiting import until

COUNT = 150


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


async def test_signals_of_the_past_are_those_that_were_raised_live(rig):
    source, strategy = random.Random(3), crossing(warm_up_bars=20)
    rig.bars.add(*(bar(number, 100.0 + source.randrange(9)) for number in range(30)))
    number = 30
    while number < COUNT:
        # Each time another process, which ends at any moment.
        runner = rig.runner(strategy)
        async with rig.running(runner):
            for _ in range(source.randrange(5, 20)):
                newest = bar(number, 100.0 + source.randrange(9))
                rig.bars.add(newest)
                await until(lambda runner=runner, newest=newest: runner.bar == newest)
                number += 1
                if not source.randrange(4):
                    size = Decimal(source.choice(["0", "0.5", "-0.25"]))
                    async with rig.database.transaction() as connection:
                        await store.keep_position(connection, runner.key, size)
    live = [encoded(event) for event in await rig.signals()]
    actions = {event.signal_raised.action for event in await rig.signals()}
    assert len(live) > 20
    assert len(actions) == 2

    async with rig.database.transaction() as connection:
        (run,) = await run_store.runs(connection, runner.key)
        seen = await run_store.positions(connection, runner.key)
    assert (run.warm_up_time_ns, run.open_time_ns) == (bar(10).open_time_ns, bar(30).open_time_ns)
    of = instance(strategy)
    recorded = [one for at, one in sorted(rig.bars.record.items()) if at >= run.warm_up_time_ns]
    numbers = map(feature_bar, recorded)
    events = [
        of.event(rig.bars.record[found.bar.open_time_ns], found.raised)
        for found in past_signals(of, numbers, run.open_time_ns, RecordedPositions(seen))
    ]
    assert [encoded(event) for event in events] == live


async def test_another_version_is_another_run(rig):
    for version, number in (("ab" * 32, 0), ("cd" * 32, 1)):
        runner = rig.runner(crossing(), version)
        async with rig.running(runner):
            rig.bars.add(bar(number))
            await until(lambda runner=runner, number=number: runner.bar == bar(number))
    async with rig.database.transaction() as connection:
        runs = await run_store.runs(connection, runner.key)
    assert [(run.open_time_ns, run.version[:2]) for run in runs] == [
        (bar(0).open_time_ns, "ab"),
        (bar(1).open_time_ns, "cd"),
    ]
