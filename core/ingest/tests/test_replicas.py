"""Two processes of one venue: which is read, and how the streams go from one to the other."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.ingest.context import IngestContext
from core.ingest.memory_budget import MemoryBudget
from core.ingest.replica_deduplicator import ReplicaDeduplicator
from core.ingest.replicas import FAILED_S, ActiveReplicaGauge, Replica, VenueReplicas
from core.ingest.settings import IngestSettings
from core.ingest.tests.fakes import TRADES, VENUE, FakeVenue, cursors, serving, stored
from core.ingest.venue_writer import VenueWriter
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams
from tests.support.manual_clock import ManualClock
from tests.support.waiting import until

ELDER = Replica("binance", "127.0.0.1:1", 1_000)
YOUNGER = Replica("binance-b", "127.0.0.1:2", 2_000)
Batch = batch_pb2.MarketDataBatch


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def replicas(clock):
    return VenueReplicas(clock, [YOUNGER, ELDER])


def test_the_elder_is_read(replicas):
    assert replicas.choose(0) == ELDER
    assert replicas.choose(1_000) == ELDER


def test_what_numbers_below_the_stream_is_not_read(replicas):
    assert replicas.choose(1_001) == YOUNGER
    assert replicas.outdated(2_000) == [ELDER]


def test_where_all_number_below_it_the_elder_is_asked(replicas):
    assert replicas.choose(9_000) == ELDER


async def test_one_that_has_failed_comes_after_the_other(replicas, clock):
    assert replicas.failed(ELDER)
    assert replicas.choose(1_000) == YOUNGER
    assert not replicas.failed(YOUNGER)
    assert replicas.choose(1_000) == ELDER
    await clock.advance(FAILED_S + 1)
    assert replicas.choose(1_000) == ELDER


def test_one_process_is_always_the_one(clock):
    alone = VenueReplicas(clock, [ELDER])
    assert not alone.failed(ELDER)
    assert alone.choose(1_000) == ELDER


def batch(channel, numbers, symbol="BTCUSDT", **columns):
    made = Batch(channel=channel, instruments=[batch_pb2.InstrumentEntry(symbol=symbol)])
    made.published_time_ns = 5
    if channel == types_pb2.CHANNEL_TRADES:
        made.trades.instrument.extend([0] * len(numbers))
        made.trades.trade_id.extend(numbers)
    else:
        made.quotes.instrument.extend([0] * len(numbers))
        made.quotes.sequence.extend(numbers)
        made.quotes.venue_time_ns.extend(columns.get("times", [0] * len(numbers)))
    return made.SerializeToString()


def test_trades_of_both_come_once():
    channel = types_pb2.CHANNEL_TRADES
    overlap = ReplicaDeduplicator(
        channel, Cursor(1_000, 9), [batch(channel, [5, 6]), batch(channel, [7])]
    )
    kept = Batch.FromString(overlap.without(batch(channel, [4, 6, 7, 8])))
    assert list(kept.trades.trade_id) == [4, 8]
    assert len(kept.trades.instrument) == 2
    nothing = Batch.FromString(overlap.without(batch(channel, [5, 6])))
    assert nothing.WhichOneof("columns") is None
    other = batch(channel, [5], "ETHUSDT")
    assert overlap.without(other) == other


def test_quotes_do_not_go_back():
    channel = types_pb2.CHANNEL_QUOTES
    overlap = ReplicaDeduplicator(channel, Cursor(1_000, 9), [batch(channel, [5, 8])])
    kept = Batch.FromString(overlap.without(batch(channel, [7, 8, 9])))
    assert list(kept.quotes.sequence) == [9]
    timed = ReplicaDeduplicator(channel, Cursor(1_000, 9), [batch(channel, [0], times=[50])])
    kept = Batch.FromString(timed.without(batch(channel, [0, 0, 0], times=[40, 50, 60])))
    assert list(kept.quotes.venue_time_ns) == [50, 60]


def test_an_overlap_ends_when_the_other_has_had_all():
    overlap = ReplicaDeduplicator(types_pb2.CHANNEL_TRADES, Cursor(1_000, 9), [])
    assert not overlap.is_over(Cursor(1_000, 8), 0)
    assert overlap.is_over(Cursor(1_000, 9), 0)
    assert not overlap.is_over(Cursor(999, 20), 0)


class Claiming(FakeVenue):
    """States in each batch up to which cursor it includes the other process."""

    def __init__(self, epoch, cursor_of_other):
        super().__init__(epoch)
        self.cursor_of_other = cursor_of_other

    async def publish(self, key=TRADES, count=1):
        await super().publish(key, count)
        ring = self.rings[key.channel]
        for cursor, payload in list(ring.items())[-count:]:
            made = Batch.FromString(payload)
            made.peer_cursor.CopyFrom(self.cursor_of_other.message())
            # Each process has its own trades here, so that none is known.
            made.trades.trade_id[0] += self.epoch
            ring[cursor] = made.SerializeToString()


@asynccontextmanager
async def feeding(url, *instances):
    meter = Meter("ingest")
    replicas, streams = VenueReplicas(SystemClock(), instances), RedisStreams(url)
    memory = MemoryBudget(1_000_000_000, waits=True)
    context = IngestContext(
        streams, memory, IngestSettings(), meter, DegradedReasons(meter), SystemClock()
    )
    feed = VenueWriter(VENUE, replicas, ActiveReplicaGauge(meter), context)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await streams.close()


async def test_the_stream_goes_on_with_the_younger_one(valkey_url):
    elder, younger = Claiming(1_000, Cursor(2_000, 4)), Claiming(2_000, Cursor(1_000, 3))
    await elder.publish(count=3)
    await younger.publish(count=6)
    async with serving(younger) as second:
        async with serving(elder) as first:
            instances = [ELDER._replace(address=first), YOUNGER._replace(address=second)]
            async with feeding(valkey_url, *instances):
                await until(lambda: len(cursors(valkey_url)) == 3)
        # The server of the elder has ended, and ingest with it: nobody remembers anything.
        async with feeding(valkey_url, *instances):
            await until(lambda: len(cursors(valkey_url)) == 6)
    found = [Cursor(1_000, number) for number in (1, 2, 3)]
    assert cursors(valkey_url) == found + [Cursor(2_000, number) for number in (4, 5, 6)]
    between = Batch.FromString(stored(valkey_url)[3][1])
    assert Cursor.of(between.continues) == Cursor(1_000, 3)
    assert not between.gaps
    assert younger.requests[-1].whole


async def test_without_a_claim_a_gap_says_so(valkey_url):
    elder, younger = FakeVenue(1_000), FakeVenue(2_000)
    await elder.publish(count=3)
    await younger.publish(count=2)
    async with serving(younger) as second:
        async with serving(elder) as first:
            instances = [ELDER._replace(address=first), YOUNGER._replace(address=second)]
            async with feeding(valkey_url, *instances):
                await until(lambda: len(cursors(valkey_url)) == 3)
        async with feeding(valkey_url, *instances):
            await until(lambda: len(cursors(valkey_url)) == 5)
    first_of_younger = Batch.FromString(stored(valkey_url)[3][1])
    assert [gap.reason for gap in first_of_younger.gaps] == [types_pb2.GAP_REASON_RESTART]
