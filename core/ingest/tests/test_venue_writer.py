import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
import redis
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.registry.v1 import registry_pb2

from conftest import free_port
from core.ingest.context import IngestContext
from core.ingest.memory_budget import MemoryBudget
from core.ingest.replicas import ActiveReplicaGauge, Replica, VenueReplicas
from core.ingest.settings import IngestSettings
from core.ingest.tests.fakes import (
    QUOTES,
    TRADES,
    VENUE,
    FakeVenue,
    batch_of,
    cursors,
    newest,
    serving,
    stored,
)
from core.ingest.venue_writer import VenueWriter
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor, StreamKey
from kit.base.degradation import DegradedReasons
from kit.base.rpc import STREAM_WRITER
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from tests.support.valkey_process import ValkeyProcess
from tests.support.waiting import WAIT_SECONDS_MAX, until

OTHER = StreamKey("other", types_pb2.CHANNEL_UNSPECIFIED)


class Rig:
    """A feed with what is around it."""

    def __init__(self, url: str) -> None:
        self.streams = RedisStreams(url)
        self.meter = Meter("ingest")
        self.memory = MemoryBudget(1_000_000_000, waits=True)
        context = IngestContext(
            self.streams,
            self.memory,
            IngestSettings(pending_bytes_max=4096, append_bytes_max=1024),
            self.meter,
            DegradedReasons(self.meter),
            SystemClock(),
        )
        gauge = ActiveReplicaGauge(self.meter)
        self.feed = VenueWriter(VENUE, VenueReplicas(SystemClock()), gauge, context)


@asynccontextmanager
async def feeding(url: str, address: str):
    rig = Rig(url)
    rig.feed.replicas.instances = (Replica(VENUE, address),)
    task = asyncio.create_task(rig.feed.run())
    try:
        yield rig
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await rig.streams.close()


def held(venue: FakeVenue, *keys) -> list[Cursor]:
    return list(venue.rings[TRADES.channel])


async def test_it_says_that_it_writes_the_streams(valkey_url):
    venue = FakeVenue()
    async with serving(venue) as address, feeding(valkey_url, address):
        await until(lambda: venue.requests)
        assert STREAM_WRITER in venue.metadata


async def test_every_batch_is_written_once_under_its_cursor(valkey_url):
    venue = FakeVenue()
    await venue.publish(count=50)
    async with serving(venue) as address, feeding(valkey_url, address) as rig:
        await until(lambda: cursors(valkey_url) == held(venue))
        await venue.publish(QUOTES, 3)
        await venue.publish(TRADES, 40)
        await until(lambda: cursors(valkey_url) == held(venue))
        await until(lambda: len(cursors(valkey_url, QUOTES)) == 3)
        assert dict(stored(valkey_url)) == venue.rings[TRADES.channel]
        assert [str(key) for key in await rig.streams.keys()] == [
            "md:{binance}:quotes",
            "md:{binance}:trades",
        ]
        assert rig.meter.events_total == 93
    assert venue.requests[0].start_at == 2
    assert not venue.requests[0].resume_after


async def test_a_venue_that_goes_and_comes_is_read_from_where_it_was_left(valkey_url):
    venue = FakeVenue()
    await venue.publish(count=5)
    port = free_port()
    async with serving(venue, port=port) as address:
        rig_context = feeding(valkey_url, address)
        rig = await rig_context.__aenter__()
        await until(lambda: cursors(valkey_url) == held(venue))
    await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_DEGRADED)
    assert VENUE in rig.meter.detail
    await venue.publish(count=5)
    async with serving(venue, port=port):
        await until(lambda: cursors(valkey_url) == held(venue))
        await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_SERVING)
        assert Cursor.of(venue.requests[-1].resume_after[0].cursor) == Cursor(1000, 5)
        await rig_context.__aexit__(None, None, None)


async def test_a_new_epoch_of_the_venue_begins_with_its_first_batch(valkey_url):
    venue = FakeVenue(epoch=1000)
    await venue.publish(count=5)
    await venue.publish(QUOTES, 3)
    async with serving(venue) as address, feeding(valkey_url, address):
        await until(lambda: cursors(valkey_url) == held(venue))
        await until(lambda: len(cursors(valkey_url, QUOTES)) == 3)
        venue.restart(2000)
        await venue.publish(QUOTES)
        await venue.publish(count=2)
        await until(lambda: Cursor(2000, 2) in cursors(valkey_url))
        assert cursors(valkey_url)[5:] == [Cursor(2000, 1), Cursor(2000, 2)]
        assert cursors(valkey_url, QUOTES)[3:] == [Cursor(2000, 1)]
    # Asked once from the old cursors and then, for all channels, from the beginning.
    assert [len(request.resume_after) for request in venue.requests] == [0, 2, 0]


async def test_what_the_venue_no_longer_holds_is_a_gap_in_the_stream(valkey_url):
    venue = FakeVenue(ring_entries=4)
    streams = RedisStreams(valkey_url)
    known = StreamEntry(TRADES, Cursor(1000, 3), batch_of(TRADES, Cursor(1000, 3)))
    await streams.append([known])
    await streams.close()
    await venue.publish(count=20)
    await venue.publish(QUOTES)
    async with serving(venue) as address, feeding(valkey_url, address) as rig:
        await until(lambda: Cursor(1000, 20) in cursors(valkey_url))
        await venue.publish()
        await until(lambda: Cursor(1000, 21) in cursors(valkey_url))
        found = stored(valkey_url)
        assert [cursor.sequence for cursor, _ in found] == [3, 16, 17, 18, 19, 20, 21]
        gap = batch_pb2.MarketDataBatch.FromString(found[1][1])
        assert gap.gaps[0].reason == types_pb2.GAP_REASON_CURSOR_EXPIRED
        reason = {"reason": "cursor_expired"}
        assert rig.meter.registry.get_sample_value("venuemesh_gaps_total", reason) == 1
        assert cursors(valkey_url, QUOTES) == [Cursor(1000, 1)]


