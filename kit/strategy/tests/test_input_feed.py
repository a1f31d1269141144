"""Market data besides bars is read when the record is likely to have it."""

import pytest

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.intervals import BY_NAME
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputRow, InputSeries
from kit.strategy.input_feed import LATE_SECONDS, WAIT_SECONDS, InputFeed
from kit.strategy.tests.market import SECOND_NS, bar

QUOTES = InputSeries("binance/BTCUSDT", InputKind.QUOTES)
MARKS = InputSeries("binance/BTCUSDT", InputKind.MARKS)


class SleepingClock:
    """Goes on while somebody sleeps."""

    def __init__(self):
        self.now_ns = bar(0).close_time_ns

    def time_ns(self):
        return self.now_ns

    def monotonic_ns(self):
        return self.now_ns

    async def sleep(self, seconds):
        self.now_ns += int(seconds * NANOSECONDS_PER_SECOND)


class Record:
    """Has a row for each tenth of a second, some time later. InputTarget too."""

    series = (QUOTES, MARKS)

    def __init__(self, clock, delay_s):
        self._clock, self.delay_s = clock, delay_s
        self.reads, self.added = 0, []

    async def rows(self, series, interval, after_ns, until_ns):
        self.reads += 1
        newest_ns = self._clock.now_ns - int(self.delay_s * NANOSECONDS_PER_SECOND)
        tenth_ns = SECOND_NS // 10
        for time_ns in range(after_ns // tenth_ns * tenth_ns + tenth_ns, until_ns, tenth_ns):
            if time_ns <= newest_ns:
                yield InputRow(time_ns, (1.0,))

    def add(self, series, row, next_time_ns=0):
        self.added.append((series, row.time_ns))


async def filled(feed, clock, number):
    """Fill for a bar at its end, or later. Returns how long that took after its end, in s."""
    clock.now_ns = max(clock.now_ns, bar(number).close_time_ns)
    await feed.fill(bar(number), waits=True)
    return (clock.now_ns - bar(number).close_time_ns) / NANOSECONDS_PER_SECOND


@pytest.mark.parametrize("delay_s", [0.0, 0.4, 0.7])
async def test_record_is_asked_few_times_for_each_bar_and_soon_after_it_has_the_row(delay_s):
    clock = SleepingClock()
    record = Record(clock, delay_s)
    feed = InputFeed(record, record, BY_NAME["1s"], clock)
    await filled(feed, clock, 0)
    record.reads = 0
    delays = [await filled(feed, clock, number) for number in range(1, 101)]
    # A row after the end of the bar is there a tenth of a second later.
    assert max(delays) < delay_s + 0.1 + 0.11
    assert record.reads <= 100 * len(record.series) * 3
    last_ns = bar(100).close_time_ns
    for series in record.series:
        times = [time_ns for of, time_ns in record.added if of == series and time_ns <= last_ns]
        assert times == sorted(set(times))
        assert times[-1] == last_ns


async def test_delay_that_is_over_is_forgotten():
    clock = SleepingClock()
    record = Record(clock, 1.5)
    feed = InputFeed(record, record, BY_NAME["1s"], clock)
    for number in range(3):
        await filled(feed, clock, number)
    record.delay_s = 0.0
    delays = [await filled(feed, clock, number) for number in range(3, 30)]
    assert delays[-1] < 0.25


async def test_late_bars_are_not_waited_for():
    clock = SleepingClock()
    record = Record(clock, 0.4)
    feed = InputFeed(record, record, BY_NAME["1s"], clock)
    await filled(feed, clock, 0)
    clock.now_ns = bar(200).close_time_ns
    record.reads = 0
    for number in range(1, 101):
        await feed.fill(bar(number), waits=True)
    assert clock.now_ns == bar(200).close_time_ns
    # Each read goes far enough for many bars.
    assert record.reads < 100


async def test_record_that_stays_behind_delays_all_bars_by_a_bounded_time():
    clock = SleepingClock()
    record = Record(clock, 1_000.0)
    feed = InputFeed(record, record, BY_NAME["1s"], clock)
    delays = [await filled(feed, clock, number) for number in range(60)]
    assert WAIT_SECONDS <= delays[0] < WAIT_SECONDS + 0.11
    assert max(delays) < LATE_SECONDS + 0.11
