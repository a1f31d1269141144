"""Many strategies read the same market data."""

import asyncio

import pytest

from core.detector.shared_inputs import KEPT_NS, PAUSE_NS, SharedInputs
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.intervals import BY_NAME
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputRow, InputSeries

SECOND = BY_NAME["1s"]
QUOTES = InputSeries("binance/BTCUSDT", InputKind.QUOTES)
BOOK = InputSeries("binance/BTCUSDT", InputKind.BOOK, 5)


class HandClock:
    """Goes on by hand."""

    def __init__(self):
        self.now_ns = NANOSECONDS_PER_SECOND

    def time_ns(self):
        return self.now_ns

    def monotonic_ns(self):
        return self.now_ns


class Source:
    """Rows of one series, and the reads that it got."""

    def __init__(self):
        self.times, self.reads, self.book_row, self.fails = [], [], None, False

    async def rows(self, series, interval, after_ns, until_ns):
        self.reads.append((after_ns, until_ns))
        await asyncio.sleep(0)
        for time_ns in self.times:
            if after_ns < time_ns <= until_ns:
                yield InputRow(time_ns, (1.0,))
        if self.fails:
            raise ConnectionError("away")

    async def book(self, series, time_ns):
        self.reads.append(time_ns)
        await asyncio.sleep(0)
        return self.book_row


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def shared(source, clock):
    return SharedInputs(source, clock)


async def times(shared, after_ns, until_ns, series=QUOTES, interval=SECOND):
    return [row.time_ns async for row in shared.rows(series, interval, after_ns, until_ns)]


async def test_strategies_that_need_the_same_rows_cause_one_read(shared, source):
    source.times = [11, 12, 13]
    found = await asyncio.gather(*(times(shared, 10, 100) for _ in range(50)))
    assert found == [[11, 12, 13]] * 50
    assert source.reads == [(10, 100)]


async def test_next_read_begins_after_the_newest_row(shared, source, clock):
    source.times = [11, 12, 13]
    await times(shared, 10, 100)
    source.times.append(14)
    # Whoever waits looks again soon, and gets the answer to the others until then.
    assert await times(shared, 13, 100) == []
    clock.now_ns += PAUSE_NS
    assert await times(shared, 13, 100) == [14]
    assert await times(shared, 11, 12) == [12]
    assert source.reads == [(10, 100), (13, 100)]


async def test_end_that_was_not_read_before_is_read_at_once(shared, source):
    source.times = [11, 120]
    assert await times(shared, 10, 100) == [11]
    assert await times(shared, 11, 130) == [120]


async def test_older_rows_than_are_kept_are_read_apart(shared, source, clock):
    newest_ns = 50 + 2 * KEPT_NS
    source.times = [11, newest_ns]
    assert await times(shared, 10, newest_ns) == [11, newest_ns]
    assert await times(shared, 10, newest_ns) == [11, newest_ns]
    assert source.reads == [(10, newest_ns)] * 2
    assert await times(shared, newest_ns - 1, newest_ns) == [newest_ns]
    assert len(source.reads) == 2


async def test_rows_between_those_that_were_read_and_later_ones_are_not_taken_for_none(
    shared, source, clock
):
    source.times = [11, 12, 13, 14]
    assert await times(shared, 10, 12) == [11, 12]
    assert await times(shared, 13, 14) == [14]
    assert await times(shared, 10, 14) == [11, 12, 13, 14]
    assert await times(shared, 12, 14) == [13, 14]


async def test_failed_read_loses_no_row_and_is_an_error_for_its_caller(shared, source):
    source.times, source.fails = [11, 12], True
    with pytest.raises(ConnectionError):
        await times(shared, 10, 100)
    source.fails = False
    source.times.append(13)
    assert await times(shared, 10, 100) == [11, 12, 13]
    assert source.reads == [(10, 100), (12, 100)]


async def test_bars_of_another_interval_are_other_rows(shared, source):
    bars = InputSeries("okx/BTC-USDT", InputKind.BARS)
    source.times = [11]
    await times(shared, 10, 100, bars)
    await times(shared, 10, 100, bars, BY_NAME["1m"])
    assert len(source.reads) == 2


async def test_book_is_read_once_for_each_time(shared, source, clock):
    assert await asyncio.gather(*(shared.book(BOOK, 10) for _ in range(9))) == [None] * 9
    assert source.reads == [10]
    source.book_row = InputRow(10, (1.0, 2.0))
    clock.now_ns += PAUSE_NS
    found = await asyncio.gather(*(shared.book(BOOK, 10) for _ in range(9)))
    assert found == [source.book_row] * 9
    assert source.reads == [10, 10]
    source.book_row = InputRow(20, (1.0, 2.0))
    assert await shared.book(BOOK, 20) == source.book_row
