"""Each example strategy runs in a process with strategies, and says which market data it needs."""

import pytest

from core.detector.evaluation import BarStep, StrategySource
from core.detector.settings import EXAMPLE_FOLDER
from core.detector.workers.pool import WorkerPool
from core.detector.workers.worker_process import WorkerLimits
from kit.base.intervals import BY_NAME
from kit.strategy.instance import FLAT, StrategyInstance
from kit.strategy.loader import load_file
from kit.strategy.tests.market import BEGIN_NS, bar

FILES = sorted((EXAMPLE_FOLDER / "examples").glob("*.py"))
LIMITS = WorkerLimits(60.0, 512_000_000, 256_000_000)
BARS = 300


def bars_of(interval):
    length_ns = BY_NAME[interval].length_ns
    for number in range(BARS):
        opened_ns = BEGIN_NS + number * length_ns
        times = {"open_time_ns": opened_ns, "close_time_ns": opened_ns + length_ns}
        changes = {**times, "covered_ns": length_ns, "interval": interval}
        yield bar(number, 100.0 + number % 17, **changes)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_an_example_is_evaluated_in_a_process_as_it_is_here(file):
    # Two of them run on bars of a second only.
    has_interval = b'"interval"' in file.read_bytes()
    parameters = {"interval": "1s"} if has_interval else {}
    source = StrategySource(file.read_bytes(), file.name, "", parameters)
    pool = WorkerPool(1, LIMITS, must_be_restricted=False, started=lambda restrictions: None)
    try:
        program = await pool.load(source, "")
        (instrument,) = program.terms.parsed_instruments()
        there = await program.begin(instrument, None)
        (loaded,) = load_file(file, parameters)
        here = StrategyInstance(loaded, instrument)
        assert tuple(there.series) == here.inputs.series
        bars = list(bars_of("1s"))
        expected = [event for one in bars if (event := here.update(one, FLAT)) is not None]
        found = await there.update([BarStep(one) for one in bars], FLAT)
        assert list(found.events) == expected
        assert found.state == here.save()
    finally:
        await pool.close()
