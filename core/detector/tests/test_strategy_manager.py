"""Strategies are started and stopped while others run."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from core.detector import instance_states as stored
from core.detector import store
from core.detector.evaluation import ProgramFolder, StrategyRefused, StrategySource
from core.detector.local_programs import LocalProgram, LocalPrograms
from core.detector.store import FLAT, InstanceKey
from core.detector.strategy_manager import StrategyManager
from core.detector.strategy_runner import FAILED, PAUSED, RUNNING, STOPPED
from core.detector.tests.process import STRATEGY
from core.detector.tests.rig import numbers, rig_for
from kit.base.errors import BadRequest, UnknownStrategy
from kit.strategy.instance import CLOSE, FLIP, OPEN, SELL
from kit.strategy.loader import load_source
from kit.strategy.tests.market import bar
from tests.support.waiting import until

ANOTHER = STRATEGY.replace('notional="25"', 'notional="50"')


CLOSING = (
    STRATEGY.replace('name="always"', 'name="closing"')
    .replace(
        "    threshold=0.5,\n",
        '    threshold=0.5,\n    exits=(Exit(name="out", condition=close > 0, closes="long"),),\n',
    )
    .replace("import PositionSize", "import Exit, PositionSize")
)
"""Opens a position on each bar, and closes it on each bar."""
FLIPPING = (
    CLOSING.replace("always", "flipping")
    .replace("closing", "flipping")
    .replace("    threshold=0.5,\n", "    threshold=0.5,\n    flips=True,\n")
    .replace('name="up"', 'name="up", score=-1.0')
)
"""Sells on each bar, and turns a long position."""
CLOSING_KEY = InstanceKey("closing", "binance", "BTCUSDT")


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def folder(*texts):
    found = [load_source(Path("always.py"), text.encode()) for text in texts]
    return ProgramFolder([LocalProgram(one) for loaded in found for one in loaded])


class Refusing(LocalPrograms):
    """Where nothing may run."""

    async def load(self, source, name):
        raise StrategyRefused("not in this world")


def source(text=STRATEGY, **parameters):
    return StrategySource(text.encode(), "sent.py", "", parameters)


@asynccontextmanager
async def running(rig, *texts):
    manager = StrategyManager(LocalPrograms(), folder(*texts), rig.context)
    task = asyncio.create_task(manager.run())
    try:
        yield manager
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def states(manager):
    return {runner.key.strategy: runner.state for runner in manager.runners}


def paused(manager):
    """Whether CLOSING is paused, of each of its runners."""
    return [one._is_paused for one in manager.runners if one.key == CLOSING_KEY]


async def signals_of(rig, name):
    return [one for one in await rig.signals() if one.instance == name]


async def sent(rig, manager, number):
    """Send a bar, and wait until all that run have seen it."""
    rig.bars.add(bar(number))

    def is_seen():
        runs = [one for one in manager.runners if one.state != STOPPED]
        return runs and all(one.bar == bar(number) for one in runs)

    await until(is_seen)


async def switched(rig, manager, request):
    """Pause or resume the only strategy, and wait until it is so."""
    before = manager.runners[0]
    await request
    await until(lambda: manager.runners[0] is not before and rig.bars.followers == 1)


async def test_a_strategy_is_started_and_stopped_while_another_one_runs(rig):
    async with running(rig, STRATEGY) as manager:
        await until(lambda: rig.bars.followers == 1)
        for number in range(5):
            await sent(rig, manager, number)
        await manager.start("second", source())
        await until(lambda: rig.bars.followers == 2)
        for number in range(5, 10):
            await sent(rig, manager, number)
        assert states(manager) == {"always": RUNNING, "second": RUNNING}
        await manager.stop("second")
        await until(lambda: states(manager)["second"] == STOPPED)
        await sent(rig, manager, 10)
    assert numbers(await signals_of(rig, "always")) == list(range(3, 11))
    assert numbers(await signals_of(rig, "second")) == [8, 9]


async def test_what_was_started_and_stopped_stays_so_after_a_restart(rig):
    async with running(rig, STRATEGY) as manager:
        await until(lambda: manager.runners)
        await manager.start("second", source())
        await manager.stop("always")
        await until(lambda: states(manager).get("always") == STOPPED)
    async with running(rig, STRATEGY) as manager:
        await until(lambda: rig.bars.followers == 1)
        for number in range(4):
            await sent(rig, manager, number)
        assert states(manager) == {"always": STOPPED, "second": RUNNING}
        assert "by a person" in manager.runners[0].detail
        await manager.start("always", None)
        await until(lambda: rig.bars.followers == 2)
        await sent(rig, manager, 4)
    assert numbers(await signals_of(rig, "second")) == [3, 4]


async def test_a_paused_strategy_opens_no_position_and_still_closes_one(rig):
    async with running(rig, STRATEGY, CLOSING) as manager:
        await until(lambda: rig.bars.followers == 2)
        for number in range(5):
            await sent(rig, manager, number)
        await manager.pause("closing")
        await until(lambda: paused(manager) == [True])
        await until(lambda: rig.bars.followers == 2)
        await sent(rig, manager, 5)
        assert states(manager) == {"always": RUNNING, "closing": PAUSED}
        async with rig.database.transaction() as connection:
            await store.keep_position(connection, CLOSING_KEY, Decimal(1))
        await sent(rig, manager, 6)
    async with running(rig, STRATEGY, CLOSING) as manager:
        # It stays so after a restart.
        await until(lambda: rig.bars.followers == 2)
        async with rig.database.transaction() as connection:
            await store.keep_position(connection, CLOSING_KEY, FLAT)
        await sent(rig, manager, 7)
        assert states(manager) == {"always": RUNNING, "closing": PAUSED}
        await manager.resume("closing")
        await until(lambda: paused(manager) == [False])
        await until(lambda: rig.bars.followers == 2)
        await sent(rig, manager, 8)
        await manager.stop("closing")
        with pytest.raises(BadRequest, match="'closing' is stopped; StartStrategy starts it"):
            await manager.pause("closing")
        with pytest.raises(UnknownStrategy):
            await manager.resume("none")
    found = await signals_of(rig, "closing")
    actions = [one.signal_raised.action for one in found]
    assert (numbers(found), actions) == ([3, 4, 6, 8], [OPEN, OPEN, CLOSE, OPEN])
    assert numbers(await signals_of(rig, "always")) == list(range(3, 9))
    kinds = [state for state, _ in await rig.states("closing")]
    assert kinds == [stored.RUNNING, stored.PAUSED, stored.RUNNING, stored.STOPPED]


async def test_flip_of_a_paused_strategy_only_closes(rig):
    key = InstanceKey("flipping", "binance", "BTCUSDT")
    async with running(rig, FLIPPING) as manager:
        await until(lambda: rig.bars.followers == 1)
        async with rig.database.transaction() as connection:
            await store.keep_position(connection, key, Decimal(1))
        for number in range(4):
            await sent(rig, manager, number)
        await switched(rig, manager, manager.pause("flipping"))
        await sent(rig, manager, 4)
    # The distance of the stop is known after three bars.
    *_, flipped, closed = [one.signal_raised for one in await signals_of(rig, "flipping")]
    assert (flipped.action, flipped.side, flipped.HasField("request")) == (FLIP, SELL, True)
    assert (closed.action, closed.side, closed.HasField("request")) == (CLOSE, SELL, False)


async def test_signals_are_counted_over_a_pause(rig):
    async with running(rig, STRATEGY) as manager:
        await until(lambda: rig.bars.followers == 1)
        for number in range(5):
            await sent(rig, manager, number)
        await switched(rig, manager, manager.pause("always"))
        await switched(rig, manager, manager.resume("always"))
        assert [one.signals for one in manager.runners] == [2]


async def test_a_changed_file_replaces_what_runs(rig):
    async with running(rig) as manager:
        await manager.start("", source())
        await until(lambda: rig.bars.followers == 1)
        before = manager.runners[0]
        await manager.start("", source(ANOTHER))
        await until(lambda: manager.runners and manager.runners[0] is not before)
        (after,) = manager.runners
        assert after.terms.version != before.terms.version
        await until(lambda: rig.bars.followers == 1)


async def test_a_strategy_that_has_failed_is_started_again_by_a_person(rig):
    failing = STRATEGY.replace("condition=close > 0", "condition=lambda bar: 1 / 0")
    async with running(rig) as manager:
        await manager.start("", source(failing))
        await until(lambda: rig.bars.followers == 1)
        rig.bars.add(bar(0))
        await until(lambda: states(manager) == {"always": FAILED})
        assert "strategy always" in rig.meter.status().detail
        await manager.start("", source())
        await until(lambda: rig.bars.followers == 1)
        assert "strategy always" not in rig.meter.status().detail
        await sent(rig, manager, 1)
        await manager.stop("always")
    kinds = [state for state, _ in await rig.states("always")]
    assert kinds == [stored.FAILED, stored.RUNNING, stored.STOPPED]


async def test_what_cannot_run_is_refused_with_its_line(rig):
    async with running(rig) as manager:
        with pytest.raises(BadRequest) as caught:
            await manager.start("", source("\n1 / 0\n"))
        assert caught.value.metadata["value"] == "sent.py:2"
        with pytest.raises(BadRequest, match="1000001 source bytes; allowed: up to 1000000"):
            await manager.start("", source("#" * 1_000_001))
        with pytest.raises(UnknownStrategy, match="there is no strategy 'none'; known: none"):
            await manager.stop("none")
        with pytest.raises(UnknownStrategy):
            await manager.start("none", None)
    refusing = StrategyManager(Refusing(), folder(STRATEGY), rig.context)
    with pytest.raises(BadRequest, match="not in this world"):
        await refusing.start("", source())
