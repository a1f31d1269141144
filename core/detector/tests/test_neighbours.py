"""Strategies of one process on a real database: whatever one does, the signals of the others are
the same bytes."""

import random
from pathlib import Path

import pytest

from core.detector.evaluation import StrategySource
from core.detector.settings import EXAMPLE_FOLDER
from core.detector.strategy_runner import FAILED, RUNNING, StrategyRunner
from core.detector.tests.rig import rig_for
from core.detector.workers.pool import WorkerPool
from core.detector.workers.tests.bad_strategies import MISDEEDS, bad_source, good_source
from core.detector.workers.worker_process import GARBAGE, WorkerLimits
from kit.events.event_log import encoded
from kit.strategy.instance import FLAT, StrategyInstance
from kit.strategy.loader import load_source
from kit.strategy.tests.market import BTCUSDT, bar
from tests.support.waiting import until

LIMITS = WorkerLimits(0.5, 512_000_000, 64_000_000)
EXAMPLE = EXAMPLE_FOLDER / "ema_cross.py"
FIRST, BARS = 5, 45
"""The bar from which there are misdeeds, and how many bars there are. Some share a bar."""

ALSO_SAID = {"writes_half": GARBAGE}
"""Answers of neighbours may complete its message."""


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def good_sources():
    return [good_source(), StrategySource(EXAMPLE.read_bytes(), EXAMPLE.name, "", {})]


@pytest.mark.parametrize(("seed", "processes"), [(4, 1), (5, 1), (6, 2)])
async def test_no_neighbour_changes_a_signal(rig, seed, processes):
    chance = random.Random(seed)
    bars = [bar(number, 100.0 + chance.randrange(9)) for number in range(BARS)]
    misdeeds = chance.sample(list(MISDEEDS), len(MISDEEDS))
    bad = [bad_source(name, chance.randrange(FIRST, BARS - 3)) for name in misdeeds]
    pool = WorkerPool(
        processes, LIMITS, must_be_restricted=False, started=lambda restrictions: None
    )
    try:
        programs = [await pool.load(source, "") for source in [*good_sources(), *bad]]
        runners = [StrategyRunner(one, BTCUSDT, rig.context) for one in programs]
        async with rig.running(*runners):
            for one in bars:
                rig.bars.add(one)
                for runner in runners:
                    await until(lambda r=runner, b=one: r.state == FAILED or r.bar == b)
    finally:
        await pool.close()
    good, bad_runners = runners[:2], runners[2:]
    assert [runner.state for runner in good] == [RUNNING, RUNNING]
    for runner, misdeed in zip(bad_runners, misdeeds, strict=True):
        assert runner.state == FAILED
        said = MISDEEDS[misdeed][1]
        assert said in runner.detail or ALSO_SAID.get(misdeed, said) in runner.detail
    stored = await rig.signals()
    for source in good_sources():
        (loaded,) = load_source(Path(source.file), source.content)
        of = StrategyInstance(loaded, BTCUSDT)
        expected = [encoded(event) for one in bars if (event := of.update(one, FLAT))]
        name = of.strategy.name
        assert [encoded(one) for one in stored if one.instance == name] == expected
        assert expected
