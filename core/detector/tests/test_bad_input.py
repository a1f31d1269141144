"""A wrong strategy does not start, abstains or fails, and says why; the others go on."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core.detector.evaluation import ProgramFolder, StrategySource
from core.detector.strategy_manager import StrategyManager
from core.detector.strategy_runner import FAILED, RUNNING, WAITING
from core.detector.tests.process import STRATEGY
from core.detector.tests.rig import numbers, rig_for
from core.detector.workers.pool import WorkerPool
from core.detector.workers.worker_process import WorkerLimits
from kit.base.errors import BadRequest
from kit.strategy.tests.market import bar
from tests.support.waiting import until

LIMITS = WorkerLimits(30.0, 512_000_000, 128_000_000)
RULE = 'Rule(name="up", condition=close > 0)'
DEFINITION = STRATEGY[STRATEGY.index("always = ") :]
REFUSED = {
    "a strategy that is there twice": (
        "always = ",
        DEFINITION.replace("always = ", "first = ") + "always = ",
        "sent.py:1: two strategies of the file have the name 'always'",
    ),
    "a syntax error": ("always = ", "always = = ", "sent.py:4: invalid syntax"),
    "an interval that no bar has": ('"1s"', '"7s"', "interval is '7s'; allowed: 1s, 5s"),
    "a rule that is there twice": (RULE, f"{RULE}, {RULE}", "rules and exits: 'up' is there twice"),
    "names that need each other": (
        "always = ",
        "fast = slow + 1\nslow = fast + 1\nalways = ",
        "sent.py:4: NameError: name 'slow' is not defined",
    ),
    "an expression that has itself as a part": (
        DEFINITION,
        "loop = close + 1\nobject.__setattr__(loop, 'operands', (loop, loop))\n"
        + DEFINITION.replace("close > 0", "loop > 0"),
        "more than 100 expressions are inside each other",
    ),
    "an instrument without a venue": (
        '"binance/BTCUSDT"',
        '"BTCUSDT"',
        "instruments is 'BTCUSDT'; allowed: venue id",
    ),
    "an unknown symbol": (
        "binance/BTCUSDT",
        "binance/NOSUCH",
        "instruments: binance lists no instrument 'NOSUCH'",
    ),
    "a condition that is text": ("close > 0", "'up'", "condition is 'up'; allowed: an expression"),
}
FAILING = {
    "a rule that returns text": (
        "lambda bar: 'buy'",
        "returned 'buy'; allowed: True, False, a number from -1 to 1, or None to abstain",
    ),
    "rules that call each other": ("lambda bar: circular(bar)", "RecursionError"),
    "a rule that raises": ("lambda bar: bar.nothing", "AttributeError"),
}
CIRCULAR = (
    "def circular(bar):\n    return again(bar)\n\ndef again(bar):\n    return circular(bar)\n"
)


class OneListed:
    """A venue with one instrument."""

    async def unlisted(self, venue, symbols):
        return sorted(set(symbols) - {"BTCUSDT"})


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


@asynccontextmanager
async def running(rig, folder=None):
    """A manager, and the strategy "always", which is right."""
    pool = WorkerPool(1, LIMITS, must_be_restricted=False, started=lambda restrictions: None)
    manager = StrategyManager(
        pool, folder or ProgramFolder(), replace(rig.context, listings=OneListed())
    )
    task = asyncio.create_task(manager.run())
    try:
        await manager.start("", StrategySource(STRATEGY.encode(), "good.py", "", {}))
        await until(lambda: rig.bars.followers == 1)
        yield manager
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await pool.close()


def runner(manager, name):
    return next((one for one in manager.runners if one.key.strategy == name), None)


async def goes_on(rig, manager):
    """Send bars: the right strategy raises its signals."""
    for number in range(6):
        rig.bars.add(bar(number))
        await until(lambda n=number: runner(manager, "always").bar == bar(n))
    found = [one for one in await rig.signals() if one.instance == "always"]
    assert numbers(found) == [3, 4, 5]
    assert runner(manager, "always").state == RUNNING


async def test_what_is_wrong_does_not_start_and_says_why(rig):
    async with running(rig) as manager:
        for wrong, (before, after, said) in REFUSED.items():
            text = STRATEGY.replace(before, after, 1)
            with pytest.raises(BadRequest) as caught:
                await manager.start("wrong", StrategySource(text.encode(), "sent.py", "", {}))
            assert said in str(caught.value), wrong
        assert [one.key.strategy for one in manager.runners] == ["always"]
        await goes_on(rig, manager)


@pytest.mark.parametrize("wrong", FAILING)
async def test_what_fails_while_it_runs_says_why(rig, wrong):
    code, said = FAILING[wrong]
    text = CIRCULAR + STRATEGY.replace("close > 0", code)
    async with running(rig) as manager:
        await manager.start("wrong", StrategySource(text.encode(), "sent.py", "", {}))
        await until(lambda: rig.bars.followers == 2)
        await goes_on(rig, manager)
        await until(lambda: runner(manager, "wrong").state == FAILED)
        assert said in runner(manager, "wrong").detail
        assert runner(manager, "wrong").detail.startswith("sent.py:")
    assert [one for one in await rig.signals() if one.instance == "wrong"] == []


@pytest.mark.parametrize("number", ["float('nan')", "float('inf')", "-float('inf')", "0 * 1e999"])
async def test_a_rule_whose_number_is_not_finite_abstains(rig, number):
    text = STRATEGY.replace("close > 0", f"lambda bar: {number}")
    async with running(rig) as manager:
        await manager.start("wrong", StrategySource(text.encode(), "sent.py", "", {}))
        await until(lambda: rig.bars.followers == 2)
        await goes_on(rig, manager)
        await until(lambda: runner(manager, "wrong").bar == bar(5))
        explained = await runner(manager, "wrong").explain()
        assert runner(manager, "wrong").state == RUNNING
    assert not explained.rules[0].HasField("score")
    assert "abstain" in explained.abstains_because
    assert [one for one in await rig.signals() if one.instance == "wrong"] == []


async def test_a_strategy_of_the_folder_on_an_unknown_symbol_waits_and_says_why(rig):
    pool = WorkerPool(1, LIMITS, must_be_restricted=False, started=lambda restrictions: None)
    try:
        text = STRATEGY.replace("BTCUSDT", "NOSUCH").replace('"always"', '"wrong"')
        program = await pool.load(StrategySource(text.encode(), "wrong.py", "", {}), "")
        async with running(rig, ProgramFolder([program])) as manager:
            await goes_on(rig, manager)
            wrong = runner(manager, "wrong")
            await until(lambda: wrong.detail == "binance lists no instrument 'NOSUCH'")
            assert wrong.state == WAITING
    finally:
        await pool.close()
