"""Strategies in processes of their own: the same signals, whatever a neighbour does."""

import asyncio
import os
import signal
import subprocess
from decimal import Decimal

import pytest

from core.detector.evaluation import (
    BarStep,
    EvaluationLost,
    InputStep,
    StrategyFault,
    StrategyRefused,
    StrategySource,
)
from core.detector.local_programs import LocalPrograms
from core.detector.workers.pool import WorkerPool
from core.detector.workers.tests.bad_strategies import (
    GOOD,
    MISDEEDS,
    bad_source,
    good_source,
)
from core.detector.workers.worker_process import WorkerLimits
from kit.events.event_log import encoded
from kit.strategy.loader import StrategyFileError
from kit.strategy.tests.market import BTCUSDT, bar
from tests.support.waiting import until

FLAT = Decimal(0)
OPEN_PROGRAM = "core.detector.workers.tests.open_worker"
LIMITS = WorkerLimits(0.5, 512_000_000, 64_000_000)


@pytest.fixture
async def pool():
    pool = made()
    yield pool
    await pool.close()


def made(count=1, started=lambda restrictions: None, must_be_restricted=False):
    return WorkerPool(count, LIMITS, must_be_restricted=must_be_restricted, started=started)


async def begun(programs, source, state=None):
    program = await programs.load(source, "")
    return await program.begin(BTCUSDT, state)


async def seen(instance, *numbers):
    """What an instance makes of bars, one by one."""
    return [await instance.update([BarStep(bar(number))], FLAT) for number in numbers]


def written(found):
    return [(list(map(encoded, one.events)), one.state) for one in found]


async def expected(*numbers):
    return written(await seen(await begun(LocalPrograms(), good_source()), *numbers))


async def test_a_process_makes_the_same_events_and_states(pool):
    instance = await begun(pool, good_source())
    found = await seen(instance, *range(6))
    assert written(found) == await expected(*range(6))
    assert [len(one.events) for one in found] == [0, 0, 0, 1, 1, 1]
    again = await begun(pool, good_source(), found[2].state)
    assert not again.begins
    assert written(await seen(again, 3, 4, 5)) == written(found[3:])
    several = await (await begun(pool, good_source())).update(
        [BarStep(bar(number)) for number in range(6)], FLAT
    )
    assert list(several.events) == [event for one in found for event in one.events]
    assert (await instance.explain(bar(5))).score == 1.0
    evaluated = (await instance.evaluations(bar(3).open_time_ns)).evaluations
    assert [one.open_time_ns for one in evaluated] == [bar(4).open_time_ns, bar(5).open_time_ns]
    assert evaluated[1].score == 1.0


async def test_other_market_data_keep_their_kinds_of_numbers(pool):
    """Times of trades are whole numbers of nanoseconds: as a float two of them may be the same."""
    text = GOOD.replace("close > 0", "own.swept_prices * 1.0 + own.largest_trade * 0")
    text = "from kit.features.market import own\n" + text
    source = StrategySource(text.encode(), "swept.py", "", {})
    end_ns = bar(0).close_time_ns
    trades = [
        InputStep(0, end_ns - 9, (1.0, price, end_ns - place), end_ns)
        for place, price in enumerate((100.0, 101.0, 102.0))
    ]
    found = []
    for programs in (LocalPrograms(), pool):
        instance = await begun(programs, source)
        assert [one.kind.name for one in instance.series] == ["TRADES"]
        found.append(await instance.update([BarStep(bar(0), trades)], FLAT))
    assert written(found[:1]) == written(found[1:])
    assert (await instance.explain(bar(0))).score == 1.0


@pytest.mark.parametrize("misdeed", MISDEEDS)
async def test_who_misbehaves_is_stopped_and_its_neighbour_goes_on(pool, misdeed):
    good, bad = await begun(pool, good_source()), await begun(pool, bad_source(misdeed))
    found = await seen(good, 0, 1, 2)
    await seen(bad, 0, 1, 2)
    with pytest.raises(StrategyFault) as caught:
        # What it writes may be read only after its answer.
        await seen(bad, *range(3, 9))
    assert MISDEEDS[misdeed][1] in str(caught.value)
    try:
        found += await seen(good, 3)
    except EvaluationLost:
        good = await begun(pool, good_source(), found[-1].state)
        assert not good.begins
        found += await seen(good, 3)
    found += await seen(good, 4)
    assert written(found) == await expected(*range(5))
    with pytest.raises((StrategyFault, EvaluationLost)):
        await seen(bad, 9)


