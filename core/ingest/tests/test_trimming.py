import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.registry.v1 import registry_pb2

from core.ingest.context import IngestContext
from core.ingest.memory_budget import MemoryBudget
from core.ingest.settings import IngestSettings
from core.ingest.tests.fakes import QUOTES, TRADES, cursors
from core.ingest.trimming import EntryAgeSamples, StreamTrimmer, read_by_all
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import CHANNEL_REPAIRS, START, Cursor, StreamKey
from kit.base.degradation import DegradedReasons
from kit.base.errors import SettingError
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from tests.support.waiting import WAIT_SECONDS_MAX

COUNT = 2_000
BYTES_MAX = 1_000_000_000
POSITIONS = st.builds(Cursor, st.integers(1, 3), st.integers(0, 9))


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 0

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NANOSECONDS_PER_SECOND)


class Rig:
    """A trimmer and what it acts on: COUNT trades and quotes in Redis."""

    def __init__(self, url: str, **settings) -> None:
        given = IngestSettings(**{"keep_seconds": 0.0, "redis_bytes_max": BYTES_MAX, **settings})
        self.url = url
        self.streams = RedisStreams(url)
        self.meter = Meter("ingest")
        self.memory = MemoryBudget(given.redis_bytes_max, given.waits_when_full("simulate"))
        self.clock = FakeClock()
        degraded = DegradedReasons(self.meter)
        self.is_first = True
        self.trimmer = StreamTrimmer(
            IngestContext(self.streams, self.memory, given, self.meter, degraded, self.clock),
            lambda: self.is_first,
        )

    async def fill(self, *keys) -> None:
        for key in keys:
            await self.streams.register(key)
            await self.streams.append(
                [StreamEntry(key, Cursor(1, number), b"x" * 200) for number in range(1, COUNT + 1)]
            )

    def first(self, key=TRADES) -> int:
        return cursors(self.url, key)[0].sequence

    def metric(self, name: str, **labels: str) -> float:
        return self.meter.registry.get_sample_value(f"venuemesh_{name}", labels) or 0.0


@pytest.fixture
async def rig(valkey_url):
    rig = Rig(valkey_url)
    await rig.fill(TRADES, QUOTES)
    yield rig
    await rig.streams.close()


@given(st.dictionaries(st.sampled_from(["recorder", "bars", "bridge"]), POSITIONS))
def test_nothing_goes_before_all_required_groups_have_read_it(groups):
    read = read_by_all(groups, ("recorder", "bars"))
    if "recorder" in groups and "bars" in groups:
        assert read == min(groups["recorder"], groups["bars"])
    else:
        assert read is None


def test_a_stream_that_nobody_must_read_is_not_trimmed():
    assert read_by_all({"bridge": Cursor(1, 1)}, ()) is None


def test_entries_are_kept_for_a_while():
    ages = EntryAgeSamples(keep_seconds=10)
    for second in range(30):
        ages.add(second * NANOSECONDS_PER_SECOND, Cursor(1, second))
        old = ages.older_than_kept(second * NANOSECONDS_PER_SECOND)
        assert old == (Cursor(1, second - 10) if second >= 10 else None)


def test_a_stream_that_rests_can_be_trimmed_to_its_end():
    ages = EntryAgeSamples(keep_seconds=10)
    for second in range(30):
        ages.add(second * NANOSECONDS_PER_SECOND, START)
    assert ages.older_than_kept(30 * NANOSECONDS_PER_SECOND) == START


async def test_a_recorder_that_starts_late_misses_nothing(rig):
    await rig.streams.commit("bars", {TRADES: Cursor(1, COUNT)})
    await rig.streams.commit("bridge", {TRADES: Cursor(1, COUNT), QUOTES: Cursor(1, COUNT)})
    await rig.trimmer.look()
    assert (rig.first(TRADES), rig.first(QUOTES)) == (1, 1)


async def test_the_slowest_required_group_decides(rig):
    await rig.streams.commit("bars", {TRADES: Cursor(1, COUNT)})
    await rig.streams.commit("recorder", {TRADES: Cursor(1, 900), QUOTES: Cursor(1, 1500)})
    await rig.trimmer.look()
    assert 800 < rig.first(TRADES) <= 900
    assert 1400 < rig.first(QUOTES) <= 1500
    gone = rig.first(TRADES) - 1 + rig.first(QUOTES) - 1
    assert rig.metric("trimmed_entries_total") == gone


async def test_what_was_repaired_goes_when_recorder_and_bars_have_it(valkey_url):
    rig = Rig(valkey_url)
    repairs = StreamKey(TRADES.venue, CHANNEL_REPAIRS)
    await rig.fill(repairs)
    await rig.streams.commit("recorder", {repairs: Cursor(1, COUNT)})
    await rig.trimmer.look()
    assert rig.first(repairs) == 1
    await rig.streams.commit("bars", {repairs: Cursor(1, 1500)})
    await rig.trimmer.look()
    assert 1400 < rig.first(repairs) <= 1500
    await rig.streams.close()