async def test_a_venue_numbered_below_the_stream_is_reported(valkey_url):
    streams = RedisStreams(valkey_url)
    await streams.append([StreamEntry(TRADES, Cursor(3000, 1), b"")])
    await streams.close()
    venue = FakeVenue(epoch=2000)
    await venue.publish()
    async with serving(venue) as address, feeding(valkey_url, address) as rig:
        await until(lambda: "ends at 3000-1" in rig.meter.detail)
        assert rig.meter.state == registry_pb2.SERVICE_STATE_DEGRADED
        venue.restart(4000)
        await venue.publish()
        await until(lambda: Cursor(4000, 1) in cursors(valkey_url))
        await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_SERVING)


@pytest.mark.parametrize(
    "batch",
    [b"\xff\xff garbage", batch_of(OTHER, Cursor(1000, 2))],
    ids=["garbage", "of another channel"],
)
async def test_what_is_no_batch_of_the_venue_is_reported(valkey_url, batch):
    venue = FakeVenue()
    await venue.publish()
    async with serving(venue) as address, feeding(valkey_url, address) as rig:
        await until(lambda: cursors(valkey_url) == held(venue))
        venue.rings[TRADES.channel][Cursor(1000, 2)] = batch
        await venue.publish(QUOTES)
        await until(lambda: f"venue {VENUE}" in rig.meter.detail)
        assert len(cursors(valkey_url)) == 1
        venue.restart(2000)
        await venue.publish()
        await until(lambda: newest(valkey_url) == Cursor(2000, 1))
        await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_SERVING)


async def test_another_writer_makes_no_hole_and_no_double(valkey_url):
    venue = FakeVenue()
    async with (
        serving(venue) as address,
        feeding(valkey_url, address),
        feeding(valkey_url, address),
    ):
        for _ in range(30):
            await venue.publish(count=10)
            await asyncio.sleep(0)
        await until(lambda: Cursor(1000, 300) in cursors(valkey_url))
    assert cursors(valkey_url) == held(venue)


async def test_nothing_is_read_while_there_is_no_room(valkey_url):
    venue = FakeVenue()
    async with serving(venue) as address, feeding(valkey_url, address) as rig:
        await venue.publish(count=1)
        await until(lambda: len(cursors(valkey_url)) == 1)
        rig.memory.measure(rig.memory.bytes_max)
        await venue.publish(count=500)
        await until(lambda: venue.sent >= 2)
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert len(cursors(valkey_url)) == 1
        rig.memory.measure(0)
        await until(lambda: cursors(valkey_url) == held(venue))


async def test_batches_that_redis_refused_are_counted_once(valkey_process):
    venue = FakeVenue()
    await venue.publish(count=5)
    with redis.Redis.from_url(valkey_process.url) as client:
        async with serving(venue) as address, feeding(valkey_process.url, address) as rig:
            await until(lambda: len(cursors(valkey_process.url)) == 5)
            client.config_set("maxmemory", 1)
            await venue.publish(count=5)
            await until(lambda: len(venue.requests) >= 4)
            assert "Redis refuses: command not allowed" in rig.meter.detail
            assert rig.meter.events_total == 5
            client.config_set("maxmemory", 0)
            await until(lambda: len(cursors(valkey_process.url)) == 10)
            await until(lambda: rig.meter.events_total == 10)
            assert rig.meter.detail == ""


async def test_a_feed_ends_when_its_venue_is_gone_and_unlisted(valkey_url):
    venue = FakeVenue()
    rig = Rig(valkey_url)
    async with serving(venue) as address:
        rig.feed.replicas.instances = (Replica(VENUE, address),)
        task = asyncio.create_task(rig.feed.run())
        await venue.publish()
        await until(lambda: len(cursors(valkey_url)) == 1)
        rig.feed.listed = False
        await venue.publish()
        await until(lambda: len(cursors(valkey_url)) == 2)
    await asyncio.wait_for(task, WAIT_SECONDS_MAX)
    assert rig.meter.detail == ""
    await rig.streams.close()


@pytest.fixture
async def valkey_process(tmp_path):
    process = ValkeyProcess(tmp_path, free_port())
    await process.start()
    yield process
    process.kill()


async def test_a_redis_that_was_restarted_gets_what_it_has_lost(valkey_process):
    venue = FakeVenue()
    await venue.publish(count=20)
    async with serving(venue) as address, feeding(valkey_process.url, address) as rig:
        await until(lambda: cursors(valkey_process.url) == held(venue))
        valkey_process.remember()
        for _ in range(3):
            await venue.publish(count=20)
            await until(lambda: cursors(valkey_process.url) == held(venue))
            valkey_process.kill()
            valkey_process.forget()
            await venue.publish(count=20)
            await valkey_process.start()
            await venue.publish(count=1)
            await until(lambda: cursors(valkey_process.url) == held(venue))
        assert dict(stored(valkey_process.url)) == venue.rings[TRADES.channel]
        await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_SERVING)


async def test_while_redis_is_away_the_process_says_so(valkey_process):
    venue = FakeVenue()
    await venue.publish()
    async with serving(venue) as address, feeding(valkey_process.url, address) as rig:
        await until(lambda: len(cursors(valkey_process.url)) == 1)
        valkey_process.kill()
        await venue.publish()
        await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_DEGRADED)
        assert "redis" in rig.meter.detail
        await valkey_process.start()
        await until(lambda: rig.meter.state == registry_pb2.SERVICE_STATE_SERVING)
        await until(lambda: cursors(valkey_process.url) == held(venue))