async def test_a_machine_that_is_busy_with_other_things_blames_nobody(pool):
    """A process that gets no processor time for longer than a request may take."""
    good = await begun(pool, good_source())
    process_id = (await pool._slots[0].worker())._process.pid
    os.kill(process_id, signal.SIGSTOP)
    late_seconds = 3 * LIMITS.request_seconds_max
    asyncio.get_running_loop().call_later(late_seconds, os.kill, process_id, signal.SIGCONT)
    assert written(await seen(good, 0)) == await expected(0)


async def test_the_neighbours_of_one_batch_are_not_blamed(pool):
    """Requests that were sent together: only the one that was worked on counts."""
    instances = [await begun(pool, good_source()) for _ in range(3)]
    bad = await begun(pool, bad_source("ends", 0))
    asked = [seen(one, 0) for one in (*instances[:2], bad, instances[2])]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found[2], StrategyFault)
    assert isinstance(found[3], EvaluationLost)
    assert written(found[0]) == written(found[1]) == await expected(0)


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("\n1 / 0", 2, "ZeroDivisionError: division by zero"),
        ("x = (", 1, "'(' was never closed"),
        ("while True: pass", 1, "it has worked for more than 0.5 s"),
        ("import os; os._exit(1)", 1, "its process has ended with exit code 1"),
        ("x = 1", 1, "no name of the file is a Strategy"),
    ],
)
async def test_a_file_is_checked_in_a_process_of_its_own(pool, code, line, said):
    good = await begun(pool, good_source())
    with pytest.raises(StrategyFileError) as caught:
        await pool.load(StrategySource(code.encode(), "sent.py", "", {}), "")
    assert (caught.value.file.name, caught.value.line) == ("sent.py", line)
    assert said in caught.value.reason
    assert written(await seen(good, 0)) == await expected(0)


async def test_the_process_that_checks_files_ends_when_it_is_idle(pool, monkeypatch):
    monkeypatch.setattr("core.detector.workers.pool.LOADER_SECONDS", 0.0)
    program = await pool.load(good_source(), "")
    loader = await pool._loader.worker()
    await until(lambda: loader.is_over)
    assert program.terms == (await pool.load(good_source(), "")).terms


async def test_a_folder_has_its_strategies_and_its_errors(pool, tmp_path):
    files = {"always": GOOD, "again": GOOD, "broken": "\n1 / 0", "hangs": "while True: pass"}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = await pool.load_folder(tmp_path)
    assert [one.terms.name for one in found.programs] == ["always"]
    errors = {error.file.name: error.reason for error in found.errors}
    assert errors == {
        "always.py": "again.py has a strategy of the name 'always' already",
        "broken.py": "ZeroDivisionError: division by zero",
        "hangs.py": "it has worked for more than 0.5 s",
    }


async def test_nothing_runs_where_the_process_cannot_be_closed(monkeypatch):
    monkeypatch.setattr("core.detector.workers.worker_process.PROGRAM", OPEN_PROGRAM)
    pool = made(must_be_restricted=True)
    try:
        with pytest.raises(StrategyRefused, match="files: this kernel has no Landlock"):
            await pool.load(good_source(), "")
    finally:
        await pool.close()


async def test_instances_go_to_the_process_that_has_the_fewest():
    processes = []
    pool = made(2, processes.append)
    try:
        program = await pool.load(good_source(), "")
        assert len(processes) == 1
        instances = [await program.begin(BTCUSDT, None) for _ in range(4)]
        assert len(processes) == 3
        assert [slot.instances for slot in pool._slots] == [2, 2]
        for one in instances:
            one.close()
        assert [slot.instances for slot in pool._slots] == [0, 0]
    finally:
        await pool.close()


async def test_a_caller_that_is_cancelled_ends_no_start_for_which_others_wait(monkeypatch):
    processes = []

    def started(*arguments, **options):
        processes.append(subprocess.Popen(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr("core.detector.workers.worker_process.Popen", started)
    pool = made()
    try:
        program = await pool.load(good_source(), "")
        for turns in range(6):
            ended = asyncio.create_task(program.begin(BTCUSDT, None))
            for _ in range(turns):
                await asyncio.sleep(0)
            ended.cancel()
        instance = await program.begin(BTCUSDT, None)
        assert written(await seen(instance, 0)) == await expected(0)
        assert len(processes) == 2
        assert pool._slots[0].instances == 1
    finally:
        await pool.close()