async def test_another_process_trims_and_this_one_measures_the_memory(rig):
    await rig.streams.commit("recorder", {QUOTES: Cursor(1, COUNT)})
    rig.is_first = False
    await rig.trimmer.look()
    assert rig.first(QUOTES) == 1
    assert rig.memory.used_bytes == rig.metric("redis_used_bytes") > 0
    rig.is_first = True
    await rig.trimmer.look()
    assert rig.first(QUOTES) > COUNT - 200


async def test_what_all_have_read_stays_for_those_who_come_back(valkey_url):
    rig = Rig(valkey_url, keep_seconds=10.0)
    await rig.fill(QUOTES)
    await rig.streams.commit("recorder", {QUOTES: Cursor(1, COUNT)})
    await rig.trimmer.look()
    assert rig.first(QUOTES) == 1
    await rig.clock.sleep(10)
    await rig.trimmer.look()
    assert rig.first(QUOTES) > COUNT - 200
    await rig.streams.close()


async def test_nothing_is_kept_for_later_when_memory_runs_short(valkey_url):
    rig = Rig(valkey_url, keep_seconds=1000.0)
    await rig.fill(QUOTES)
    await rig.streams.commit("recorder", {QUOTES: Cursor(1, COUNT)})
    rig.memory.measure(BYTES_MAX // 2)
    await rig.trimmer.look()
    assert rig.first(QUOTES) > COUNT - 200
    await rig.streams.close()


async def test_when_full_the_venues_wait_and_nothing_unread_goes(valkey_url):
    rig = Rig(valkey_url, when_full="wait", redis_bytes_max=1)
    await rig.fill(TRADES, QUOTES)
    await rig.trimmer.look()
    assert (rig.first(TRADES), rig.first(QUOTES)) == (1, 1)
    assert rig.meter.state == registry_pb2.SERVICE_STATE_DEGRADED
    assert "wait for memory" in rig.meter.detail
    writer = asyncio.create_task(rig.memory.wait())
    await asyncio.wait([writer], timeout=0)
    assert not writer.done()
    rig.memory.bytes_max = BYTES_MAX
    await rig.trimmer.look()
    await asyncio.wait_for(writer, WAIT_SECONDS_MAX)
    assert rig.meter.state == registry_pb2.SERVICE_STATE_SERVING
    await rig.streams.close()


async def settled_memory_bytes(rig):
    """The use of memory once the server has freed what earlier tests have left."""
    seen = [await rig.streams.memory_bytes()]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while len(seen) < 5 or max(seen[-5:]) - min(seen[-5:]) > 10_000:
            await asyncio.sleep(0.02)
            seen.append(await rig.streams.memory_bytes())
    return seen[-1]


async def test_when_full_the_oldest_entries_of_the_largest_stream_go(valkey_url, caplog):
    rig = Rig(valkey_url, when_full="trim")
    await rig.fill(TRADES, QUOTES, QUOTES)
    await rig.streams.append([StreamEntry(QUOTES, Cursor(2, 1), b"x" * 300_000)])
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # Again if the server has freed more of what earlier tests have left.
        while rig.first(QUOTES) == 1:
            rig.memory.bytes_max = await settled_memory_bytes(rig) - 100_000
            await rig.trimmer.look()
    assert rig.first(TRADES) == 1
    assert cursors(valkey_url, QUOTES)[-1] == Cursor(2, 1)
    assert not rig.memory.is_full
    assert rig.metric("forced_entries_total", venue="binance") == rig.first(QUOTES) - 1
    assert "Redis is full" in caplog.text
    await rig.memory.wait()
    await rig.streams.close()


async def test_when_something_else_fills_redis_the_streams_are_not_emptied(valkey_url):
    rig = Rig(valkey_url, when_full="trim", redis_bytes_max=1)
    await rig.fill(TRADES)
    await rig.trimmer.look()
    assert len(cursors(valkey_url)) >= 100
    assert "oldest entries go" in rig.meter.detail
    await rig.streams.close()


def test_room_counts_what_is_written_between_two_measurements():
    memory = MemoryBudget(1000, waits=True)
    memory.measure(900)
    assert not memory.is_full
    memory.fill(100)
    assert memory.is_full
    memory.measure(500)
    assert not memory.is_full


@pytest.mark.parametrize(
    ("world", "policy", "waits"),
    [("replay", "", True), ("live", "", False), ("simulate", "", False), ("live", "wait", True)],
)
def test_the_policy_follows_the_world_unless_it_is_said(world, policy, waits):
    assert IngestSettings(when_full=policy).waits_when_full(world) is waits


@pytest.mark.parametrize(
    ("key", "value"),
    [("when_full", "stop"), ("redis_bytes_max", 0), ("keep_seconds", -1.0)],
)
def test_a_wrong_setting_is_refused_with_its_key(key, value):
    with pytest.raises(SettingError, match=f"ingest.{key}"):
        IngestSettings(**{key: value})
